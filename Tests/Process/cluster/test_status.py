"""What a cluster says about itself: followers that are behind, leases, and why owners have moved."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable

from support.cluster import Cluster, Node, until, works
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb
from support.server import binary

StartCluster = Callable[..., Cluster]
COMMAND_SECONDS = 30


def run(node: Node, *arguments: str) -> str:
    command = [str(binary()), *arguments, "--endpoint", node.address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=COMMAND_SECONDS).stdout


def status(node: Node) -> dict:
    return json.loads(run(node, "status", "-o", "json"))["cluster"]


def owner_and_others(cluster: Cluster) -> tuple[Node, list[Node]]:
    owner = cluster[cluster.owner(cluster.nodes[0])]
    return owner, [node for node in cluster.nodes if node is not owner]


def lag(node: Node, of: Node) -> int | None:
    states = {state["node_id"]: state for state in status(node)["node_states"]}
    return states[of.name].get("lag_slots")


def test_lag_and_lease_are_seen_from_any_node(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    owner, (asked, slow) = owner_and_others(cluster)
    client = cluster.client(owner)
    until(lambda: [lag(asked, other) for other in (asked, slow)] == [0, 0], "the followers do not catch up")
    slow.signal(signal.SIGSTOP)
    try:
        for number in range(30):
            assert client.put(b"k/%d" % number, b"v").success
        assert lag(asked, slow) == 30
        assert lag(asked, asked) in (0, 1)
        ownership = json.loads(run(asked, "tablet", "show", "k", "-o", "json"))["ownership"]
        assert ownership["has_lease"] and ownership["lease_ms"] > 0
        behind = next(item for item in ownership["followers"] if item["node_id"] == slow.name)
        assert behind["lag_slots"] == 30 and behind["lag_ms"] > 0
        assert f"lag     {min(asked.name, slow.name)}" in run(owner, "tablet", "explain", "k")
    finally:
        slow.signal(signal.SIGCONT)
    until(lambda: lag(asked, slow) == 0, "it does not catch up")
    regions = status(owner)["regions"]
    assert [(region["region_id"], region["lag_slots"]) for region in regions] == [(1, 0)]


def test_moves_carry_their_reasons(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    first, (second, third) = owner_and_others(cluster)
    request = admin_pb2.MoveTabletRequest(key=b"k", node_id=second.name)
    cluster.client(first).admin.MoveTablet(request, timeout=COMMAND_SECONDS)
    moves = status(third)["moves"]
    assert [(move["from_node"], move["to_node"]) for move in moves] == [(first.name, second.name)]
    assert moves[0]["reason"] == "an operator asked for it"

    second.kill()
    read = pb.GetRequest(key=b"k", consistent_read=True)
    until(lambda: works(lambda: cluster.client(third).stub.Get(read, timeout=1)), "nobody takes over", 20)
    moves = status(third)["moves"]
    assert moves[0]["from_node"] == second.name and moves[0]["to_node"] in (first.name, third.name)
    assert "did not answer" in moves[0]["reason"]
    assert "did not answer" in run(third, "status")

    # Who ends hands over first.
    taker = cluster[moves[0]["to_node"]]
    other = next(node for node in (first, third) if node is not taker)
    second.start()
    until(lambda: lag(other, second) == 0, "it does not catch up")
    taker.stop()
    moves = status(other)["moves"]
    assert moves[0]["from_node"] == taker.name and moves[0]["reason"] == "the old owner handed over"


def test_two_nodes_that_do_not_reach_each_other_are_no_reserve(start_cluster: StartCluster) -> None:
    """The node that is asked reaches both: without it the others are no quorum."""
    settings = {"consensus.heartbeat_interval": "200ms", "consensus.election_timeout": "1s"}
    cluster = start_cluster([3], settings, distances={})
    owner, (one, other) = owner_and_others(cluster)
    until(lambda: status(owner)["survives"]["text"] == "any 1 node", "the cluster does not settle")
    cluster.network.cut_links([(one.name, other.name)])
    broken = sorted([one.name, other.name])
    until(lambda: status(owner)["broken_links"] == [broken], "the broken link is not seen")
    assert status(owner)["survives"]["text"] == "no failure"
    assert f"DO NOT REACH EACH OTHER: {broken[0]} and {broken[1]}." in run(owner, "status")

    cluster.network.heal()
    until(lambda: status(owner)["survives"]["text"] == "any 1 node", "the link is not seen to work again")
