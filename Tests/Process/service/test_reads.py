"""How fresh a read is, and which state it shows: consistencies, min_version, at_version, ttl, receipts."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from support.client import Client, fails
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb
from support.server import Server

Key = Callable[..., bytes]
FAR_AHEAD = 2**63 - 1


@pytest.mark.parametrize("consistency", pb.Consistency.keys())
@pytest.mark.parametrize("consistent_read", [False, True])
def test_one_node_reads_its_own_writes_at_every_consistency(
    client: Client, key: Key, consistency: str, consistent_read: bool
) -> None:
    for number in range(10):
        version = client.put(key(), b"%d" % number).version
        options = {"consistency": pb.Consistency.Value(consistency), "consistent_read": consistent_read}
        found = client.get(key(), **options)
        assert (found.value, found.version) == (b"%d" % number, version)
        del options["consistent_read"]
        (item,) = client.scan(prefix=key(), **options)
        assert (item.value, item.version) == (b"%d" % number, version)


@pytest.mark.parametrize("level", pb.WriteLevel.keys())
def test_every_write_level(client: Client, key: Key, level: str) -> None:
    number = pb.WriteLevel.Value(level)
    assert client.put(key(), b"1", write_level=number).success
    assert client.get(key(), consistency=pb.CONSISTENCY_CONSISTENT).value == b"1"
    assert client.delete(key(), write_level=number).existed


def test_enum_values_that_the_server_does_not_know(client: Client, key: Key) -> None:
    for call in (
        lambda: client.get(key(), consistency=99),
        lambda: client.scan(consistency=99),
        lambda: client.put(key(), b"", write_level=99),
        lambda: client.delete(key(), write_level=99),
        lambda: client.batch(pb.Operation(type=99, key=key())),
        lambda: client.batch(write_level=99),
    ):
        with fails("INVALID_ARGUMENT", "UNKNOWN_VALUE") as failure:
            call()
        assert "99" in failure.message


def test_max_staleness_is_met_by_the_owner(client: Client, key: Key) -> None:
    version = client.put(key(), b"1").version
    assert client.get(key(), consistency=pb.CONSISTENCY_LOCAL, max_staleness_ms=1).version == version


def test_min_version(client: Client, key: Key) -> None:
    version = client.put(key(), b"1").version
    assert client.get(key(), min_version=version).version == version
    removed = client.delete(key()).version
    assert not client.get(key(), min_version=removed).found
    with fails("OUT_OF_RANGE", "VERSION_IN_FUTURE") as failure:
        client.get(key(), min_version=FAR_AHEAD)
    assert failure.detail.newest_version >= removed


@pytest.mark.parametrize("option", ["min_version", "at_version"])
def test_negative_versions_are_refused(client: Client, key: Key, option: str) -> None:
    for call in (lambda: client.get(key(), **{option: -1}), lambda: client.scan(**{option: -1})):
        with fails("INVALID_ARGUMENT", "INVALID_ARGUMENT") as failure:
            call()
        assert option in failure.message


def test_at_version_shows_each_state_that_there_was(client: Client, key: Key) -> None:
    versions = [client.put(key(), b"%d" % number).version for number in range(5)]
    removed = client.delete(key()).version
    again = client.put(key(), b"again").version
    for number, version in enumerate(versions):
        found = client.get(key(), at_version=version)
        assert (found.value, found.version) == (b"%d" % number, version)
    assert not client.get(key(), at_version=versions[0] - 1).found
    assert not client.get(key(), at_version=removed).found
    assert not client.get(key(), at_version=again - 1).found
    assert client.get(key(), at_version=again).value == b"again"


def test_at_version_in_the_future(client: Client, key: Key) -> None:
    client.put(key())
    for call in (lambda: client.get(key(), at_version=FAR_AHEAD), lambda: client.scan(at_version=FAR_AHEAD)):
        with fails("OUT_OF_RANGE", "VERSION_IN_FUTURE") as failure:
            call()
        assert 0 < failure.detail.newest_version < FAR_AHEAD


def test_at_version_below_what_is_retained(start_server: Callable[..., Server]) -> None:
    server = start_server({"storage.num_versions": 1, "storage.history_ttl": "1s"})
    with server.channel() as channel:
        client = Client(channel)
        oldest = client.put(b"k", b"0").version
        newest = [client.put(b"k", b"%d" % number).version for number in range(1, 20)][-1]
        assert client.get(b"k", at_version=oldest).value == b"0"
        time.sleep(1.5)
        client.put(b"other")
        client.admin.CollectGarbage(admin_pb2.CollectGarbageRequest(), timeout=20)
        for call in (lambda: client.get(b"k", at_version=oldest), lambda: client.scan(at_version=oldest)):
            with fails("OUT_OF_RANGE", "VERSION_NOT_RETAINED") as failure:
                call()
            assert failure.detail.oldest_version > oldest
        readable = failure.detail.oldest_version
        assert client.get(b"k", at_version=max(readable, newest)).value == b"19"
        assert client.get(b"k").value == b"19"


# Time to live


def test_a_key_counts_as_absent_after_its_time(client: Client, key: Key) -> None:
    written = client.put(key(), b"1", ttl_ms=700)
    assert client.get(key()).value == b"1"
    time.sleep(1.0)
    assert not client.get(key()).found
    assert client.scan(prefix=key()) == []
    # Expired is absent for conditions as well.
    assert not client.put(key(), b"2", condition=pb.Condition(exists=True)).success
    assert not client.put(key(), b"2", expected_version=written.version).success
    assert client.put(key(), b"2", condition=pb.Condition(absent=True)).success


def test_an_expired_key_is_there_in_the_past(client: Client, key: Key) -> None:
    version = client.put(key(), b"1", ttl_ms=300).version
    time.sleep(0.6)
    client.put(key("other"))
    assert client.get(key(), at_version=version).value == b"1"
    assert not client.get(key()).found


def test_a_write_without_ttl_takes_the_expiry_away(client: Client, key: Key) -> None:
    client.put(key(), b"1", ttl_ms=300)
    client.put(key(), b"2")
    time.sleep(0.6)
    assert client.get(key()).value == b"2"


def test_a_ttl_outlives_a_restart(start_server: Callable[..., Server]) -> None:
    server = start_server()
    with server.channel() as channel:
        client = Client(channel)
        client.put(b"short", b"1", ttl_ms=100)
        client.put(b"long", b"1", ttl_ms=600_000)
    server.restart()
    time.sleep(0.2)
    with server.channel() as channel:
        client = Client(channel)
        assert not client.get(b"short").found
        assert client.get(b"long").found


def test_a_ttl_beyond_all_sense_is_refused(client: Client, key: Key) -> None:
    with fails("INVALID_ARGUMENT", "INVALID_ARGUMENT"):
        client.put(key(), b"1", ttl_ms=2**64 - 1)


# Receipts


def test_receipts_of_writes(client: Client, key: Key) -> None:
    put = client.put(key(), b"1", want_receipt=True)
    delete = client.delete(key(), want_receipt=True)
    batch = client.batch(pb.Operation(type=pb.Operation.PUT, key=key()), want_receipt=True)
    slots = []
    for receipt in (put.receipt, delete.receipt, batch.receipt):
        assert (receipt.owner_node, receipt.owner_region) == ("atlas-node-1", 1)
        assert receipt.ballot.counter > 0 and receipt.ballot.node == "atlas-node-1"
        assert receipt.tablet > 0
        assert receipt.path == pb.Receipt.PATH_FAST
        assert list(receipt.quorum_regions) == [1]
        assert receipt.staleness_ms == 0
        assert 0 < receipt.server_time_us < 20_000_000
        slots.append(receipt.slot)
    assert slots == sorted(set(slots)) and slots[0] > 0


def test_receipts_of_reads(client: Client, key: Key) -> None:
    slot = client.put(key(), b"1", want_receipt=True).receipt.slot
    get = client.get(key(), want_receipt=True)
    (message,) = client.scan(prefix=key(), want_receipt=True)
    for receipt in (get.receipt, message.receipt):
        assert receipt.owner_node == "atlas-node-1"
        assert receipt.path == pb.Receipt.PATH_LOCAL
        assert list(receipt.quorum_regions) == []
        assert receipt.slot >= slot
        assert receipt.staleness_ms == 0


def test_no_receipt_unless_asked_for(client: Client, key: Key) -> None:
    assert not client.put(key(), b"1").HasField("receipt")
    assert not client.get(key()).HasField("receipt")
    assert not client.scan(prefix=key())[0].HasField("receipt")
