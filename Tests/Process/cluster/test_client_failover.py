"""The client of `atlas-db` with several endpoints: nodes come and go, and its operations go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from support.client import Client
from support.cluster import Cluster, Node, until
from support.protos import admin_pb2
from support.server import binary

StartCluster = Callable[..., Cluster]


class Bench:
    """`atlas-db bench` on all nodes, with reads and writes that are repeated as clients do by default."""

    def __init__(self, cluster: Cluster, seconds: int) -> None:
        endpoints = [argument for node in cluster.nodes for argument in ("--endpoint", node.address)]
        self.process = subprocess.Popen(
            [
                *(str(binary()), "bench", "--retry", "--timeout", "20s", "--duration", f"{seconds}s"),
                *("--keys", "1000", "--in-flight", "16", "-o", "json", *endpoints),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.seconds = seconds

    def result(self) -> dict[str, object]:
        output, _ = self.process.communicate(timeout=self.seconds + 60)
        assert self.process.returncode == 0
        return json.loads(output)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def operations(client: Client) -> int:
    return sum(kind.count for kind in client.stats().operations)


def asked(cluster: Cluster) -> Node:
    """The node that gets the operations."""
    before = {node.name: operations(cluster.client(node)) for node in cluster.nodes}
    found: list[Node] = []

    def look() -> bool:
        found[:] = [node for node in cluster.nodes if operations(cluster.client(node)) >= before[node.name] + 200]
        return bool(found)

    until(look, "no node gets operations")
    return found[0]


def move(cluster: Cluster, to: Node) -> None:
    """Makes a node the owner of everything."""
    request = admin_pb2.MoveTabletRequest(key=b"key", node_id=to.name)
    moved = cluster.client(to).admin.MoveTablet(request, timeout=30)
    assert moved.owner_node == to.name


@pytest.mark.parametrize("what", ["the owner", "a follower", "the owner, without a word"])
def test_the_node_that_is_asked_fails(start_cluster: StartCluster, what: str) -> None:
    """Operations go on through the others, and none fails."""
    cluster = start_cluster([3])
    bench = Bench(cluster, 18)
    lost: Node | None = None
    try:
        lost = asked(cluster)
        others = [node for node in cluster.nodes if node is not lost]
        move(cluster, others[0] if what == "a follower" else lost)
        if what.endswith("without a word"):
            # It keeps its connections and says nothing: the client does not wait for it until the end.
            os.kill(lost.pid, signal.SIGSTOP)
        else:
            lost.kill()
        before = sum(operations(cluster.client(node)) for node in others)
        result = bench.result()
    finally:
        bench.kill()
        if lost is not None and lost.is_running():
            os.kill(lost.pid, signal.SIGCONT)
    assert result["errors"] == {}, result
    assert result["outcome_unknown"] == 0
    assert sum(operations(cluster.client(node)) for node in others) > before + 200
    assert cluster.client(others[0]).put(b"key", b"value").success
