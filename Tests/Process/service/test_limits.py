"""Each limit has a name: at the limit it works, one above it is refused, and the refusal names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.client import Client, delete_op, fails, get_op, put_op
from support.protos import atlas_pb2 as pb
from support.server import Server

Key = Callable[..., bytes]
KEY_MAX = 4 << 10
VALUE_MAX = 1 << 20
BATCH_OPERATIONS_MAX = 1000
BATCH_MAX = 4 << 20
MESSAGE_MAX = 4 << 20


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


@pytest.fixture
def roomy(start_server: Callable[..., Server]) -> Iterator[Client]:
    """A server that takes larger messages than its batches may be."""
    server = start_server({"transport.max_recv_msg_size": "16MiB", "transport.max_send_msg_size": "16MiB"})
    with server.channel(max_send_message_length=64 << 20) as channel:
        yield Client(channel)


def test_the_most_bytes_of_a_batch(roomy: Client) -> None:
    operations = [put_op(b"%d" % number, b"v" * (VALUE_MAX - 1)) for number in range(4)]
    assert roomy.batch(*operations).success
    assert [len(result.value) for result in roomy.batch(*(get_op(b"%d" % n) for n in range(4))).results] == [
        VALUE_MAX - 1
    ] * 4
    with fails("INVALID_ARGUMENT", "BATCH_TOO_LARGE") as failure:
        roomy.batch(*operations, get_op(b"x"))
    refused(failure, "limits.max_batch_size", BATCH_MAX + 1, BATCH_MAX)


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
