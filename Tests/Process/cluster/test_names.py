"""Two processes under the name of one node: the one that runs keeps its place, the other is refused, and both say so."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster.test_administration import ADMIN_SECONDS, nodes
from support.client import fails
from support.cluster import Cluster, Node, until, works
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb

StartCluster = Callable[..., Cluster]
RIVAL_SECONDS = 30.0


@contextmanager
def rival_of(node: Node, *, copies: bool) -> Iterator[Node]:
    """A process with the name of a node, on a new directory or on a copy of the node's."""
    rival = Node(node.directory.parent / f"{node.name}-again", node.name, node.region)
    members = str(node.settings["cluster.nodes"]).replace(node.address, rival.address)
    rival.settings = {**node.settings, "cluster.nodes": members}
    if copies:
        shutil.copytree(node.data, rival.data)
    try:
        yield rival
    finally:
        rival.kill()


def check_place(cluster: Cluster, node: Node) -> None:
    """The others talk to the node, and count on it."""
    for other in cluster.nodes:
        seen = nodes(cluster.client(other))[node.name]
        assert seen.info.address == node.address, other.name
        assert not seen.is_silent, other.name
    third = next(other for other in cluster.nodes[1:] if other is not node)
    third.kill()
    client = cluster.client(cluster.nodes[0])
    until(lambda: works(lambda: client.stub.Put(pb.PutRequest(key=b"key"), timeout=1)), "the node does not vote")
    third.start()


def check_rival(cluster: Cluster, node: Node, rival: Node) -> None:
    until(lambda: "another process runs as node" in rival.output(), "the rival is not told", RIVAL_SECONDS)
    until(lambda: "uses the name of a node that runs" in cluster.nodes[0].output(), "no refusal is logged")
    until(lambda: "uses the name of this node" in node.output(), "the node does not notice", RIVAL_SECONDS)
    client = cluster.client(node)
    until(lambda: nodes(client)[node.name].rival_address == rival.address, "status does not say it", RIVAL_SECONDS)


def test_a_new_directory_does_not_take_the_name_of_a_node_that_runs(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    node = cluster["n12"]
    with rival_of(node, copies=False) as rival:
        rival.launch()
        check_rival(cluster, node, rival)
        check_place(cluster, node)
    until(lambda: works(lambda: cluster.client(node).put(b"key", b"value")), "it does not serve")


def test_a_copy_of_a_directory_does_not_take_the_name_either(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    node = cluster["n12"]
    cluster.client(node).put(b"key", b"value")
    node.kill()
    with rival_of(node, copies=True) as rival:
        node.start()
        cluster.wait_until_it_serves(node)
        rival.launch()
        check_rival(cluster, node, rival)
        # It would go on to show what it had.
        until(lambda: not rival.is_running(), "the copy goes on", RIVAL_SECONDS)
        check_place(cluster, node)


def test_a_voter_gets_its_name_back_from_a_stranger(start_cluster: StartCluster) -> None:
    """It was silent when another process came under its name, without its data."""
    cluster = start_cluster([3])
    node = cluster["n12"]
    client = cluster.client(cluster.nodes[0])
    node.kill()
    with rival_of(node, copies=False) as rival:

        def is_taken() -> bool:
            state = nodes(client)[node.name]
            return state.info.address == rival.address and not state.is_silent and state.tablets_held == 0

        rival.launch()
        until(is_taken, "the stranger does not get in", RIVAL_SECONDS)
        node.start()
        until(lambda: nodes(client)[node.name].tablets_held == 1, "the voter does not come back", RIVAL_SECONDS)
        check_place(cluster, node)
        # Nothing takes the stranger any more.
        until(lambda: not rival.is_running(), "the stranger goes on", RIVAL_SECONDS)
        assert "another process runs as node" in rival.output()


def test_the_address_of_a_node_that_runs_is_not_changed_by_others(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    client = cluster.client(cluster.nodes[0])
    request = admin_pb2.AddNodeRequest(node_id="n12", address="127.0.0.1:1", region_id=1)
    for asked in cluster.nodes:
        asked_client = cluster.client(asked)
        until(lambda: not nodes(asked_client)["n12"].is_silent, "it is not heard")  # noqa: B023
        with fails("FAILED_PRECONDITION"):
            asked_client.admin.AddNode(request, timeout=ADMIN_SECONDS)
    check_place(cluster, cluster["n12"])
    # One that does not run can be told to be elsewhere; once it runs, it says itself where it is.
    node = cluster["n12"]
    node.kill()
    until(lambda: nodes(client)["n12"].is_silent, "its end is not noticed")
    until(lambda: works(lambda: client.admin.AddNode(request, timeout=ADMIN_SECONDS)), "it is held to be alive")
    assert nodes(client)["n12"].info.address == request.address
    node.start()
    for other in cluster.nodes:
        asked_client = cluster.client(other)
        until(lambda: nodes(asked_client)["n12"].info.address == node.address, "its address is lost")  # noqa: B023
        until(lambda: not nodes(asked_client)["n12"].is_silent, "it is not heard")  # noqa: B023


def test_a_node_does_not_change_its_region(start_cluster: StartCluster) -> None:
    cluster = start_cluster([1, 1, 1])
    node = cluster["n31"]
    node.kill()
    before = dict(node.settings)
    members = str(before["cluster.nodes"])
    node.settings["cluster.nodes"] = members.replace(f'"{node.address}", region_id: 3', f'"{node.address}", region_id: 2')
    node.settings["node.region_id"] = 2
    status, output = node.start_expecting_refusal()
    assert status != 0 and "is in region 3 of its cluster" in output
    # Nor with an empty directory.
    node.wipe()
    node.launch()
    until(lambda: "is in region 3 of the cluster" in node.output(), "it is not refused", RIVAL_SECONDS)
    assert nodes(cluster.client(cluster["n11"]))["n31"].info.region_id == 3
    node.kill()
