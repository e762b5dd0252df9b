"""`Session`: many calls on one stream, each answered once, in any order; one that fails takes no other along."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from support.client import Client, delete_op, get_op, put_op, request_id
from support.protos import atlas_pb2 as pb
from support.server import Server
from support.session import Session, cancel_call, credit_call, error_of, get_call, put_call, scan_call

Key = Callable[..., bytes]
CREDIT_AT_FIRST = 4
CALLS_MAX = 4096
MIB = 1 << 20


@pytest.fixture
def session(client: Client) -> Iterator[Session]:
    with Session(client) as session:
        yield session


def test_every_kind_of_call(session: Session, key: Key) -> None:
    session.send(put_call(1, key("a"), b"1", return_previous=True, want_receipt=True))
    put = session.answer(1).put
    assert put.success and put.receipt.slot > 0
    session.send(get_call(2, key("a"), want_receipt=True))
    get = session.answer(2).get
    assert (get.value, get.version) == (b"1", put.version) and get.receipt.owner_node
    session.send(pb.SessionCall(id=3, batch=pb.BatchRequest(operations=[put_op(key("b"), b"2"), delete_op(key("a"))])))
    assert session.answer(3).batch.success
    session.send(scan_call(4, prefix=key()))
    message = session.answer(4).scan
    assert (message.key, message.value) == (key("b"), b"2")
    end = session.answer(4).scan_end
    assert (end.items, end.snapshot_version) == (1, message.snapshot_version)
    session.send(pb.SessionCall(id=5, delete=pb.DeleteRequest(key=key("b"))))
    assert session.answer(5).delete.existed


def test_pipelining(session: Session, key: Key) -> None:
    """A thousand calls in a few messages; each gets its own answer."""
    count = 1000
    for start in range(0, count, 250):
        session.send(*(put_call(number, key(str(number)), b"%d" % number) for number in range(start, start + 250)))
    versions = [session.answer(number).put.version for number in range(count)]
    assert versions == sorted(versions), "writes of one stream are taken in its order"
    assert len(set(versions)) == count
    session.send(*(get_call(number, key(str(number))) for number in range(count)))
    assert [session.answer(number).get.value for number in range(count)] == [b"%d" % number for number in range(count)]
    assert session.messages < 2 * count, "answers that are ready together travel together"


def test_answers_come_in_the_order_in_which_they_are_ready(session: Session, key: Key) -> None:
    """A read has nothing to wait for; the write before it waits for the disk."""
    overtaken = 0
    for number in range(50):
        write, read = 2 * number + 1, 2 * number + 2
        session.send(put_call(write, key("w"), b"x" * 500_000), get_call(read, key("r")))
        assert session.answer(write).put.success
        session.answer(read)
        overtaken += session.order.index(read) < session.order.index(write)
    assert overtaken > 0


def test_an_id_can_be_used_again_after_its_answer(session: Session, key: Key) -> None:
    for number in range(20):
        session.send(put_call(7, key(), b"%d" % number))
        assert session.answer(7).put.success
    session.send(put_call(0, key(), b"zero"), put_call(2**64 - 1, key("max"), b"max"))
    assert session.answer(0).put.success and session.answer(2**64 - 1).put.success


def test_an_id_that_is_in_use_is_refused(session: Session, client: Client, key: Key) -> None:
    for number in range(10):
        client.put(key(str(number)))
    session.send(scan_call(1, prefix=key(), items_per_message=1))
    for _ in range(CREDIT_AT_FIRST):
        assert session.answer(1).HasField("scan")
    session.send(put_call(1, key("other")))
    assert error_of(session.answer(1)) == ("INVALID_ARGUMENT", "CALL_ID_IN_USE")
    assert not client.get(key("other")).found
    session.send(credit_call(1, 100))
    for _ in range(10 - CREDIT_AT_FIRST):
        assert session.answer(1).HasField("scan")
    assert session.answer(1).scan_end.items == 10


def test_a_call_that_fails_leaves_the_others_alone(session: Session, key: Key) -> None:
    session.send(put_call(1, b"", b"v"), put_call(2, key(), b"v"), pb.SessionCall(id=3), scan_call(4, limit=-1))
    assert error_of(session.answer(1)) == ("INVALID_ARGUMENT", "KEY_EMPTY")
    assert session.answer(2).put.success
    assert error_of(session.answer(3)) == ("INVALID_ARGUMENT", "UNKNOWN_VALUE")
    assert error_of(session.answer(4)) == ("INVALID_ARGUMENT", "LIMIT_NEGATIVE")
    session.send(get_call(5, key()))
    assert session.answer(5).get.found


def test_a_kind_of_call_from_the_future(session: Session, key: Key) -> None:
    # id = 9, and field 99 with a message inside.
    session.send_bytes(pb.SessionRequest().SerializeToString() + b"\x0a\x07\x08\x09\x9a\x06\x02\x08\x01")
    assert error_of(session.answer(9)) == ("INVALID_ARGUMENT", "UNKNOWN_VALUE")
    session.send(put_call(10, key()))
    assert session.answer(10).put.success


def test_a_message_that_cannot_be_decoded_ends_the_session(session: Session) -> None:
    session.send_bytes(b"\x0a\xff\xff\xff\xff\x0f")
    assert session.ended.wait(20)
    assert session.error is not None and session.error.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_cancel(session: Session, client: Client, key: Key) -> None:
    for number in range(20):
        client.put(key(str(number)))
    session.send(scan_call(1, prefix=key(), items_per_message=1))
    for _ in range(CREDIT_AT_FIRST):
        session.answer(1)
    session.send(cancel_call(1))
    assert error_of(session.answer(1)) == ("CANCELLED", "CANCELLED")
    # The id is free, and what names an unknown call is ignored.
    session.send(cancel_call(1), credit_call(1, 5), cancel_call(12345), get_call(1, key("0")))
    assert session.answer(1).get.found
    assert not session.has_answer(12345)


def test_a_cancelled_write_is_answered_once(session: Session, key: Key) -> None:
    for number in range(50):
        session.send(put_call(number, key(), b"v"), cancel_call(number))
        answer = session.answer(number)
        assert answer.HasField("put") or error_of(answer)[0] == "CANCELLED"
    assert not any(session.has_answer(number, within=0.01) for number in range(50))


def test_credit(session: Session, client: Client, key: Key) -> None:
    """A scan sends what it has credit for, and meanwhile other calls go on."""
    for number in range(30):
        client.put(key(f"{number:02}"))
    session.send(scan_call(1, prefix=key()))
    for _ in range(CREDIT_AT_FIRST):
        assert session.answer(1).HasField("scan")
    assert not session.has_answer(1)
    session.send(credit_call(1, 3), get_call(2, key("00")))
    assert session.answer(2).get.found
    for _ in range(3):
        assert session.answer(1).HasField("scan")
    assert not session.has_answer(1)
    session.send(credit_call(1, 2**32 - 1), credit_call(1, 2**32 - 1))
    for _ in range(30 - CREDIT_AT_FIRST - 3):
        assert session.answer(1).HasField("scan")
    assert session.answer(1).scan_end.items == 30


def test_more_calls_than_a_session_may_have(session: Session, client: Client, key: Key) -> None:
    for number in range(10):
        client.put(key(str(number)))
    # Scans without credit stay in progress.
    session.send(*(scan_call(number, prefix=key()) for number in range(CALLS_MAX)))
    for number in (0, CALLS_MAX - 1):
        for _ in range(CREDIT_AT_FIRST):
            session.answer(number)
    session.send(get_call(CALLS_MAX, key("0")))
    assert error_of(session.answer(CALLS_MAX)) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
    session.send(cancel_call(0))
    assert error_of(session.answer(0)) == ("CANCELLED", "CANCELLED")
    session.send(get_call(CALLS_MAX, key("0")))
    assert session.answer(CALLS_MAX).get.found


def test_an_answer_that_is_too_large_fails_its_call_alone(session: Session, client: Client, key: Key) -> None:
    keys = [key(str(number)) for number in range(5)]
    for each in keys:
        client.put(each, b"v" * MIB)
    session.send(pb.SessionCall(id=1, batch=pb.BatchRequest(operations=map(get_op, keys))), get_call(2, keys[0]))
    assert error_of(session.answer(1)) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
    assert len(session.answer(2).get.value) == MIB


def test_a_timeout_of_its_own(session: Session, key: Key) -> None:
    call = put_call(1, key(), b"v")
    call.timeout_ms = 10_000
    session.send(call)
    assert session.answer(1).put.success
    call.timeout_ms = 2**64 - 1
    session.send(call)
    assert session.answer(1).put.success


def test_calls_whose_timeout_passes(session: Session, key: Key) -> None:
    """Far more at once than a millisecond is enough for: each call is answered once, and the session goes on."""
    calls = [put_call(number, key(str(number)), b"v" * 500) for number in range(CALLS_MAX)]
    for call in calls:
        call.timeout_ms = 1
    session.send(*calls)
    expired = set()
    for call in calls:
        answer = session.answer(call.id)
        if not answer.HasField("put"):
            assert error_of(answer) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
            expired.add((call.id, answer.error.detail.outcome_unknown))
    assert expired
    assert not session.has_answer(calls[-1].id)
    # Ids of expired calls are free again, and what was under way is not their answer.
    for number, outcome_unknown in expired:
        session.send(get_call(number, key(str(number)), consistency=pb.CONSISTENCY_CONSISTENT))
        found = session.answer(number)
        assert found.HasField("get")
        assert outcome_unknown or not found.get.found


def test_a_scan_whose_timeout_passes(session: Session, client: Client, key: Key) -> None:
    for number in range(10):
        client.put(key(str(number)))
    call = scan_call(1, prefix=key())
    call.timeout_ms = 200
    session.send(call)
    for _ in range(CREDIT_AT_FIRST):
        assert session.answer(1).HasField("scan")
    assert error_of(session.answer(1)) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    session.send(credit_call(1, 100), get_call(1, key("0")))
    assert session.answer(1).get.found
    # One that is done in time is answered once.
    call.scan.limit = 2
    session.send(call)
    assert [session.answer(1).WhichOneof("answer") for _ in range(3)] == ["scan", "scan", "scan_end"]
    assert not session.has_answer(1, within=0.4)


def test_retries_over_another_session(client: Client, key: Key) -> None:
    once = request_id()
    with Session(client) as first:
        first.send(put_call(1, key(), b"v", request_id=once))
        version = first.answer(1).put.version
    with Session(client) as second:
        second.send(put_call(1, key(), b"v", request_id=once), put_call(2, key(), b"v", request_id=once))
        assert second.answer(1).put.version == second.answer(2).put.version == version


def test_half_close_waits_for_the_answers(client: Client, key: Key) -> None:
    with Session(client) as session:
        session.send(*(put_call(number, key(str(number))) for number in range(100)))
        session.half_close()
        assert session.ended.wait(20)
        assert session.error is None
        assert sorted(session.order) == list(range(100))


def test_a_session_that_is_cut_off_leaves_nothing_behind(server: Server, client: Client, key: Key) -> None:
    for number in range(10):
        client.put(key(str(number)))
    for _ in range(10):
        with Session(client) as session:
            session.send(scan_call(1, prefix=key()), *(put_call(number, key("x")) for number in range(2, 50)))
            session.answer(1)
            session.cancel()
    end = time.monotonic() + 5
    while client.stats().rpc.sessions and time.monotonic() < end:
        time.sleep(0.05)
    assert client.stats().rpc.sessions == 0
