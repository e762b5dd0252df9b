"""Batches: all or nothing, reads of what came before, conditions on any operation."""

from __future__ import annotations

import threading
from collections.abc import Callable

from support.client import Client, delete_op, fails, get_op, put_op
from support.protos import atlas_pb2 as pb
from support.server import Server

Key = Callable[..., bytes]


def test_an_operation_sees_the_earlier_ones(client: Client, key: Key) -> None:
    client.put(key("k"), b"old")
    answer = client.batch(
        get_op(key("k")),
        put_op(key("k"), b"new", return_previous=True),
        get_op(key("k")),
        delete_op(key("k"), return_previous=True),
        get_op(key("k")),
        put_op(key("k"), b"last", condition=pb.Condition(absent=True)),
    )
    before, put, middle, deleted, after, last = answer.results
    assert (before.found, before.value) == (True, b"old")
    assert put.previous.value == b"old"
    assert (middle.found, middle.value) == (True, b"new")
    assert (deleted.found, deleted.previous.value) == (True, b"new")
    assert (after.found, after.value, after.version) == (False, b"", 0)
    assert last.success and client.get(key("k")).value == b"last"


def test_all_writes_of_a_batch_have_its_version(client: Client, key: Key) -> None:
    answer = client.batch(*(put_op(key(str(number)), b"v") for number in range(100)))
    assert answer.success and answer.version > 0
    assert {result.version for result in answer.results} == {answer.version}
    assert {item.version for item in client.scan(prefix=key())} == {answer.version}


def test_a_failed_condition_names_its_operation_and_changes_nothing(client: Client, key: Key) -> None:
    present = client.put(key("b"), b"1").version
    answer = client.batch(
        put_op(key("a"), b"2"),
        put_op(key("b"), b"2", condition=pb.Condition(absent=True), return_previous=True),
        put_op(key("c"), b"2", condition=pb.Condition(exists=True)),
    )
    assert (answer.success, answer.failed_index, answer.version) == (False, 1, 0)
    codes = [pb.ResultCode.Name(result.code).removeprefix("RESULT_CODE_") for result in answer.results]
    assert codes == ["NOT_APPLIED", "KEY_EXISTS", "NOT_APPLIED"]
    assert all(not result.success and result.error for result in answer.results)
    failed = answer.results[1]
    assert (failed.current_version, failed.previous.value) == (present, b"1")
    assert [item.key for item in client.scan(prefix=key())] == [key("b")]


def test_a_guard_is_a_get_with_a_condition(client: Client, key: Key) -> None:
    version = client.put(key("guard"), b"open").version
    guard = get_op(key("guard"), condition=pb.Condition(value_equals=b"open"))
    assert client.batch(guard, put_op(key("x"), b"1")).success
    client.put(key("guard"), b"shut")
    refused = client.batch(guard, put_op(key("x"), b"2"))
    assert not refused.success and refused.results[0].code == pb.RESULT_CODE_VALUE_MISMATCH
    assert refused.results[0].current_version > version
    assert client.get(key("x")).value == b"1"


def test_a_batch_that_only_reads(client: Client, key: Key) -> None:
    version = client.put(key("a"), b"1").version
    answer = client.batch(get_op(key("a")), get_op(key("b")), want_receipt=True)
    assert answer.success and answer.version == 0
    assert [result.found for result in answer.results] == [True, False]
    assert answer.results[0].version == version
    assert answer.receipt.owner_node == "atlas-node-1"
    failed = client.batch(get_op(key("b"), condition=pb.Condition(exists=True)))
    assert not failed.success and failed.results[0].code == pb.RESULT_CODE_KEY_ABSENT


def test_a_batch_that_deletes_nothing(client: Client, key: Key) -> None:
    answer = client.batch(delete_op(key("nothing")))
    assert answer.success and not answer.results[0].found


def test_an_operation_that_is_refused_is_named(client: Client, key: Key) -> None:
    with fails("INVALID_ARGUMENT", "KEY_EMPTY") as failure:
        client.batch(put_op(key("a")), put_op(key("b")), put_op(b""))
    assert "operation 2" in failure.message
    assert client.scan(prefix=key()) == []


def test_readers_never_see_half_a_batch(server: Server, key: Key) -> None:
    keys = [key(str(number)) for number in range(20)]
    stop = threading.Event()

    def write() -> None:
        with server.channel() as channel:
            writer, number = Client(channel), 0
            while not stop.is_set():
                number += 1
                writer.batch(*(put_op(each, b"%d" % number) for each in keys))

    thread = threading.Thread(target=write)
    with server.channel() as channel:
        client = Client(channel)
        client.batch(*(put_op(each, b"0") for each in keys))
        thread.start()
        try:
            seen = set()
            for _ in range(200):
                scanned = {(item.value, item.version) for item in client.scan(prefix=key())}
                read = {(result.value, result.version) for result in client.batch(*map(get_op, keys)).results}
                assert len(scanned) == 1 and len(read) == 1
                seen |= scanned
        finally:
            stop.set()
            thread.join()
    assert len(seen) > 3, "the writer did not run beside the readers"


def test_increments_of_a_counter_are_not_lost(server: Server, key: Key) -> None:
    def increment() -> None:
        with server.channel() as channel:
            client = Client(channel)
            for _ in range(50):
                while True:
                    read = client.get(key(), consistent_read=True)
                    value = b"%d" % (int(read.value or b"0") + 1)
                    if client.put(key(), value, condition=pb.Condition(version=read.version)).success:
                        break

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with server.channel() as channel:
        assert Client(channel).get(key()).value == b"200"
