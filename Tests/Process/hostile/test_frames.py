"""Bytes and frames that break HTTP/2: the connection that sends them ends, and nobody else notices."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support.protos import atlas_pb2 as pb
from support.server import Server
from support.steady import steady_client
from support.wire import PREFACE, Wire, grpc_message, request_headers

SEED = 20_250_101
MIB = 1 << 20
PUT = grpc_message(pb.PutRequest(key=b"fuzz", value=b"v" * 100).SerializeToString())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a short time for what should happen at once."""
    running = Server(tmp_path_factory.mktemp("server"), {"transport.connection_timeout": "1s"})
    try:
        yield running.start()
    finally:
        running.kill()


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """After each test the server is the same process, of about the same size, and serves."""
    before, memory = server.pid, server.resident_bytes()
    yield
    assert server.is_running() and server.pid == before, server.output()
    with Wire(server) as wire:
        wire.shake_hands().request(1, request_headers("/atlas.AtlasDB/Put"), PUT)
        assert wire.answer(1).grpc_status == 0
    assert server.resident_bytes() - memory < 64 * MIB


FIRST_BYTES = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(256),
    "zeros": bytes(4096),
    "half a preface": PREFACE[:10] + b"XXXX" + PREFACE[14:],
    "no settings": PREFACE + PingFrame(0, opaque_data=b"12345678").serialize(),
    "settings on a stream": PREFACE + b"\0\0\0\x04\0\0\0\0\1",
    "settings of odd length": PREFACE + b"\0\0\5\4\0\0\0\0\0" + b"12345",
}


@pytest.mark.parametrize("kind", FIRST_BYTES)
def test_bytes_that_are_no_http2(server: Server, kind: str) -> None:
    with Wire(server) as wire:
        wire.send(FIRST_BYTES[kind])
        assert wire.wait_for_close(5)


@pytest.mark.parametrize(
    "data", [b"", PREFACE[:5], PREFACE, PREFACE + b"\0\0"], ids=["nothing", "a bit", "the preface", "half a frame"]
)
def test_a_client_that_stops_in_the_handshake(server: Server, data: bytes) -> None:
    with Wire(server) as wire:
        wire.send(data)
        assert wire.wait_for_close(5), "transport.connection_timeout is 1s"


def oversized(wire: Wire) -> bytes:
    return b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(1 << 16)


def bad_compression(wire: Wire) -> bytes:
    return HeadersFrame(1, data=b"\xff\xff\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS"]).serialize()


def data_on_an_idle_stream(wire: Wire) -> bytes:
    return DataFrame(7, data=b"x").serialize()


def a_stream_with_an_even_number(wire: Wire) -> bytes:
    return wire.headers(2, request_headers()).serialize()


def a_stream_that_goes_back(wire: Wire) -> bytes:
    return wire.headers(9, request_headers()).serialize() + wire.headers(5, request_headers()).serialize()


def headers_without_an_end(wire: Wire) -> bytes:
    block = wire.encoder.encode(request_headers())
    return HeadersFrame(1, data=block).serialize() + PingFrame(0, opaque_data=b"12345678").serialize()


def a_window_beyond_its_limit(wire: Wire) -> bytes:
    return WindowUpdateFrame(0, window_increment=2**31 - 1).serialize() * 2


def a_window_update_of_zero(wire: Wire) -> bytes:
    return b"\0\0\4\x08\0\0\0\0\0" + bytes(4)


def a_ping_of_the_wrong_length(wire: Wire) -> bytes:
    return b"\0\0\3\x06\0\0\0\0\0" + b"abc"


def an_initial_window_beyond_its_limit(wire: Wire) -> bytes:
    return SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 2**32 - 1}).serialize()


def a_push_promise(wire: Wire) -> bytes:
    return b"\0\0\4\x05\4\0\0\0\1" + b"\0\0\0\2"


def a_frame_of_padding_alone(wire: Wire) -> bytes:
    return wire.headers(1, request_headers()).serialize() + b"\0\0\1\0\x08\0\0\0\1" + b"\xff"


VIOLATIONS: list[Callable[[Wire], bytes]] = [
    oversized,
    bad_compression,
    data_on_an_idle_stream,
    a_stream_with_an_even_number,
    a_stream_that_goes_back,
    headers_without_an_end,
    a_window_beyond_its_limit,
    a_window_update_of_zero,
    a_ping_of_the_wrong_length,
    an_initial_window_beyond_its_limit,
    a_push_promise,
    a_frame_of_padding_alone,
]


@pytest.mark.parametrize("violation", VIOLATIONS, ids=lambda violation: violation.__name__)
def test_a_violation_of_the_connection_ends_it(server: Server, violation: Callable[[Wire], bytes]) -> None:
    with Wire(server) as wire:
        wire.shake_hands()
        wire.send(violation(wire))
        assert wire.wait_for_close(5)
        assert wire.goaway is None or wire.goaway.error_code != 0


def test_headers_without_bound(server: Server) -> None:
    """A block of headers that never ends is cut off long before it fills memory."""
    with Wire(server) as wire:
        wire.shake_hands()
        wire.send_frame(HeadersFrame(1, data=wire.encoder.encode(request_headers())))
        for _ in range(2000):
            if wire.closed:
                break
            wire.send_frame(ContinuationFrame(1, data=b"\x40\x01x\x7f\x81\x7f" + b"y" * 254))
        assert wire.wait_for_close(5)


def test_headers_that_are_too_large(server: Server) -> None:
    with Wire(server) as wire:
        wire.shake_hands()
        block = wire.encoder.encode(request_headers() + [("large", "x" * 40_000)])
        wire.send_frame(
            HeadersFrame(1, data=block[:16_000]),
            ContinuationFrame(1, data=block[16_000:32_000]),
            ContinuationFrame(1, data=block[32_000:], flags=["END_HEADERS"]),
        )
        answer = wire.answer(1, 5)
        assert wire.closed or answer.reset is not None or answer.headers.get(":status") == "431"


FLOODS = {
    "pings": PingFrame(0, opaque_data=b"12345678").serialize() * 1000,
    "settings": SettingsFrame(0).serialize() * 1000,
    "empty data": DataFrame(1, data=b"").serialize() * 1000,
    "priorities": PriorityFrame(3, depends_on=0, stream_weight=1).serialize() * 1000,
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_small_frames(server: Server, kind: str) -> None:
    """Forty thousand at once: the connection ends, while another client works as if nothing were."""
    with steady_client(server), Wire(server) as wire:
        wire.shake_hands()
        wire.send_frame(wire.headers(1, request_headers()))
        for _ in range(40):
            if wire.closed:
                break
            wire.send(FLOODS[kind])
        assert wire.wait_for_close(10)


def test_rapid_resets(server: Server) -> None:
    """Streams that are opened and reset at once, 20,000 of them (CVE-2023-44487)."""
    with steady_client(server), Wire(server) as wire:
        wire.shake_hands()
        for start in range(0, 20_000, 200):
            if wire.closed:
                break
            wire.send_frame(
                *(
                    frame
                    for number in range(start, start + 200)
                    for frame in (
                        wire.headers(2 * number + 1, request_headers()),
                        RstStreamFrame(2 * number + 1, error_code=8),
                    )
                )
            )
        assert wire.wait_for_close(10)


def test_more_streams_than_were_offered(server: Server) -> None:
    """100 are offered, 120 are opened: what is above is refused, or the connection ends."""
    with Wire(server) as wire:
        wire.shake_hands()
        offered = wire.settings[SettingsFrame.MAX_CONCURRENT_STREAMS]
        assert offered == 100
        wire.send_frame(*(wire.headers(2 * number + 1, request_headers()) for number in range(offered + 20)))
        assert wire.answer(2 * offered + 1, 5).reset is not None or wire.closed


def test_truncated_at_every_byte(server: Server) -> None:
    """A whole conversation, cut off after each of its bytes."""
    with Wire(server) as wire:
        request = (
            wire.headers(1, request_headers("/atlas.AtlasDB/Put")).serialize() + wire.data(1, PUT, end=True).serialize()
        )
    conversation = PREFACE + SettingsFrame(0).serialize() + request
    for length in range(0, len(conversation)):
        with Wire(server) as wire:
            wire.send(conversation[:length])


def test_garbage(server: Server) -> None:
    """A conversation with some bytes replaced, left out or doubled, 400 times, always in the same way."""
    chance = random.Random(SEED)
    with steady_client(server):
        for _ in range(400):
            with Wire(server, timeout=2) as wire:
                stream = bytearray(wire.headers(1, request_headers("/atlas.AtlasDB/Put")).serialize())
                stream += wire.data(1, PUT, end=True).serialize()
                for _ in range(chance.randint(1, 8)):
                    at = chance.randrange(len(stream))
                    match chance.randrange(3):
                        case 0:
                            stream[at] = chance.randrange(256)
                        case 1:
                            del stream[at : at + chance.randint(1, 20)]
                        case _:
                            stream[at:at] = stream[at : at + chance.randint(1, 20)]
                    if not stream:
                        break
                wire.send(PREFACE + SettingsFrame(0).serialize() + bytes(stream))
                wire.read(0.005)
