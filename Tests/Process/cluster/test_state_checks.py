"""Replicas in other regions compare their states with the owner's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import store
from support.cluster import Cluster, Node, until
from support.protos import atlas_pb2 as pb

StartCluster = Callable[..., Cluster]

DIFFERS = "is not that of its owner"


def write(cluster: Cluster, node: Node, prefix: str) -> Node:
    """Returns the owner."""
    for number in range(10):
        answer = cluster.client(node).put(b"%s/%d" % (prefix.encode(), number), b"value", want_receipt=True)
    return cluster[answer.receipt.owner_node]


@pytest.mark.parametrize("enabled", [True, False])
def test_a_copy_that_differs_is_reported(start_cluster: StartCluster, enabled: bool) -> None:
    cluster = start_cluster(
        [1, 1, 1], {"region.region_sync_interval": "200ms", "region.region_sync_enabled": str(enabled).lower()}
    )
    owner = write(cluster, cluster.nodes[0], "before")
    wrong, right = [node for node in cluster.nodes if node is not owner]
    wrong.stop()
    store.change_state_hash(wrong.data)
    wrong.start()
    cluster.wait_until_it_serves(wrong)

    def is_reported() -> bool:
        assert write(cluster, owner, "after") is owner
        return DIFFERS in wrong.output()

    if enabled:
        until(is_reported, "nobody notices")
    else:
        for _ in range(20):
            assert not is_reported()
    assert DIFFERS not in owner.output() + right.output()
    # Which of the two is wrong an operator has to find out: all serve what they have.
    for node in cluster.nodes:
        until(
            lambda: cluster.client(node).get(b"after/9", consistency=pb.CONSISTENCY_LOCAL).found,  # noqa: B023
            "it does not go on",
        )
