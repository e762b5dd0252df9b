"""Links that work one way: nodes that are heard and hear nothing."""

from __future__ import annotations

from collections.abc import Callable

from support.cluster import Cluster, until, works
from support.protos import atlas_pb2 as pb

StartCluster = Callable[..., Cluster]

SETTLED = {
    "consensus.heartbeat_interval": "200ms",
    "consensus.election_timeout": "1s",
    "region.ownership_policy": "none",
}
# Three seconds of support, two seconds without an answer, and some for the machine.
REPLACED_SECONDS = 20.0


def test_an_owner_that_no_node_reaches_is_replaced(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3], SETTLED, distances={})
    owner = cluster[cluster.owner(cluster.nodes[0])]
    others = [node for node in cluster.nodes if node is not owner]
    put = pb.PutRequest(key=b"key", value=b"before")
    cluster.client(others[0]).stub.Put(put, timeout=5)
    # The owner's own links stay: its heartbeats arrive, and no answer comes back.
    cluster.network.cut_links([(node.name, owner.name) for node in others])

    for node in others:
        client = cluster.client(node)
        until(lambda: works(lambda: client.stub.Put(put, timeout=2)), "no write is done", REPLACED_SECONDS)  # noqa: B023
    assert cluster.owner(others[0]) != owner.name

    cluster.network.heal()
    client = cluster.client(owner)
    until(lambda: works(lambda: client.stub.Put(put, timeout=2)), "the node does not come back", REPLACED_SECONDS)


def test_a_node_that_does_not_reach_the_owner_asks_by_way_of_another(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3], SETTLED, distances={})
    owner = cluster[cluster.owner(cluster.nodes[0])]
    one, other = [node for node in cluster.nodes if node is not owner]
    cluster.network.cut_links([(one.name, owner.name), (owner.name, one.name)])
    client = cluster.client(one)
    put = pb.PutRequest(key=b"key", value=b"value")
    until(lambda: works(lambda: client.stub.Put(put, timeout=2)), "no write is done", REPLACED_SECONDS)

    for number in range(20):
        value = b"%d" % number
        client.stub.Put(pb.PutRequest(key=b"key", value=value), timeout=5)
        assert client.stub.Get(pb.GetRequest(key=b"key", consistent_read=True), timeout=5).value == value
    assert cluster.owner(other) == owner.name
