"""Each limit has a name: at the limit it works, one above it is refused, and the refusal names it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.client import Client, delete_op, fails, get_op, put_op, request_id
from support.protos import atlas_pb2 as pb
from support.server import Server
from support.session import Session, error_of, put_call

Key = Callable[..., bytes]
KEY_MAX = 4 << 10
VALUE_MAX = 1 << 20
BATCH_OPERATIONS_MAX = 1000
BATCH_MAX = 4 << 20
# transport.max_recv_msg_size is 4 MiB, and the largest batch with all around it has this.
MESSAGE_MAX = BATCH_MAX + (64 << 10)


def refused(failure: object, name: str, actual: int, allowed: int) -> None:
    detail = failure.detail
    assert (detail.limit_name, detail.limit_actual, detail.limit_allowed) == (name, actual, allowed)
    assert name in failure.message and str(actual) in failure.message and str(allowed) in failure.message


def long_key(length: int, prefix: bytes = b"") -> bytes:
    return (prefix + b"k" * length)[:length]


def test_the_longest_key(client: Client) -> None:
    longest = long_key(KEY_MAX)
    version = client.put(longest, b"v").version
    assert client.get(longest).version == version
    assert [item.key for item in client.scan(start_key=longest, limit=1)] == [longest]
    assert client.delete(longest).existed


def test_a_key_that_is_too_long(client: Client) -> None:
    above = long_key(KEY_MAX + 1)
    for call in (
        lambda: client.get(above),
        lambda: client.put(above),
        lambda: client.delete(above),
        lambda: client.batch(get_op(above)),
        lambda: client.batch(put_op(above)),
        lambda: client.batch(delete_op(above)),
        lambda: client.scan(prefix=above),
    ):
        with fails("INVALID_ARGUMENT", "KEY_TOO_LARGE") as failure:
            call()
        refused(failure, "limits.max_key_size", KEY_MAX + 1, KEY_MAX)


def test_the_longest_key_is_a_resume_point(client: Client) -> None:
    """The bound behind the longest key is one byte longer than a key may be."""
    longest = long_key(KEY_MAX, b"resume")
    client.put(longest, b"1")
    client.put(b"resume~", b"2")
    found = client.scan(start_key=longest + b"\0", end_key=b"resume~~")
    assert [item.key for item in found] == [b"resume~"]


def test_an_empty_key(client: Client) -> None:
    for call in (
        lambda: client.get(b""),
        lambda: client.put(b"", b"v"),
        lambda: client.delete(b""),
        lambda: client.batch(get_op(b"")),
        lambda: client.batch(put_op(b"")),
        lambda: client.batch(delete_op(b"")),
    ):
        with fails("INVALID_ARGUMENT", "KEY_EMPTY"):
            call()


def test_the_largest_value(client: Client, key: Key) -> None:
    for length in (VALUE_MAX, 0, 1, 4095, 4096, 65535):
        value = bytes(range(256)) * (length // 256) + b"r" * (length % 256)
        client.put(key(), value)
        assert client.get(key()).value == value
    with fails("INVALID_ARGUMENT", "VALUE_TOO_LARGE") as failure:
        client.put(key(), b"v" * (VALUE_MAX + 1))
    refused(failure, "limits.max_value_size", VALUE_MAX + 1, VALUE_MAX)
    with fails("INVALID_ARGUMENT", "VALUE_TOO_LARGE"):
        client.batch(put_op(key(), b"v" * (VALUE_MAX + 1)))
    with fails("INVALID_ARGUMENT", "VALUE_TOO_LARGE"):
        client.put(key(), b"", condition=pb.Condition(value_equals=b"v" * (VALUE_MAX + 1)))
    assert len(client.get(key()).value) == 65535


def test_the_most_operations_of_a_batch(client: Client, key: Key) -> None:
    operations = [put_op(key(str(number)), b"v") for number in range(BATCH_OPERATIONS_MAX)]
    assert client.batch(*operations).success
    with fails("INVALID_ARGUMENT", "BATCH_TOO_LARGE") as failure:
        client.batch(*operations, get_op(key("one more")))
    refused(failure, "limits.max_batch_operations", BATCH_OPERATIONS_MAX + 1, BATCH_OPERATIONS_MAX)


def largest_batch(prefix: bytes, count: int) -> list[pb.Operation]:
    """Of so many operations, and of keys and values of exactly the limit."""
    keys = [prefix + b"%04d" % number for number in range(count)]
    share, rest = divmod(BATCH_MAX - sum(map(len, keys)), count)
    values = [b"v" * (share + (number < rest)) for number in range(count)]
    # All that an operation can have besides.
    absent = pb.Condition(absent=True)
    return [put_op(*each, condition=absent, ttl_ms=10**13) for each in zip(keys, values, strict=True)]


@pytest.mark.parametrize("count", [5, BATCH_OPERATIONS_MAX])
def test_the_most_bytes_of_a_batch(client: Client, key: Key, count: int) -> None:
    options = {"request_id": request_id(), "write_level": pb.WRITE_LEVEL_GLOBAL, "want_receipt": True}
    assert client.batch(*largest_batch(key("batch"), count), **options).success
    assert client.delete(key("batch") + b"%04d" % (count - 1)).existed
    above = largest_batch(key("above"), count)
    above[0].value += b"v"
    with fails("INVALID_ARGUMENT", "BATCH_TOO_LARGE") as failure:
        client.batch(*above, **options)
    refused(failure, "limits.max_batch_size", BATCH_MAX + 1, BATCH_MAX)
    with Session(client) as session:
        options["request_id"] = request_id()
        batch = pb.BatchRequest(operations=largest_batch(key("session"), count), **options)
        session.send(pb.SessionCall(id=2**64 - 1, batch=batch, timeout_ms=2**64 - 1))
        assert session.answer(2**64 - 1).batch.success
        session.send(pb.SessionCall(id=1, batch=pb.BatchRequest(operations=above)))
        assert error_of(session.answer(1)) == ("INVALID_ARGUMENT", "BATCH_TOO_LARGE")


def test_values_of_conditions_count_in_a_batch(client: Client, key: Key) -> None:
    whole = pb.Condition(value_equals=b"v" * VALUE_MAX)
    with fails("INVALID_ARGUMENT", "BATCH_TOO_LARGE"):
        client.batch(*(get_op(b"k", condition=whole) for _ in range(4)))
    # A put has room for all three.
    longest = long_key(KEY_MAX, key())
    client.put(longest, b"v" * VALUE_MAX)
    assert client.put(longest, b"w" * VALUE_MAX, condition=whole).success


def test_the_smallest_log_segment_has_room_for_the_largest_write(start_server: Callable[..., Server]) -> None:
    settings = {"limits.max_batch_size": "1MiB", "storage.log_segment_size": "2MiB"}
    status, output = start_server(settings, start=False).start_expecting_refusal()
    assert status == 2 and "storage.log_segment_size is 2MiB, expected 2124KiB" in output
    server = start_server({**settings, "storage.log_segment_size": "2124KiB"})
    with server.channel() as channel:
        client, longest = Client(channel), long_key(KEY_MAX)
        client.put(longest, b"v" * VALUE_MAX)
        for old, new in ((b"v", b"w"), (b"w", b"x"), (b"x", b"y")):
            condition = pb.Condition(value_equals=old * VALUE_MAX)
            assert client.put(longest, new * VALUE_MAX, condition=condition, request_id=request_id()).success


def test_the_longest_key_and_the_largest_value_in_a_session(client: Client, key: Key) -> None:
    longest, largest = long_key(KEY_MAX, key()), b"v" * VALUE_MAX
    with Session(client) as session:
        session.send(put_call(1, longest, largest))
        session.send(put_call(2, longest + b"k", largest))
        session.send(put_call(3, longest, largest + b"v"))
        assert session.answer(1).put.success
        assert error_of(session.answer(2)) == ("INVALID_ARGUMENT", "KEY_TOO_LARGE")
        assert error_of(session.answer(3)) == ("INVALID_ARGUMENT", "VALUE_TOO_LARGE")
        session.send(pb.SessionCall(id=4, batch=pb.BatchRequest(operations=[put_op(longest, largest)])))
        assert session.answer(4).batch.success


def message_of(size: int) -> bytes:
    """A PutRequest of exactly `size` bytes, most of them in a field that the server does not know."""
    known = pb.PutRequest(key=b"message", value=b"v").SerializeToString()
    # Field 1000, length-delimited, its length in four bytes.
    room = size - len(known) - 2 - 4
    length = bytes((room & 0x7F | 0x80, room >> 7 & 0x7F | 0x80, room >> 14 & 0x7F | 0x80, room >> 21))
    message = known + b"\xc2\x3e" + length + b"x" * room
    assert len(message) == size
    return message


def test_the_largest_message(client: Client) -> None:
    put = client.channel.unary_unary("/atlas.AtlasDB/Put", response_deserializer=pb.PutResponse.FromString)
    assert put(message_of(MESSAGE_MAX), timeout=20).success
    with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE") as failure:
        put(message_of(MESSAGE_MAX + 1), timeout=20)
    refused(failure, "transport.max_recv_msg_size", MESSAGE_MAX + 1, MESSAGE_MAX)
    assert not failure.detail.outcome_unknown


def test_an_answer_that_is_too_large(client: Client, key: Key) -> None:
    keys = [key(str(number)) for number in range(5)]
    for each in keys:
        client.put(each, b"v" * VALUE_MAX)
    with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"):
        client.batch(*map(get_op, keys))
    assert all(result.found for result in client.batch(*map(get_op, keys[:3])).results)


def test_a_batch_whose_answer_would_be_too_large_says_what_became_of_it(client: Client, key: Key) -> None:
    """Refused before anything happens, or, if it happened, said to be of unknown outcome: never a plain refusal."""
    keys = [key(str(number)) for number in range(5)]
    for each in keys:
        client.put(each, b"v" * VALUE_MAX)
    with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE") as failure:
        client.batch(*map(get_op, keys), put_op(key("written"), b"1"))
    assert failure.detail.outcome_unknown or not client.get(key("written")).found


def test_the_streams_of_a_connection(start_server: Callable[..., Server]) -> None:
    """grpcio keeps to the advertised limit by itself: more calls wait for their turn."""
    server = start_server({"transport.max_concurrent_stream": 4})
    with server.channel() as channel:
        client = Client(channel)
        calls = [client.stub.Put.future(pb.PutRequest(key=b"%d" % number), timeout=20) for number in range(50)]
        assert all(call.result().success for call in calls)


def test_a_method_that_is_not_there(client: Client) -> None:
    missing = client.channel.unary_unary("/atlas.AtlasDB/Missing")
    with fails("UNIMPLEMENTED", "UNIMPLEMENTED") as failure:
        missing(b"", timeout=20)
    assert "/atlas.AtlasDB/Missing" in failure.message


@pytest.mark.parametrize("method", ["Get", "Put", "Delete", "Batch"])
def test_a_message_that_cannot_be_decoded(client: Client, method: str) -> None:
    call = client.channel.unary_unary(f"/atlas.AtlasDB/{method}")
    for garbage in (b"\xff\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05ab", b"\x0b", b"\x00"):
        with fails("INVALID_ARGUMENT", "MALFORMED_MESSAGE"):
            call(garbage, timeout=20)
