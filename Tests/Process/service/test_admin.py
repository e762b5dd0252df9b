"""`atlas.Admin`: what a node says about itself, and what it does when told to."""

from __future__ import annotations

import time
from collections.abc import Callable

from support.client import Client, fails, put_op
from support.protos import admin_pb2, legacy_pb2
from support.server import Server

Key = Callable[..., bytes]


def operations(stats: object) -> dict[str, object]:
    return {admin_pb2.OperationKind.Name(each.kind).removeprefix("OPERATION_KIND_"): each for each in stats.operations}


def test_stats_of_a_new_node(start_server: Callable[..., Server]) -> None:
    server = start_server()
    with server.channel() as channel:
        stats = Client(channel).stats()
        # The port opens before the first election is over.
        deadline = time.monotonic() + 10
        while not stats.node.is_leader and time.monotonic() < deadline:
            stats = Client(channel).stats()
    assert (stats.node.node_id, stats.node.region_id, stats.node.is_leader) == ("atlas-node-1", 1, True)
    assert stats.node.address == server.address
    assert (len(stats.cluster.nodes), stats.cluster.total_regions) == (1, 1)
    assert stats.cluster.cluster_id
    assert stats.version
    assert abs(stats.started_at.seconds - time.time()) < 60
    assert stats.uptime_ms < 60_000
    assert list(stats.operations) == []
    assert stats.storage.accepts_writes
    assert 0 < stats.storage.disk_free_bytes <= stats.storage.disk_total_bytes
    assert stats.log.segments > 0 and stats.log.size_bytes > 0
    assert (stats.rpc.connections, stats.rpc.streams) == (1, 1)
    assert stats.memory.resident_bytes > 1 << 20
    (tablet,) = stats.tablets
    assert (tablet.start_key, tablet.end_key) == (b"", b"")
    assert (tablet.owner_node, tablet.owner_region) == ("atlas-node-1", 1)
    assert tablet.ballot.node == "atlas-node-1"


def test_the_information_of_the_first_definition(client: Client) -> None:
    stats = client.stats()
    node = legacy_pb2.NodeInfo.FromString(stats.node.SerializeToString())
    assert (node.node_id, node.address, node.region_id) == (stats.node.node_id, stats.node.address, 1)
    assert node.is_leader and abs(node.last_seen.seconds - time.time()) < 60
    cluster = legacy_pb2.ClusterInfo.FromString(stats.cluster.SerializeToString())
    assert [each.node_id for each in cluster.nodes] == [node.node_id]
    assert (cluster.total_regions, cluster.cluster_id) == (1, stats.cluster.cluster_id)


def test_stats_count_what_was_served(start_server: Callable[..., Server]) -> None:
    server = start_server()
    with server.channel() as channel:
        client = Client(channel)
        for number in range(10):
            client.put(b"%d" % number, b"v")
        client.put(b"0", b"w", expected_version=1)
        client.get(b"0")
        client.delete(b"1")
        client.scan(items_per_message=100)
        client.batch(put_op(b"a"), put_op(b"b"))
        with fails("INVALID_ARGUMENT"):
            client.get(b"")
        stats = client.stats()
    counted = operations(stats)
    assert {kind: (each.count, each.errors, each.conditions_failed) for kind, each in counted.items()} == {
        "GET": (2, 1, 0),
        "PUT": (11, 0, 1),
        "DELETE": (1, 0, 0),
        "SCAN": (1, 0, 0),
        "BATCH": (1, 0, 0),
    }
    for each in counted.values():
        assert each.latency.count == each.count
        assert each.latency.p50_us <= each.latency.p99_us <= each.latency.p999_us
        assert 0 < each.latency.max_us < 20_000_000
    assert stats.log.syncs > 0 and stats.log.appended_records >= 12
    assert stats.rpc.received_bytes > 0 and stats.rpc.sent_bytes > 0
    (tablet,) = stats.tablets
    assert tablet.applied_slot == tablet.commit_slot == tablet.last_slot > 0


def test_flush_lets_the_log_go(start_server: Callable[..., Server]) -> None:
    server = start_server(
        {"storage.log_segment_size": "1MiB", "limits.max_batch_size": "256KiB", "limits.max_value_size": "64KiB"}
    )
    with server.channel() as channel:
        client = Client(channel)
        for number in range(400):
            client.put(b"%d" % (number % 50), b"v" * 32_000)
        before = client.stats()
        flush = client.admin.Flush(admin_pb2.FlushRequest(), timeout=20)
        assert flush.duration_us > 0
        end = time.monotonic() + 10
        while client.stats().log.recycled_segments == before.log.recycled_segments and time.monotonic() < end:
            time.sleep(0.05)
        assert client.stats().log.recycled_segments > before.log.recycled_segments
        assert client.stats().storage.table_bytes + client.stats().storage.blob_bytes > 0
    server.restart()
    with server.channel() as channel:
        assert client_values(Client(channel)) == {b"v" * 32_000}


def client_values(client: Client) -> set[bytes]:
    return {item.value for item in client.scan()}


def test_collect_garbage_removes_what_nobody_can_read(start_server: Callable[..., Server]) -> None:
    server = start_server({"storage.num_versions": 1, "storage.history_ttl": "1s"})
    with server.channel() as channel:
        client = Client(channel)
        for number in range(500):
            client.put(b"k%d" % (number % 10), b"v" * 100)
        for number in range(50):
            client.put(b"expiring%d" % number, b"v", ttl_ms=200)
        time.sleep(1.6)
        client.put(b"later")
        collected = client.admin.CollectGarbage(admin_pb2.CollectGarbageRequest(), timeout=20)
        assert collected.history_removed >= 400
        assert collected.expired_removed == 50
        again = client.admin.CollectGarbage(admin_pb2.CollectGarbageRequest(), timeout=20)
        assert again.expired_removed == 0
        assert len(client.scan()) == 11


def test_compact(client: Client, key: Key) -> None:
    for number in range(500):
        client.put(key(str(number % 50)), b"v" * 1000)
    client.admin.Flush(admin_pb2.FlushRequest(), timeout=20)
    compacted = client.admin.Compact(admin_pb2.CompactRequest(), timeout=20)
    assert compacted.duration_us > 0 and compacted.bytes_before > 0 and compacted.bytes_after > 0
    part = client.admin.Compact(admin_pb2.CompactRequest(start_key=key("1"), end_key=key("2")), timeout=20)
    assert part.duration_us > 0
    assert len(client.scan(prefix=key())) == 50
    with fails("INVALID_ARGUMENT", "RANGE_EMPTY"):
        client.admin.Compact(admin_pb2.CompactRequest(start_key=b"b", end_key=b"a"), timeout=20)


def test_reads_and_writes_go_on_meanwhile(server: Server, client: Client, key: Key) -> None:
    calls = [
        call.future(request, timeout=60)
        for _ in range(4)
        for call, request in (
            (client.admin.Flush, admin_pb2.FlushRequest()),
            (client.admin.Compact, admin_pb2.CompactRequest()),
            (client.admin.CollectGarbage, admin_pb2.CollectGarbageRequest()),
        )
    ]
    number = 0
    while not all(call.done() for call in calls) or number < 50:
        number += 1
        version = client.put(key(), b"%d" % number).version
        assert client.get(key()).version == version
    for call in calls:
        call.result()


def test_a_message_that_cannot_be_decoded(client: Client) -> None:
    for method in ("Stats", "Flush", "Compact", "CollectGarbage"):
        call = client.channel.unary_unary(f"/atlas.Admin/{method}")
        with fails("INVALID_ARGUMENT", "MALFORMED_MESSAGE"):
            call(b"\xff\xff", timeout=20)
