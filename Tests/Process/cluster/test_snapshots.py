"""How fast a node that has lost its disk gets its data back."""

from __future__ import annotations

from collections.abc import Callable

from support.client import Client, put_op
from support.cluster import Cluster, Node, until
from support.protos import admin_pb2

StartCluster = Callable[..., Cluster]

ROUND_TRIP_MS = 212
FAR = {(1, 2): ROUND_TRIP_MS}
PART_BYTES = 256 << 10
VALUE_BYTES = 16 << 10
ADMIN_SECONDS = 30


def load(client: Client, size: int) -> None:
    """Writes so many bytes."""
    for first in range(0, size // VALUE_BYTES, 128):
        numbers = range(first, min(first + 128, size // VALUE_BYTES))
        client.batch(*[put_op(b"k/%06d" % number, bytes([number % 251]) * VALUE_BYTES) for number in numbers])


def lose_disk(node: Node, client: Client, size: int) -> None:
    """The node comes back without its disk, and is heard. Meanwhile so many bytes are written."""
    node.kill()
    node.wipe()
    load(client, size)
    node.start()

    def is_heard() -> bool:
        states = client.admin.Cluster(admin_pb2.ClusterRequest(), timeout=ADMIN_SECONDS).nodes
        state = next(state for state in states if state.info.node_id == node.name)
        return not state.is_silent and state.tablets_held == 0

    until(is_heard, "the new disk is not heard of")


def fetch(cluster: Cluster, node: Node, client: Client) -> float:
    """Makes the node a voter again. Returns the seconds until it has the data."""
    client.admin.AddVoter(admin_pb2.AddVoterRequest(node_id=node.name), timeout=ADMIN_SECONDS)
    follower = cluster.client(node)
    return until(lambda: len(follower.stats().tablets) == 1, "it gets no data", 120)


def replace_disk(cluster: Cluster, size: int) -> float:
    """A node that does not own the tablet loses its disk. Returns the seconds that the data takes to get there."""
    owner, lost = sorted(cluster.nodes, key=lambda node: node.name != cluster.owner(node))
    client = cluster.client(owner)
    lose_disk(lost, client, size)
    seconds = fetch(cluster, lost, client)
    print(f"{size >> 10} KiB: {seconds:.2f} s, {size / seconds / 1e6:.2f} MB/s")
    return seconds


def test_a_distance_does_not_make_a_snapshot_slow(start_cluster: StartCluster) -> None:
    """Part by part, each asked for after the one before, it would take a round trip for each."""
    size = 32 << 20
    seconds = replace_disk(start_cluster([1, 1], distances=FAR), size)
    assert seconds < size / PART_BYTES * ROUND_TRIP_MS / 1000 / 2


def test_the_rate_of_snapshots_is_kept(start_cluster: StartCluster) -> None:
    """At the lowest rate a part takes four seconds: longer than the receiver waits for a sender that says nothing."""
    rate = 64 << 10
    parts = 4
    cluster = start_cluster([1, 1], {"transport.snapshot_rate": rate})
    seconds = replace_disk(cluster, parts * PART_BYTES)
    assert seconds > (parts - 1) * PART_BYTES / rate * 0.9
    assert seconds < 2 * parts * PART_BYTES / rate
