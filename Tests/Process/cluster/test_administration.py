"""Nodes come and go, tablets are split, moved and pinned, while the cluster serves."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable

import grpc

from support.client import Client, fails
from support.cluster import Cluster, Node, until, works
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb
from support.server import binary, free_port

StartCluster = Callable[..., Cluster]
ADMIN_SECONDS = 30


class Writer(threading.Thread):
    """Writes all the time, and remembers what was acknowledged."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self.acknowledged: dict[bytes, bytes] = {}
        self.failures = 0
        self._ends = threading.Event()
        self.start()

    def run(self) -> None:
        number = 0
        while not self._ends.is_set():
            key, value = b"w/%03d" % (number % 100), b"%d" % number
            number += 1
            try:
                self.client.stub.Put(pb.PutRequest(key=key, value=value), timeout=5)
                self.acknowledged[key] = value
            except grpc.RpcError:
                # It may have taken effect, or not.
                self.failures += 1
                self.acknowledged.pop(key, None)

    def end(self) -> dict[bytes, bytes]:
        self._ends.set()
        self.join()
        assert self.acknowledged
        return self.acknowledged


def check(client: Client, acknowledged: dict[bytes, bytes]) -> None:
    found = {item.key: item.value for item in client.scan(consistency=pb.CONSISTENCY_CONSISTENT)}
    for key, value in acknowledged.items():
        assert found.get(key) == value, key


def tablets(client: Client) -> list[admin_pb2.TabletInfo]:
    return list(client.admin.ListTablets(admin_pb2.ListTabletsRequest(), timeout=ADMIN_SECONDS).tablets)


def nodes(client: Client) -> dict[str, admin_pb2.NodeState]:
    response = client.admin.Cluster(admin_pb2.ClusterRequest(), timeout=ADMIN_SECONDS)
    return {state.info.node_id: state for state in response.nodes}


def test_a_tablet_is_split_and_its_parts_move(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    client = cluster.client(cluster.nodes[0])
    for number in range(100):
        client.put(b"w/%03d" % number, b"old")
    writer = Writer(client)
    for key in (b"w/050", b"w/025", b"w/075"):
        parts = client.admin.SplitTablet(admin_pb2.SplitTabletRequest(key=key), timeout=ADMIN_SECONDS).tablets
        assert [part.start_key for part in parts][1] == key
    held = tablets(client)
    assert [tablet.start_key for tablet in held] == [b"", b"w/025", b"w/050", b"w/075"]
    assert held[-1].end_key == b""
    for tablet, node in zip(held, cluster.nodes * 2, strict=False):
        request = admin_pb2.MoveTabletRequest(key=tablet.start_key or b"a", node_id=node.name)
        moved = client.admin.MoveTablet(request, timeout=ADMIN_SECONDS)
        assert moved.owner_node == node.name
    acknowledged = writer.end()
    assert writer.failures == 0
    for node in cluster.nodes:
        other = cluster.client(node)
        check(other, acknowledged)
        # Pages of a scan in both directions, over all parts.
        keys = [item.key for item in other.scan(consistency=pb.CONSISTENCY_CONSISTENT)]
        backwards = [item.key for item in other.scan(consistency=pb.CONSISTENCY_CONSISTENT, reverse=True)]
        assert keys == [b"w/%03d" % number for number in range(100)] == backwards[::-1]
    with fails("INVALID_ARGUMENT"):
        client.batch(
            pb.Operation(type=pb.Operation.PUT, key=b"w/000", value=b"1"),
            pb.Operation(type=pb.Operation.PUT, key=b"w/099", value=b"1"),
        )
    # All of it is there after a restart of everything.
    cluster.restart()
    check(cluster.client(cluster.nodes[1]), acknowledged)
    assert len(tablets(cluster.client(cluster.nodes[1]))) == 4


def test_a_node_with_a_new_disk_is_made_a_voter_again(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    client = cluster.client(cluster.nodes[0])
    writer = Writer(client)
    lost = cluster["n13"]
    lost.kill()
    lost.wipe()
    lost.start()
    until(lambda: nodes(client)["n13"].tablets_held == 0, "the new disk is not heard of")
    assert nodes(client)["n13"].tablets == 1
    # The node itself does not know what it has lost.
    command = [str(binary()), "node", "replace", "n13", "--endpoint", lost.address, "--wait", "5s"]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=ADMIN_SECONDS, check=False)
    assert asked.returncode == 2 and "ask another node of the cluster" in asked.stderr
    change = client.admin.AddVoter(admin_pb2.AddVoterRequest(node_id="n13"), timeout=ADMIN_SECONDS)
    assert change.tablets_changed == 1
    again = client.admin.AddVoter(admin_pb2.AddVoterRequest(node_id="n13"), timeout=ADMIN_SECONDS)
    assert (again.tablets_changed, again.tablets_unchanged) == (0, 1)
    follower = cluster.client(lost)
    until(lambda: len(follower.stats().tablets) == 1, "it gets no data")
    acknowledged = writer.end()
    # With it a majority is made again.
    cluster["n12"].kill()
    until(lambda: works(lambda: client.stub.Put(pb.PutRequest(key=b"key"), timeout=1)), "it does not vote")
    check(follower, acknowledged)


def test_a_cluster_grows_and_shrinks(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    client = cluster.client(cluster.nodes[0])
    writer = Writer(client)
    added = Node(cluster.nodes[0].directory.parent / "n14", "n14", 1)
    members = cluster.nodes[0].settings["cluster.nodes"][1:-1]
    added.settings = {
        **cluster.nodes[0].settings,
        "node.id": "n14",
        "cluster.nodes": f'[{members}, {{id: n14, address: "{added.address}", region_id: 1}}]',
    }
    try:
        with fails("INVALID_ARGUMENT"):
            client.admin.AddVoter(admin_pb2.AddVoterRequest(node_id="n14"), timeout=ADMIN_SECONDS)
        request = admin_pb2.AddNodeRequest(node_id="n14", address=added.address, region_id=1)
        client.admin.AddNode(request, timeout=ADMIN_SECONDS)
        with fails("UNAVAILABLE"):
            client.admin.AddVoter(admin_pb2.AddVoterRequest(node_id="n14"), timeout=ADMIN_SECONDS)
        added.start()
        cluster.wait_until_it_serves(added)
        for node in cluster.nodes:
            other = cluster.client(node)
            until(lambda: "n14" in nodes(other) and not nodes(other)["n14"].is_silent, "it is not heard")
        assert client.admin.AddVoter(admin_pb2.AddVoterRequest(node_id="n14"), timeout=ADMIN_SECONDS).tablets_changed
        newcomer = cluster.client(added)
        until(lambda: len(newcomer.stats().tablets) == 1, "it gets no data")
        # One that is there leaves; it says so, and stops.
        leaving = cluster["n12"]
        removed = client.admin.RemoveNode(admin_pb2.RemoveNodeRequest(node_id="n12"), timeout=ADMIN_SECONDS)
        assert removed.tablets_changed == 1
        until(lambda: not leaving.is_running(), "the removed node goes on")
        assert "has been removed" in leaving.output()
        status, output = leaving.start_expecting_refusal()
        assert status != 0 and "has been removed" in output
        # One that is dead leaves as well.
        cluster["n13"].kill()
        removed = client.admin.RemoveNode(admin_pb2.RemoveNodeRequest(node_id="n13"), timeout=ADMIN_SECONDS)
        assert removed.tablets_changed == 1
        acknowledged = writer.end()
        assert set(nodes(newcomer)) == {"n11", "n14"}
        check(newcomer, acknowledged)
        assert newcomer.put(b"key", b"value").success
    finally:
        added.kill()


def test_a_node_comes_back_at_another_address(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    client = cluster.client(cluster.nodes[0])
    moving = cluster["n12"]
    expected = {b"key/%02d" % number: b"%d" % number for number in range(50)}
    for key, value in expected.items():
        assert client.put(key, value).success
    moving.stop()
    former, moving.port = moving.address, free_port()
    moving.settings["cluster.nodes"] = str(moving.settings["cluster.nodes"]).replace(former, moving.address)
    moving.start()
    cluster.wait_until_it_serves(moving)
    check(cluster.client(moving), expected)
    until(lambda: not nodes(client)["n12"].is_silent, "it is not heard")
    for node in cluster.nodes:
        until(lambda: nodes(cluster.client(node))["n12"].info.address == moving.address, "its address is not known")  # noqa: B023
    # It is needed now; and the others find it again when they have been away themselves.
    cluster["n11"].kill()
    survivor = cluster.client(cluster["n13"])
    until(lambda: works(lambda: survivor.stub.Put(pb.PutRequest(key=b"key/00", value=b"0"), timeout=1)), "no majority")
    cluster["n11"].start()
    cluster.wait_until_it_serves(cluster["n11"])
    cluster["n13"].kill()
    first = cluster.client(cluster["n11"])
    until(lambda: works(lambda: first.stub.Put(pb.PutRequest(key=b"key/00", value=b"0"), timeout=1)), "no majority")
    expected[b"key/00"] = b"0"
    check(first, expected)


def test_a_node_without_its_disk_is_found_though_it_knows_dead_nodes_alone(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    lost, first = cluster["n12"], cluster.nodes[0]
    members = str(first.settings["cluster.nodes"])[1:-1]
    newcomers = [Node(first.directory.parent / name, name, 1) for name in ("n14", "n15")]
    listed = ", ".join(
        [members, *(f'{{id: {node.name}, address: "{node.address}", region_id: 1}}' for node in newcomers)]
    )
    try:
        for node in newcomers:
            node.settings = {**first.settings, "node.id": node.name, "cluster.nodes": f"[{listed}]"}
            request = admin_pb2.AddNodeRequest(node_id=node.name, address=node.address, region_id=1)
            cluster.client(first).admin.AddNode(request, timeout=ADMIN_SECONDS)
            node.start()
            cluster.wait_until_it_serves(node)
            voter = admin_pb2.AddVoterRequest(node_id=node.name)
            asked = cluster.client(first)
            until(lambda: works(lambda: asked.admin.AddVoter(voter, timeout=ADMIN_SECONDS)), "it gets no vote")  # noqa: B023
            joined = cluster.client(node)
            until(lambda: len(joined.stats().tablets) == 1, "it gets no data")  # noqa: B023
        client = cluster.client(newcomers[0])
        client.put(b"key", b"value")
        for name in ("n11", "n13"):
            cluster[name].kill()
            gone = admin_pb2.RemoveNodeRequest(node_id=name)
            until(lambda: works(lambda: client.admin.RemoveNode(gone, timeout=ADMIN_SECONDS)), "it is not removed")  # noqa: B023
        lost.kill()
        lost.wipe()
        # Its list names the two that are gone.
        lost.start()
        cluster.wait_until_it_serves(lost)
    finally:
        for node in newcomers:
            node.kill()


def test_a_node_that_was_alone_grows_into_a_cluster(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3], start=False)
    first = cluster.nodes[0]
    members = first.settings.pop("cluster.nodes")
    first.start()
    client = cluster.client(first)
    expected = {b"key/%02d" % number: b"%d" % number for number in range(50)}
    for key, value in expected.items():
        assert client.put(key, value).success
    first.kill()
    first.settings["cluster.nodes"] = members
    # Those that are new do not make a cluster of their own beside it, though they are more.
    for node in reversed(cluster.nodes):
        node.start()
    for node in cluster.nodes:
        cluster.wait_until_it_serves(node)
        check(cluster.client(node), expected)
    for name in ("n12", "n13"):
        until(lambda: not nodes(client)[name].is_silent, "it is not heard")
        assert client.admin.AddVoter(admin_pb2.AddVoterRequest(node_id=name), timeout=ADMIN_SECONDS).tablets_changed == 1
        follower = cluster.client(cluster[name])
        until(lambda: len(follower.stats().tablets) == 1, "it gets no data")
    # It is not needed any more; and who was told of the others once knows them without being told.
    first.kill()
    survivor = cluster.client(cluster["n12"])
    until(lambda: works(lambda: survivor.stub.Put(pb.PutRequest(key=b"key/00", value=b"0"), timeout=1)), "no majority")
    check(survivor, expected)
    first.settings.pop("cluster.nodes")
    first.start()
    cluster.wait_until_it_serves(first)
    check(cluster.client(first), expected)


def test_pins_and_reasons(start_cluster: StartCluster) -> None:
    cluster = start_cluster([1, 1, 1])
    client = cluster.client(cluster.nodes[0])
    client.put(b"key", b"value")
    request = admin_pb2.PinTabletRequest(key=b"key", region_id=3)
    assert client.admin.PinTablet(request, timeout=ADMIN_SECONDS).tablets[0].pinned_region == 3
    until(lambda: cluster.owner(cluster["n31"]) == "n31", "the pin has no effect")
    owner = cluster.client(cluster["n31"])
    explained = owner.admin.ExplainTablet(admin_pb2.ExplainTabletRequest(key=b"key"), timeout=ADMIN_SECONDS)
    assert explained.owner_node == "n31" and "pinned to region 3" in explained.reasons[0]
    with fails("FAILED_PRECONDITION") as failure:
        client.admin.ExplainTablet(admin_pb2.ExplainTabletRequest(key=b"key"), timeout=ADMIN_SECONDS)
    assert failure.detail is not None and failure.detail.owner_node == "n31"
    with fails("INVALID_ARGUMENT"):
        client.admin.PinTablet(admin_pb2.PinTabletRequest(key=b"key", region_id=9), timeout=ADMIN_SECONDS)
    unpinned = client.admin.PinTablet(admin_pb2.PinTabletRequest(key=b"key"), timeout=ADMIN_SECONDS)
    assert unpinned.tablets[0].pinned_region == 0
