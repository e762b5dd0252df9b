"""Scans: ranges, prefixes, chunks, snapshots while others write, resume points, bounded memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from support.client import CALL_SECONDS, Client, fails, put_op
from support.protos import atlas_pb2 as pb
from support.server import Server

Key = Callable[..., bytes]
MIB = 1 << 20


def load(client: Client, key: Key, count: int, value: bytes = b"v") -> list[bytes]:
    """Keys `0000` to `count`, in order."""
    keys = [key(f"{number:06}") for number in range(count)]
    for start in range(0, count, 500):
        assert client.batch(*(put_op(each, value) for each in keys[start : start + 500])).success
    return keys


def items_of(messages: list[pb.ScanResponse]) -> list[pb.ScanItem]:
    return [item for message in messages for item in message.items]


# Ranges


def test_a_prefix_cuts_the_range(client: Client, key: Key) -> None:
    keys = load(client, key, 30)
    assert [item.key for item in client.scan(prefix=key("00002"))] == keys[20:30]
    assert [item.key for item in client.scan(prefix=key("00002"), start_key=keys[25])] == keys[25:30]
    assert [item.key for item in client.scan(prefix=key("00002"), end_key=keys[25])] == keys[20:25]
    assert client.scan(prefix=key("00002"), start_key=keys[5], end_key=keys[9]) == []


def test_a_prefix_of_the_highest_bytes(client: Client) -> None:
    for each in (b"\xfe", b"\xff", b"\xff\x00", b"\xff\xff", b"\xff\xff\xff"):
        client.put(each)
    assert [item.key for item in client.scan(prefix=b"\xff\xff")] == [b"\xff\xff", b"\xff\xff\xff"]
    assert [item.key for item in client.scan(prefix=b"\xff", reverse=True, limit=2)] == [b"\xff\xff\xff", b"\xff\xff"]
    for item in client.scan(prefix=b"\xff"):
        client.delete(item.key)


@pytest.mark.parametrize("chunk", [0, 1, 7, 1000, 2**32 - 1])
@pytest.mark.parametrize("limit", [0, 1, 10, 99])
@pytest.mark.parametrize("reverse", [False, True])
def test_chunks_limits_and_directions(client: Client, key: Key, chunk: int, limit: int, reverse: bool) -> None:
    keys = sorted(load(client, key, 100), reverse=reverse)
    messages = client.scan(prefix=key(), limit=limit, reverse=reverse, items_per_message=chunk)
    found = items_of(messages) if chunk else messages
    assert [item.key for item in found] == keys[: limit or None]
    assert all(item.value == b"v" for item in found)
    if chunk:
        assert all(len(message.items) <= chunk and not message.key for message in messages)
    assert len({message.snapshot_version for message in messages}) == 1


def test_keys_only(client: Client, key: Key) -> None:
    load(client, key, 10)
    assert [item.value for item in client.scan(prefix=key(), keys_only=True)] == [b""] * 10
    items = items_of(client.scan(prefix=key(), keys_only=True, items_per_message=4))
    assert all(item.value == b"" and item.version > 0 for item in items) and len(items) == 10


def test_an_empty_range_in_chunks_is_one_message(client: Client, key: Key) -> None:
    for options in ({"items_per_message": 10}, {"want_receipt": True}):
        (message,) = client.scan(prefix=key("nothing"), **options)
        assert message.snapshot_version > 0
        assert (message.key, list(message.items)) == (b"", [])


def test_ranges_that_make_no_sense(client: Client) -> None:
    with fails("INVALID_ARGUMENT", "RANGE_EMPTY"):
        client.scan(start_key=b"b", end_key=b"a")
    with fails("INVALID_ARGUMENT", "RANGE_EMPTY"):
        client.scan(start_key=b"a", end_key=b"a")
    with fails("INVALID_ARGUMENT", "LIMIT_NEGATIVE"):
        client.scan(limit=-1)


# Snapshots


@contextmanager
def writing_beside(server: Server, keys: list[bytes]) -> Iterator[None]:
    """Another client changes, deletes and brings back these keys all the time."""
    stop = threading.Event()

    def write() -> None:
        with server.channel() as channel:
            client, number = Client(channel), 0
            while not stop.is_set():
                number += 1
                at = keys[number * 7919 % len(keys)]
                if number % 3 == 0:
                    client.delete(at)
                else:
                    client.put(at, b"later")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_shows_one_state_and_every_item_is_a_resume_point(
    server: Server, client: Client, key: Key, reverse: bool
) -> None:
    keys = load(client, key, 2000, b"first")
    loaded = client.get(keys[-1]).version
    with writing_beside(server, keys):
        time.sleep(0.2)
        first = client.scan(prefix=key(), reverse=reverse)
        snapshot = first[0].snapshot_version
        whole = [(item.key, item.value, item.version) for item in first]
        # The same snapshot, in pieces, each from where the one before ended.
        pieces: list[tuple[bytes, bytes, int]] = []
        bound: dict[str, bytes] = {}
        while True:
            piece = client.scan(prefix=key(), reverse=reverse, at_version=snapshot, limit=300, **bound)
            pieces += [(item.key, item.value, item.version) for item in piece]
            if len(piece) < 300:
                break
            last = piece[-1].key
            bound = {"end_key": last} if reverse else {"start_key": last + b"\0"}
    assert pieces == whole
    assert all(version <= snapshot for _, _, version in whole)
    changed = [version for _, _, version in whole if version > loaded]
    assert changed, "nobody wrote beside the scan"


def test_a_slow_reader_sees_the_state_of_the_beginning(server: Server, client: Client, key: Key) -> None:
    keys = load(client, key, 3000, b"first" * 50)
    stream = client.stub.Scan(pb.ScanRequest(prefix=key()), timeout=60)
    found = [next(stream)]
    for each in keys[::2]:
        client.put(each, b"later")
    client.batch(*(pb.Operation(type=pb.Operation.DELETE, key=each) for each in keys[1::4]))
    found += stream
    assert [item.key for item in found] == keys
    assert {item.value for item in found} == {b"first" * 50}


# Memory


def test_a_big_scan_with_slow_readers_takes_bounded_memory(start_server: Callable[..., Server]) -> None:
    """400 MiB in the range, eight readers that take their time: the server holds a few pages for each."""
    server = start_server({"storage.block_cache_size": "16MiB", "storage.write_buffer_size": "8MiB"})
    with server.channel() as channel:
        client = Client(channel)
        for number in range(400):
            client.put(b"big/%06d" % number, number.to_bytes(4, "big") * (MIB // 4))
    channels = [server.channel() for _ in range(8)]
    try:
        before = server.resident_bytes()
        streams = [Client(each).stub.Scan(pb.ScanRequest(prefix=b"big/"), timeout=90) for each in channels]
        peak = before
        for _ in range(10):
            for stream in streams:
                next(stream)
            time.sleep(0.1)
            peak = max(peak, server.resident_bytes())
        # A reader may have an item on its way, one in its connection's buffers, and a page that is being read.
        assert peak - before < 128 * MIB, f"grew by {(peak - before) // MIB} MiB"
        for stream in streams[1:]:
            stream.cancel()
        rest = list(streams[0])
        assert len(rest) == 390 and rest[-1].value == (399).to_bytes(4, "big") * (MIB // 4)
        assert server.resident_bytes() - before < 128 * MIB
    finally:
        for each in channels:
            each.close()


def test_a_cancelled_scan_lets_go_of_its_stream(server: Server, client: Client, key: Key) -> None:
    load(client, key, 2000, b"v" * 500)
    for _ in range(20):
        stream = client.stub.Scan(pb.ScanRequest(prefix=key()), timeout=CALL_SECONDS)
        next(stream)
        stream.cancel()
    end = time.monotonic() + 5
    while (streams := client.stats().rpc.streams) > 1 and time.monotonic() < end:
        time.sleep(0.05)
    assert streams <= 1
