"""The disk of one node of several is full: the others go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.client import fails, request_id
from support.cluster import Cluster, until, works
from support.disk import NoLoopDevice, occupy, small_disk
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb

StartCluster = Callable[..., Cluster]
MIB = 1 << 20
ADMIN_SECONDS = 30
RESERVE = 32 * MIB
# In which nodes hand over what they own.
SETTLE_SECONDS = 6.0
WRITES = 60
VALUE = b"v" * 60_000
# The node looks every second, and hands over.
PAUSE_SECONDS = 10.0
SETTINGS: dict[str, object] = {
    "storage.disk_reserve": "32MiB",
    "storage.log_segment_size": "2MiB",
    "storage.log_retain_size": "4MiB",
    "storage.write_buffer_size": "1MiB",
    "limits.max_batch_size": "1MiB",
    "limits.max_value_size": "256KiB",
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    try:
        mounted = small_disk(tmp_path / "small", 320 * MIB)
        path = mounted.__enter__()
    except NoLoopDevice as reason:
        pytest.skip(f"NOT TESTED, a full disk: {reason}")
    try:
        yield path
    finally:
        mounted.__exit__(None, None, None)


@pytest.mark.parametrize("who", ["owner", "follower"])
def test_the_others_go_on(start_cluster: StartCluster, disk: Path, who: str) -> None:
    cluster = start_cluster([3], SETTINGS, start=False)
    full, healthy = cluster["n11"], cluster["n12"]
    full.data = disk / "data"
    cluster.start()
    client, client_of_full = cluster.client(healthy), cluster.client(full)
    owner = "n11" if who == "owner" else "n12"
    client.admin.MoveTablet(admin_pb2.MoveTabletRequest(key=b"key", node_id=owner), timeout=ADMIN_SECONDS)
    assert client.put(b"before", VALUE, want_receipt=True).receipt.owner_node == owner
    occupy(disk / "filler", leaving=0)
    # It has room for a few seconds of this at most.
    for number in range(WRITES):
        request = pb.PutRequest(key=b"key/%03d" % number, value=VALUE, request_id=request_id())
        until(lambda: works(lambda: client.stub.Put(request, timeout=2)), "the others do not go on", PAUSE_SECONDS)  # noqa: B023
    assert cluster.owner(healthy) != "n11"
    if who == "owner":
        moves = cluster.stats(full).moves
        assert any("out of space" in move.reason for move in moves), moves
    # It takes nothing new itself, and shows what there is.
    with fails("RESOURCE_EXHAUSTED", "DISK_FULL"):
        client_of_full.stub.Put(pb.PutRequest(key=b"through/it", value=VALUE), timeout=5)
    assert client_of_full.get(b"key/000", consistent_read=True).value == VALUE
    (disk / "filler").unlink()
    until(lambda: works(lambda: client_of_full.stub.Put(pb.PutRequest(key=b"through/it", value=VALUE), timeout=2)), "no write")
    caught_up = pb.GetRequest(key=b"through/it", consistency=pb.CONSISTENCY_LOCAL, max_staleness_ms=2_000)
    until(
        lambda: works(lambda: client_of_full.stub.Get(caught_up, timeout=2))
        and client_of_full.stub.Get(caught_up, timeout=2).value == VALUE,
        "it does not catch up",
    )


def test_all_are_full(start_cluster: StartCluster, disk: Path) -> None:
    """Who owns settles, reads go on, and so do deletes."""
    cluster = start_cluster([3], SETTINGS, start=False)
    for node in cluster.nodes:
        node.data = disk / node.name
    cluster.start()
    client = cluster.client(cluster.nodes[0])
    for number in range(20):
        assert client.put(b"key/%03d" % number, VALUE).success
    occupy(disk / "filler", leaving=RESERVE * 3 // 4)
    deadline = time.monotonic() + SETTLE_SECONDS
    with fails("RESOURCE_EXHAUSTED", "DISK_FULL"):
        while time.monotonic() < deadline:
            client.stub.Put(pb.PutRequest(key=b"another", value=VALUE), timeout=2)
            time.sleep(0.2)
    time.sleep(SETTLE_SECONDS)
    owner = cluster.owner(cluster.nodes[0])
    for number in range(20):
        name = b"key/%03d" % number
        until(lambda: works(lambda: client.stub.Get(pb.GetRequest(key=name, consistent_read=True), timeout=2)), "no read")  # noqa: B023
        until(lambda: works(lambda: client.stub.Delete(pb.DeleteRequest(key=name), timeout=2)), "no delete")  # noqa: B023
        time.sleep(0.1)
    assert cluster.owner(cluster.nodes[0]) == owner
    (disk / "filler").unlink()
    until(lambda: works(lambda: client.stub.Put(pb.PutRequest(key=b"another", value=VALUE), timeout=2)), "no write")
