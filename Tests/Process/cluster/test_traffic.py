"""What goes to several nodes of another region crosses the distance once, and one of them passes it on."""

from __future__ import annotations

from collections.abc import Callable

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


def load(cluster: Cluster, client: Client, receivers: list[Node]) -> list[float]:
    """How many times what is written was sent to each of these nodes until all nodes had it."""
    before = sent(client, receivers)
    for number in range(COUNT):
        assert client.put(b"k/%d" % number, VALUE).success
    alive = [node for node in cluster.nodes if node.is_running()]
    until(lambda: len(set(applied(cluster, alive))) == 1, "the followers do not catch up")
    amounts = [now - then for now, then in zip(sent(client, receivers), before, strict=True)]
    return [amount / (len(VALUE) * COUNT) for amount in amounts]


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


def is_once(times: list[float]) -> bool:
    return 1 < sum(times) < 1.3


def test_a_region_is_told_once(start_cluster: StartCluster) -> None:
    cluster = start_cluster([1, 3], distances=FAR)
    client, far = set_up(cluster)
    # While a node is not linked to another yet, the other gets all directly, and for some seconds more.
    until(lambda: is_once(load(cluster, client, far)), "values cross the distance several times")


def test_passing_on_can_be_turned_off(start_cluster: StartCluster) -> None:
    cluster = start_cluster([1, 3], {"transport.pass_on": "false"}, distances=FAR)
    client, far = set_up(cluster)
    assert all(1 < times < 1.3 for times in load(cluster, client, far))


def test_the_node_that_passes_on_dies(start_cluster: StartCluster) -> None:
    cluster = start_cluster([1, 3], distances=FAR)
    client, far = set_up(cluster)
    until(lambda: is_once(load(cluster, client, far)), "values cross the distance several times")
    times = load(cluster, client, far)
    passing = far[times.index(max(times))]
    passing.kill()
    load(cluster, client, far)
    passing.start()
    until(lambda: works(lambda: cluster.client(passing).stats()), "it does not come back")

    def somebody_else_passes_on() -> bool:
        times = load(cluster, client, far)
        return is_once(times) and far[times.index(max(times))] is not passing

    until(somebody_else_passes_on, "values cross the distance several times, or by the node that was away")
