"""Requests that are HTTP/2 but not the gRPC they should be: each is answered, and its connection goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.client import Client
from support.protos import atlas_pb2 as pb
from support.server import Server
from support.wire import Wire, grpc_message, request_headers

OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED = 0, 3, 4, 8
UNIMPLEMENTED, INTERNAL = 12, 13
GET = grpc_message(pb.GetRequest(key=b"k").SerializeToString())


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with Wire(server) as wire:
        wire.shake_hands()
        yield wire
        # Whatever the test did, the connection and other calls on it are as they were.
        wire.request(999, request_headers(), GET)
        assert wire.answer(999).grpc_status == OK


def test_what_a_good_request_gets(wire: Wire) -> None:
    wire.request(1, request_headers(), GET)
    answer = wire.answer(1)
    assert (answer.headers[":status"], answer.headers["content-type"]) == ("200", "application/grpc")
    assert answer.grpc_status == OK
    assert answer.data[0] == 0 and len(answer.data) == 5 + int.from_bytes(answer.data[1:5], "big")


@pytest.mark.parametrize(
    "path",
    ["/", "", "/atlas.AtlasDB", "/atlas.AtlasDB/", "/atlas.AtlasDB/get", "/atlas.AtlasDB/Get/", "//", "/" + "x" * 8000],
)
def test_a_path_that_is_not_there(wire: Wire, path: str) -> None:
    wire.request(1, request_headers(path), GET)
    answer = wire.answer(1)
    # An empty path is against HTTP/2 itself.
    assert answer.grpc_status == UNIMPLEMENTED or (path == "" and answer.reset is not None)


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/grpcx", "application/grpc-web", None]
)
def test_another_content_type(wire: Wire, content_type: str | None) -> None:
    wire.request(1, request_headers(content_type=content_type), GET)
    assert wire.answer(1).headers[":status"] == "415"


@pytest.mark.parametrize("content_type", ["application/grpc+proto", "application/grpc;charset=utf-8"])
def test_a_content_type_with_a_format(wire: Wire, content_type: str) -> None:
    wire.request(1, request_headers(content_type=content_type), GET)
    assert wire.answer(1).grpc_status == OK


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "x"])
def test_another_method(wire: Wire, method: str) -> None:
    wire.request(1, request_headers(method=method), GET)
    assert wire.answer(1).headers[":status"] == "405"


@pytest.mark.parametrize(
    "timeout", ["", "1", "S", "1s", "-1S", "1.5S", "123456789S", "1 S", "\u00b9S", "99999999999999999999H"]
)
def test_a_timeout_that_is_none(wire: Wire, timeout: str) -> None:
    wire.request(1, request_headers(grpc_timeout=timeout), GET)
    assert wire.answer(1).grpc_status in (INTERNAL, INVALID_ARGUMENT)


def test_timeouts_at_both_ends(wire: Wire) -> None:
    wire.request(1, request_headers(grpc_timeout="99999999H"), GET)
    assert wire.answer(1).grpc_status == OK
    wire.request(3, request_headers(grpc_timeout="0S"), GET)
    assert wire.answer(3).grpc_status == DEADLINE_EXCEEDED


MALFORMED = {
    "no message": (b"", {UNIMPLEMENTED, INTERNAL, INVALID_ARGUMENT}),
    "half a prefix": (b"\0\0\0", {INTERNAL}),
    "half a message": (grpc_message(b"abc", length=100), {INTERNAL}),
    "two messages": (GET + GET, {UNIMPLEMENTED}),
    "more than a message may have": (grpc_message(b"", length=(4 << 20) + (64 << 10) + 1), {RESOURCE_EXHAUSTED}),
    "more than there is": (grpc_message(b"", length=2**32 - 1), {RESOURCE_EXHAUSTED}),
    "compressed without saying how": (grpc_message(b"x", flag=1), {INTERNAL, UNIMPLEMENTED}),
    "an unknown flag": (grpc_message(b"x", flag=0x80), {INTERNAL}),
    "no protobuf": (grpc_message(b"\xff" * 50), {INVALID_ARGUMENT}),
    "a group without an end": (grpc_message(b"\x0b\x08\x01"), {INVALID_ARGUMENT}),
    "the end of no group": (grpc_message(b"\x0c"), {INVALID_ARGUMENT}),
    "a field number of zero": (grpc_message(b"\x00\x00"), {INVALID_ARGUMENT}),
    "a length beyond the message": (grpc_message(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), {INVALID_ARGUMENT}),
    "a varint without end": (grpc_message(b"\x10" + b"\xff" * 11), {INVALID_ARGUMENT}),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_unary_request(wire: Wire, kind: str) -> None:
    data, expected = MALFORMED[kind]
    wire.request(1, request_headers(), data)
    assert wire.answer(1).grpc_status in expected


@pytest.mark.parametrize("method", ["Scan", "Session"])
@pytest.mark.parametrize("kind", [kind for kind in MALFORMED if kind not in ("no message", "two messages")])
def test_a_malformed_stream(wire: Wire, method: str, kind: str) -> None:
    data, expected = MALFORMED[kind]
    wire.request(1, request_headers(f"/atlas.AtlasDB/{method}"), data)
    assert wire.answer(1).grpc_status in expected


def test_a_scan_takes_one_request(wire: Wire) -> None:
    scan = grpc_message(pb.ScanRequest(prefix=b"none").SerializeToString())
    wire.request(1, request_headers("/atlas.AtlasDB/Scan"))
    assert wire.answer(1).grpc_status == INVALID_ARGUMENT
    wire.request(3, request_headers("/atlas.AtlasDB/Scan"), scan)
    assert wire.answer(3).grpc_status == OK


def test_an_unknown_compression(wire: Wire) -> None:
    wire.request(1, request_headers(grpc_encoding="snappy"), grpc_message(b"x", flag=1))
    assert wire.answer(1).grpc_status == UNIMPLEMENTED


def test_a_message_in_single_bytes(wire: Wire) -> None:
    wire.send_frame(wire.headers(1, request_headers()))
    for position in range(len(GET)):
        wire.send_frame(wire.data(1, GET[position : position + 1], end=position == len(GET) - 1))
    assert wire.answer(1).grpc_status == OK


def test_metadata_that_nobody_asked_for(wire: Wire) -> None:
    headers = request_headers() + [("x-anything-bin", "not base64!"), ("x" * 100, "y" * 5000)]
    wire.request(1, headers, GET)
    assert wire.answer(1).grpc_status == OK


def test_nothing_changed(wire: Wire, client: Client) -> None:
    """A write that is not complete, or not well-formed, does not happen."""
    put = grpc_message(pb.PutRequest(key=b"never", value=b"written").SerializeToString())
    for stream, data in ((1, put[:-1]), (3, put + b"\0"), (5, put + put), (7, b"\1" + put[1:])):
        wire.request(stream, request_headers("/atlas.AtlasDB/Put"), data)
        assert wire.answer(stream).grpc_status not in (OK, None)
    assert not client.get(b"never").found
