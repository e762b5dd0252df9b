"""Wall clocks that are wrong: for seconds, for as long as a node runs, and before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable

from cluster.test_administration import nodes
from cluster.test_status import run
from support.client import Client, request_id
from support.clock import WallClock
from support.cluster import Cluster, Node, until, works
from support.protos import atlas_pb2 as pb

StartCluster = Callable[..., Cluster]

HOUR = 3_600
MINUTE_MS = 60_000
SETTLED = {"region.ownership_policy": "none"}


def version_lead_ms(version: int) -> int:
    """How far a version's time is ahead of the clock."""
    return (version >> 20) - time.time_ns() // 1_000_000


def write(client: Client) -> int:
    """A write as the client libraries send it, and its version."""
    answer = client.put(b"key", b"value", request_id=request_id())
    assert answer.success
    return answer.version


def start(start_cluster: StartCluster, count: int) -> tuple[Cluster, dict[str, WallClock]]:
    cluster = start_cluster([count], SETTLED, start=False)
    clocks = {node.name: WallClock(node) for node in cluster.nodes}
    cluster.start()
    return cluster, clocks


def test_a_cluster_goes_by_the_time_of_most_nodes(start_cluster: StartCluster) -> None:
    cluster, clocks = start(start_cluster, 3)
    owner = cluster[cluster.owner(cluster.nodes[0])]
    other = next(node for node in cluster.nodes if node is not owner)
    clocks[owner.name].set(HOUR)
    until(lambda: "the wall clock is not believed" in owner.output(), "the node does not notice")
    # Longer than a step must stand that no other node contradicts.
    end = time.monotonic() + 12
    while time.monotonic() < end:
        assert version_lead_ms(write(cluster.client(owner))) < MINUTE_MS
        time.sleep(0.5)
    seen = nodes(cluster.client(other))[owner.name]
    assert abs(seen.clock_offset_ms - HOUR * 1_000) < MINUTE_MS
    assert "CLOCK AHEAD BY" in run(other, "status") and "CLOCK AHEAD BY" in run(owner, "status")

    clocks[owner.name].set(0)
    until(lambda: "the wall clock is believed again" in owner.output(), "the node does not notice")
    assert version_lead_ms(write(cluster.client(other))) < MINUTE_MS
    # The other nodes read its clock with its next heartbeat.
    until(lambda: "CLOCK" not in run(other, "status"), "another node goes on to report the clock")


def test_a_node_that_starts_with_a_clock_ahead_stamps_nothing_with_it(start_cluster: StartCluster) -> None:
    cluster, clocks = start(start_cluster, 3)
    owner = cluster[cluster.owner(cluster.nodes[0])]
    write(cluster.client(owner))
    owner.stop()
    clocks[owner.name].set(HOUR)
    owner.start()
    client = cluster.client(owner)
    until(lambda: works(lambda: write(client)), "no write is done")
    run(owner, "tablet", "move", "key", "--to", owner.name)
    assert version_lead_ms(write(client)) < MINUTE_MS


def test_stamps_that_are_ahead_refuse_no_write(start_cluster: StartCluster) -> None:
    """A machine that starts with a wrong clock, and gets the right one later."""
    node: Node
    cluster = start_cluster([1], SETTLED, start=False)
    (node,) = cluster.nodes
    clock = WallClock(node)
    clock.set(HOUR)
    cluster.start()
    client = cluster.client(node)
    assert client.stub.Put(pb.PutRequest(key=b"key"), timeout=5).success
    clock.set(0)
    # What was tried just before the clock was put back could not be told from something new: ten seconds are left out.
    until(lambda: works(lambda: write(client)), "writes are refused")
    once = request_id()
    first = client.put(b"once", b"1", request_id=once)
    assert version_lead_ms(first.version) > HOUR * 1_000 - MINUTE_MS
    again = client.put(b"once", b"1", request_id=once)
    assert again.success and again.version == first.version
    assert "versions ahead by" in run(node, "node", "list")
    assert "ms ahead of the time" in node.output()

    # What lasts two seconds is over after four.
    client.put(b"brief", b"value", ttl_ms=2_000, request_id=request_id())
    until(lambda: client.put(b"brief", b"x", condition=pb.Condition(absent=True)).success, "it lives on", 10)
