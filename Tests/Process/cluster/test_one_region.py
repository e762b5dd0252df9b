"""Three nodes of one region: they form a cluster, replicate, and go on without one of them."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import grpc
import pytest

from support.client import Client, Failure, fails, request_id
from support.cluster import Cluster, Node, until, works
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb
from support.session import Session

StartCluster = Callable[..., Cluster]


def put_until_it_works(client: Client, key: bytes, value: bytes, within: float = 20) -> float:
    """One write, tried again with its request id. Returns the seconds that it took."""
    once = request_id()
    request = pb.PutRequest(key=key, value=value, request_id=once)
    return until(lambda: works(lambda: client.stub.Put(request, timeout=1)), "the write does not work", within)


def check(client: Client, expected: dict[bytes, bytes]) -> None:
    """A consistent scan shows exactly this."""
    found = client.scan(consistency=pb.CONSISTENCY_CONSISTENT)
    assert {item.key: item.value for item in found} == expected


def write(client: Client, expected: dict[bytes, bytes], prefix: str, count: int) -> None:
    for number in range(count):
        key, value = f"{prefix}/{number:04}".encode(), f"{prefix}-{number}".encode()
        assert client.put(key, value).success
        expected[key] = value


def others(cluster: Cluster, *absent: Node) -> list[Node]:
    return [node for node in cluster.nodes if node not in absent]


def test_every_node_serves_everything(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    expected: dict[bytes, bytes] = {}
    for node in cluster.nodes:
        write(cluster.client(node), expected, node.name, 20)
    for node in cluster.nodes:
        client = cluster.client(node)
        check(client, expected)
        key = next(iter(expected))
        answer = client.get(key, consistent_read=True, want_receipt=True)
        assert answer.value == expected[key]
        is_owner = answer.receipt.owner_node == node.name
        assert answer.receipt.path == (pb.Receipt.PATH_LOCAL if is_owner else pb.Receipt.PATH_FORWARDED)
        assert client.batch(pb.Operation(type=pb.Operation.GET, key=key)).results[0].value == expected[key]
    identities = {cluster.client(node).stats().cluster.cluster_id for node in cluster.nodes}
    assert len(identities) == 1


def test_copies_show_a_write_soon(start_cluster: StartCluster) -> None:
    # What has been chosen waits for the next message to the same node, but not for a heartbeat.
    cluster = start_cluster([3])
    owner = cluster[cluster.owner(cluster.nodes[0])]
    copy = cluster.client(others(cluster, owner)[0])
    seconds = []
    for number in range(15):
        value = b"%d" % number
        cluster.client(owner).put(b"k", value)
        shown = until(lambda: copy.get(b"k", consistency=pb.CONSISTENCY_LOCAL).value == value, "it is not shown")
        seconds.append(shown)
    assert statistics.median(seconds) < 0.1, seconds


def test_traffic_is_counted_for_each_peer(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])

    def peer(node: Node, other: Node) -> admin_pb2.PeerStats:
        return next(peer for peer in cluster.client(node).stats().peers if peer.node_id == other.name)

    owner = cluster[cluster.owner(cluster.nodes[0])]
    first, second = others(cluster, owner)
    value = b"v" * 10_000
    for number in range(50):
        cluster.client(owner).put(b"k%d" % number, value)
    sent = peer(owner, first)
    assert sent.sent_bytes > 50 * len(value) and sent.sent_messages > 50 and sent.links_total >= 1
    until(lambda: peer(first, owner).received_bytes >= sent.sent_bytes, "what was sent is not received")
    assert peer(first, owner).received_bytes <= peer(owner, first).sent_bytes
    assert peer(first, owner).received_messages <= peer(owner, first).sent_messages
    second.kill()
    until(lambda: peer(owner, second).dropped_messages > 0, "nothing is dropped for a node that is away")
    assert peer(owner, second).queued_bytes == 0


def test_nodes_start_in_any_order(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3], start=False)
    # The one that forms the cluster comes last.
    for node in reversed(cluster.nodes):
        node.start()
        time.sleep(0.3)
    with fails("UNAVAILABLE", "STARTING") as failure:
        # No node serves before all have been heard of, and it says which are missing.
        alone = start_cluster([2], start=False).nodes[0].start()
        with alone.channel() as channel:
            time.sleep(1)
            Client(channel).put(b"key", b"value")
    assert "waiting for n12" in failure.message
    for node in cluster.nodes:
        cluster.wait_until_it_serves(node)
    assert cluster.client(cluster.nodes[1]).put(b"key", b"value").success


def test_conditions_and_retries_through_a_follower(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    owner = cluster.owner(cluster.nodes[0])
    follower = cluster.client(next(node for node in cluster.nodes if node.name != owner))
    once = request_id()
    first = follower.put(b"key", b"1", request_id=once, condition=pb.Condition(absent=True), want_receipt=True)
    assert first.success and first.receipt.owner_node == owner
    assert first.receipt.path == pb.Receipt.PATH_FORWARDED
    for node in cluster.nodes:
        again = cluster.client(node).put(b"key", b"1", request_id=once, condition=pb.Condition(absent=True))
        assert (again.success, again.version) == (True, first.version)
    failed = follower.put(b"key", b"2", expected_version=first.version - 1)
    assert (failed.success, failed.current_version) == (False, first.version)


def test_without_the_owner(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    expected: dict[bytes, bytes] = {}
    write(cluster.client(cluster.nodes[0]), expected, "before", 50)
    owner = cluster[cluster.owner(cluster.nodes[0])]
    left = others(cluster, owner)
    client = cluster.client(left[0])
    owner.kill()
    took = put_until_it_works(client, b"after", b"1")
    expected[b"after"] = b"1"
    assert took < 10
    check(client, expected)
    # It comes back, and hears what it has missed.
    owner.start()
    cluster.wait_until_it_serves(owner)
    check(cluster.client(owner), expected)


def test_stopping_a_node_takes_no_time(start_cluster: StartCluster) -> None:
    """What other nodes have open here does not keep it, and what it owned is owned by another before it is gone."""
    cluster = start_cluster([3])
    owner = cluster[cluster.owner(cluster.nodes[0])]
    client = cluster.client(others(cluster, owner)[0])
    client.put(b"key", b"before")
    began = time.monotonic()
    assert owner.stop() == 0
    assert time.monotonic() - began < 5
    # Nobody had to become suspicious first, which takes a second.
    assert put_until_it_works(client, b"key", b"after") < 0.9


class Writer:
    """Writes one key at one node, again and again, each time once, and notes when it was told that this was done."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._is_over = threading.Event()
        self._times = [time.monotonic()]
        self._failures: list[str] = []
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        while not self._is_over.is_set():
            try:
                assert self._client.put(b"written", b"value").success
            except grpc.RpcError as error:
                self._failures.append(str(error))
                time.sleep(0.05)
            self._times.append(time.monotonic())

    def stop(self) -> tuple[float, list[str]]:
        """The longest pause, in seconds, and what failed."""
        self._is_over.set()
        self._thread.join()
        return max(after - before for before, after in pairwise(self._times)), self._failures


def test_a_rolling_restart_loses_no_call_and_pauses_nothing_for_long(start_cluster: StartCluster) -> None:
    """Each owner in turn, as soon as the one before it serves again, under writes at both other nodes and with a session that
    its client leaves open. Suspicion takes two seconds."""
    cluster = start_cluster([3])
    pauses = []
    for _ in range(4):
        owner = cluster[cluster.owner(cluster.nodes[0])]
        left = others(cluster, owner)
        writers = [Writer(cluster.client(node)) for node in left]
        with Session(cluster.client(owner)) as session:
            session.send(pb.SessionCall(id=1, put=pb.PutRequest(key=b"session", value=b"value")))
            assert session.answer(1).put.success
            assert owner.stop() == 0
            assert session.ended.wait(5)
            assert session.error is not None
            failure = Failure()
            failure.take(session.error)
        time.sleep(1)
        for writer in writers:
            pause, failures = writer.stop()
            assert not failures
            pauses.append(round(pause, 3))
        assert failure.code == "SHUTTING_DOWN"
        assert failure.detail is not None
        assert failure.detail.owner_node == cluster.owner(left[0])
        assert failure.detail.owner_address == cluster[failure.detail.owner_node].address
        owner.start()
        cluster.wait_until_it_serves(owner)
    print(f"pauses: {pauses}")
    assert max(pauses) < 0.3


def test_a_request_without_a_deadline_does_not_wait_for_ever(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3], {"transport.request_timeout": "2s"})
    client = cluster.client(cluster.nodes[0])
    assert client.put(b"key", b"value").success
    for node in cluster.nodes[1:]:
        node.kill()
    time.sleep(4)
    began = time.monotonic()
    with fails("UNAVAILABLE") as failure:
        client.stub.Put(pb.PutRequest(key=b"key", value=b"later"))
    # What an owner has proposed may take effect yet; whether it is one or not, it says whom it misses.
    detail = failure.detail
    assert detail is not None
    assert set(detail.missing_nodes) == {"n12", "n13"}
    assert list(detail.missing_regions) == [1]
    for read in (
        lambda: client.stub.Get(pb.GetRequest(key=b"key", consistent_read=True)),
        lambda: list(client.stub.Scan(pb.ScanRequest(consistency=pb.CONSISTENCY_CONSISTENT))),
    ):
        with fails("UNAVAILABLE"):
            read()
    # Two seconds each, and what a busy machine adds.
    assert 5.5 < time.monotonic() - began < 20


def test_without_a_majority(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    expected: dict[bytes, bytes] = {}
    write(cluster.client(cluster.nodes[0]), expected, "before", 5)
    for node in cluster.nodes[1:]:
        node.kill()
    client = cluster.client(cluster.nodes[0])
    time.sleep(4)
    with fails("UNAVAILABLE") as failure:
        client.stub.Get(pb.GetRequest(key=b"key", consistent_read=True), timeout=3)
    assert failure.detail is not None
    assert set(failure.detail.missing_nodes) == {"n12", "n13"}
    # What is near enough is served even so.
    key = next(iter(expected))
    assert client.get(key, consistency=pb.CONSISTENCY_LOCAL).value == expected[key]
    for node in cluster.nodes[1:]:
        node.start()
    cluster.wait_until_it_serves(cluster.nodes[0])
    check(client, expected)


def test_all_are_killed_and_come_back(start_cluster: StartCluster) -> None:
    cluster = start_cluster([3])
    expected: dict[bytes, bytes] = {}
    for round in range(3):
        write(cluster.client(cluster.nodes[round]), expected, f"round{round}", 30)
        cluster.restart()
        check(cluster.client(cluster.nodes[0]), expected)


def test_a_node_that_missed_more_than_the_log_holds(start_cluster: StartCluster) -> None:
    """It gets a snapshot."""
    cluster = start_cluster([3])
    expected: dict[bytes, bytes] = {}
    write(cluster.client(cluster.nodes[0]), expected, "before", 10)
    absent = cluster["n13"]
    absent.kill()
    client = cluster.client(cluster.nodes[0])
    cluster.wait_until_it_serves(cluster.nodes[0])
    value = bytes(64 << 10)
    # More than is kept in memory for a follower (`Limits.retainedBytesMax`).
    for number in range(1_400):
        key = b"large/%04d" % (number % 200)
        assert client.put(key, value + b"%d" % number).success
        expected[key] = value + b"%d" % number
    for node in others(cluster, absent):
        cluster.client(node).admin.Flush(admin_pb2.FlushRequest())
    absent.start()
    target = client.stats().tablets[0].applied_slot
    follower = cluster.client(absent)
    until(lambda: follower.stats().tablets[0].applied_slot >= target, "it does not catch up")
    assert follower.stats().tablets[0].state_hash == client.stats().tablets[0].state_hash
    check(follower, expected)


def test_a_lost_disk_does_not_vote(start_cluster: StartCluster) -> None:
    """A node without its disk comes back as a stranger: with it no majority is made."""
    cluster = start_cluster([3])
    expected: dict[bytes, bytes] = {}
    write(cluster.client(cluster.nodes[0]), expected, "before", 10)
    lost, absent = cluster["n12"], cluster["n13"]
    lost.kill()
    lost.wipe()
    lost.start()
    cluster.wait_until_it_serves(lost)
    check(cluster.client(lost), expected)
    assert len(cluster.client(lost).stats().tablets) == 0
    absent.kill()
    with pytest.raises(grpc.RpcError):
        cluster.client(cluster.nodes[0]).stub.Put(pb.PutRequest(key=b"key", value=b"1"), timeout=5)
    absent.start()
    put_until_it_works(cluster.client(cluster.nodes[0]), b"key", b"1")
