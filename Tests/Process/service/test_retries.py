"""Exactly once: a retry with the same request id takes effect once, whatever happened in between."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from support.client import Client, delete_op, fails, put_op, request_id
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb
from support.server import Server

Key = Callable[..., bytes]
WINDOW_MS = 60_000


def test_a_put_again(client: Client, key: Key) -> None:
    once = request_id()
    first = client.put(key(), b"1", request_id=once)
    for _ in range(5):
        again = client.put(key(), b"1", request_id=once)
        assert (again.success, again.version) == (True, first.version)
    assert client.get(key()).version == first.version


def test_without_an_id_a_retry_is_another_write(client: Client, key: Key) -> None:
    assert client.put(key(), b"1").version < client.put(key(), b"1").version


def test_another_id_is_another_write(client: Client, key: Key) -> None:
    first = client.put(key(), b"1", request_id=request_id())
    assert client.put(key(), b"1", request_id=request_id()).version > first.version


def test_the_first_answer_of_a_conditional_write_is_not_lost(client: Client, key: Key) -> None:
    created = request_id()
    first = client.put(key(), b"1", request_id=created, condition=pb.Condition(absent=True))
    again = client.put(key(), b"1", request_id=created, condition=pb.Condition(absent=True))
    assert (again.success, again.version) == (True, first.version)
    removed = request_id()
    gone = client.delete(key(), request_id=removed, condition=pb.Condition(exists=True))
    again = client.delete(key(), request_id=removed, condition=pb.Condition(exists=True))
    assert (again.success, again.existed, again.version) == (True, True, gone.version)


def test_the_previous_value_is_that_of_the_first_time(client: Client, key: Key) -> None:
    client.put(key(), b"0")
    once = request_id()
    client.put(key(), b"1", request_id=once, return_previous=True)
    again = client.put(key(), b"1", request_id=once, return_previous=True)
    assert again.previous.value == b"0"


def test_after_other_writes_of_the_key(client: Client, key: Key) -> None:
    once = request_id()
    first = client.put(key(), b"1", request_id=once)
    later = [client.put(key(), b"%d" % number).version for number in range(30)][-1]
    again = client.put(key(), b"1", request_id=once)
    assert again.version == first.version
    assert client.get(key()).version == later


def test_after_a_delete(client: Client, key: Key) -> None:
    once = request_id()
    first = client.put(key(), b"1", request_id=once)
    client.delete(key())
    assert client.put(key(), b"1", request_id=once).version == first.version
    assert not client.get(key()).found


def test_a_delete_again_after_the_key_came_back(client: Client, key: Key) -> None:
    client.put(key(), b"1")
    once = request_id()
    removed = client.delete(key(), request_id=once)
    client.put(key(), b"2")
    again = client.delete(key(), request_id=once)
    assert (again.success, again.existed, again.version) == (True, True, removed.version)
    assert client.get(key()).value == b"2"


def test_at_the_same_time(server: Server, key: Key) -> None:
    """Many attempts at once, over several connections, of increments that would show a second effect."""
    channels = [server.channel() for _ in range(4)]
    clients = [Client(channel) for channel in channels]
    try:
        for number in range(30):
            once, answers = request_id(), []
            start = threading.Barrier(8)

            def attempt(
                client: Client, once: bytes = once, start: threading.Barrier = start, answers: list = answers
            ) -> None:
                start.wait()
                answers.append(client.put(key(), b"x", request_id=once, expected_version=0))

            threads = [threading.Thread(target=attempt, args=(clients[index % 4],)) for index in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(answers) == 8 and {(answer.success, answer.version) for answer in answers} == {
                (True, answers[0].version)
            }, f"round {number}"
    finally:
        for channel in channels:
            channel.close()


def test_a_batch_again(client: Client, key: Key) -> None:
    client.put(key("gone"), b"0")
    once = request_id()
    operations = [
        put_op(key("a"), b"1", condition=pb.Condition(absent=True)),
        put_op(key("b"), b"2"),
        delete_op(key("gone"), return_previous=True),
    ]
    first = client.batch(*operations, request_id=once)
    client.put(key("a"), b"3")
    client.put(key("gone"), b"4")
    again = client.batch(*operations, request_id=once)
    assert again.success and again.version == first.version
    assert [result.version for result in again.results] == [result.version for result in first.results]
    assert again.results[2].previous.value == b"0"
    assert (client.get(key("a")).value, client.get(key("gone")).value) == (b"3", b"4")


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("flushed", [False, True], ids=["in the log", "in the store"])
def test_after_a_restart(start_server: Callable[..., Server], crash: bool, flushed: bool) -> None:
    server = start_server()
    ids = {name: request_id() for name in (b"put", b"overwritten", b"deleted", b"batch")}

    def send(client: Client) -> dict[bytes, int]:
        return {
            b"put": client.put(b"put", b"1", request_id=ids[b"put"], expected_version=0).version,
            b"overwritten": client.put(b"overwritten", b"1", request_id=ids[b"overwritten"]).version,
            b"deleted": client.delete(b"deleted", request_id=ids[b"deleted"]).version,
            b"batch": client.batch(put_op(b"x", b"1"), put_op(b"y", b"1"), request_id=ids[b"batch"]).version,
        }

    with server.channel() as channel:
        client = Client(channel)
        client.put(b"deleted", b"0")
        first = send(client)
        last = client.put(b"overwritten", b"2").version
        if flushed:
            client.admin.Flush(admin_pb2.FlushRequest(), timeout=20)
    if crash:
        server.kill()
    else:
        assert server.stop() == 0
    server.start()
    with server.channel() as channel:
        client = Client(channel)
        assert send(client) == first
        assert client.get(b"overwritten").version == last
        assert client.put(b"new").version > last


def test_ids_that_are_too_old_or_from_the_future(client: Client, key: Key) -> None:
    """Its traces may be gone, so an old id cannot be told from a new one: refused rather than applied twice."""
    for age in (2 * WINDOW_MS, -WINDOW_MS):
        with fails("INVALID_ARGUMENT", "REQUEST_ID_EXPIRED"):
            client.put(key(), b"1", request_id=request_id(age))
        with fails("INVALID_ARGUMENT", "REQUEST_ID_EXPIRED"):
            client.batch(put_op(key(), b"1"), request_id=request_id(age))
    assert not client.get(key()).found
    assert client.put(key(), b"1", request_id=request_id(WINDOW_MS // 3)).success


@pytest.mark.parametrize(
    "malformed",
    [b"\1", b"x" * 15, b"x" * 17, b"\0" * 16, bytes(range(16)), b"x" * 4096],
    ids=lambda each: str(len(each)),
)
def test_ids_that_are_none(client: Client, key: Key, malformed: bytes) -> None:
    for call in (
        lambda: client.put(key(), b"1", request_id=malformed),
        lambda: client.delete(key(), request_id=malformed),
        lambda: client.batch(put_op(key(), b"1"), request_id=malformed),
    ):
        with fails("INVALID_ARGUMENT", "REQUEST_ID_MALFORMED"):
            call()
    assert not client.get(key()).found
