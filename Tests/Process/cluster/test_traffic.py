"""What goes to several nodes of another region crosses the distance once, and one of them passes it on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.client import Client
from support.cluster import Cluster, Node, until, works
from support.protos import admin_pb2

StartCluster = Callable[..., Cluster]
FAR = {(1, 2): 40}
VALUE = bytes(range(256)) * 64
COUNT = 100
ADMIN_SECONDS = 30


def sent(client: Client, receivers: list[Node]) -> list[int]:
    """Bytes to each of these nodes."""
    peers = {peer.node_id: peer.sent_bytes for peer in client.stats().peers}
    return [peers.get(node.name, 0) for node in receivers]


def applied(cluster: Cluster, nodes: list[Node]) -> list[int]:
    return [cluster.client(node).stats().tablets[0].applied_slot for node in nodes]


def load(client: Client) -> None:
    for number in range(COUNT):
        assert client.put(b"k/%d" % number, VALUE).success


def set_up(cluster: Cluster) -> tuple[Client, list[Node]]:
    """A client of the owner, which is in region 1, and the nodes of region 2; all are linked."""
    (owner,) = [node for node in cluster.nodes if node.region == 1]
    far = [node for node in cluster.nodes if node.region == 2]
    client = cluster.client(owner)
    if cluster.owner(owner) != owner.name:
        client.admin.MoveTablet(admin_pb2.MoveTabletRequest(key=b"k", node_id=owner.name), timeout=ADMIN_SECONDS)
    until(lambda: cluster.owner(owner) == owner.name, "it does not become the owner")
    until(lambda: client.put(b"first", b"").success, "it takes no writes")
    until(lambda: len(set(applied(cluster, cluster.nodes))) == 1, "the followers do not catch up")
    return client, far


@pytest.mark.parametrize("passes_on", [True, False])
def test_a_region_is_told_once(start_cluster: StartCluster, passes_on: bool) -> None:
    setting = "true" if passes_on else "false"
    cluster = start_cluster([1, 3], {"transport.pass_on": setting}, distances=FAR)
    client, far = set_up(cluster)
    before = sent(client, far)
    load(client)
    until(lambda: len(set(applied(cluster, cluster.nodes))) == 1, "the followers do not catch up")
    amounts = [now - then for now, then in zip(sent(client, far), before, strict=True)]
    size = len(VALUE) * COUNT
    print(f"{size} bytes of values took", amounts)
    if passes_on:
        assert size < sum(amounts) < 1.3 * size
        assert sorted(amounts)[1] < 0.2 * size
    else:
        assert all(size < amount < 1.3 * size for amount in amounts)


def test_the_node_that_passes_on_dies(start_cluster: StartCluster) -> None:
    cluster = start_cluster([1, 3], distances=FAR)
    client, far = set_up(cluster)
    before = sent(client, far)
    load(client)
    amounts = [now - then for now, then in zip(sent(client, far), before, strict=True)]
    passing = far[amounts.index(max(amounts))]
    rest = [node for node in far if node is not passing]
    passing.kill()
    load(client)
    alive = [node for node in cluster.nodes if node is not passing]
    until(lambda: len(set(applied(cluster, alive))) == 1, "the followers do not catch up")
    passing.start()
    until(lambda: works(lambda: cluster.client(passing).stats()), "it does not come back")
    until(lambda: len(set(applied(cluster, cluster.nodes))) == 1, "it does not catch up")
    # Somebody else passes on now.
    before = sent(client, far)
    load(client)
    until(lambda: len(set(applied(cluster, cluster.nodes))) == 1, "the followers do not catch up")
    amounts = [now - then for now, then in zip(sent(client, far), before, strict=True)]
    assert far[amounts.index(max(amounts))] in rest
