"""HTTP/2 by hand, for what no well-behaved client sends. No flow control, no state: it does what it is told."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from support.server import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Headers = list[tuple[str, str]]


def request_headers(path: str = "/atlas.AtlasDB/Get", **changes: str | None) -> Headers:
    """Those of a gRPC call; `content_type=...` changes one, `None` leaves it out."""
    headers: dict[str, str | None] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    for name, value in changes.items():
        pseudo = ":" + name
        headers[pseudo if pseudo in headers else name.replace("_", "-")] = value
    return [(name, value) for name, value in headers.items() if value is not None]


def grpc_message(body: bytes, flag: int = 0, length: int | None = None) -> bytes:
    return bytes([flag]) + (len(body) if length is None else length).to_bytes(4, "big") + body


@dataclass
class Answer:
    """What came back on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def grpc_status(self) -> int | None:
        value = self.headers.get("grpc-status")
        return int(value) if value is not None else None


class Wire:
    """A connection. After `shake_hands` it is open; before that, and after `send`, anything may be on it."""

    def __init__(self, server: Server, timeout: float = 10.0, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", server.port))
        self.timeout = timeout
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.received = b""
        self.answers: dict[int, Answer] = {}
        self.goaway: GoAwayFrame | None = None
        self.settings: dict[int, int] = {}
        self.closed = False
        self._pongs: list[bytes] = []

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    # Out

    def send(self, data: bytes) -> None:
        """Sends bytes; a server that has closed the connection is no error here."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def send_frame(self, *frames: Frame) -> None:
        self.send(b"".join(frame.serialize() for frame in frames))

    def shake_hands(self, settings: dict[int, int] | None = None) -> Wire:
        self.send(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())
        self.read_until(lambda: bool(self.settings))
        self.send_frame(SettingsFrame(0, flags=["ACK"]))
        return self

    def headers(self, stream: int, headers: Headers, *, end: bool = False) -> HeadersFrame:
        flags = ["END_HEADERS"] + (["END_STREAM"] if end else [])
        return HeadersFrame(stream, data=self.encoder.encode(headers), flags=flags)

    def data(self, stream: int, data: bytes, *, end: bool = False) -> DataFrame:
        return DataFrame(stream, data=data, flags=["END_STREAM"] if end else [])

    def request(self, stream: int, headers: Headers, data: bytes = b"", *, end: bool = True) -> None:
        frames: list[Frame] = [self.headers(stream, headers, end=end and not data)]
        if data:
            frames.append(self.data(stream, data, end=end))
        self.send_frame(*frames)

    # In

    def read(self, within: float) -> bool:
        """Reads what is there; False once the connection is closed."""
        if self.closed and not self.received:
            return False
        self.socket.settimeout(max(within, 0.001))
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return True
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.received += data
        self._parse()
        return True

    def read_until(self, condition: Callable[[], bool], within: float | None = None) -> bool:
        """Reads until the condition holds or the connection is closed; False if neither comes in time."""
        end = time.monotonic() + (within or self.timeout)
        while not condition():
            if self.closed or not self.read(end - time.monotonic()):
                return bool(condition())
            if time.monotonic() >= end:
                return bool(condition())
        return True

    def answer(self, stream: int, within: float | None = None) -> Answer:
        """The answer on a stream, once it has ended or the connection is closed."""
        answer = self.answers.setdefault(stream, Answer())
        self.read_until(lambda: self.has_ended(stream), within)
        return answer

    def has_ended(self, stream: int) -> bool:
        answer = self.answers.get(stream, Answer())
        return answer.ended or answer.reset is not None

    def wait_for_close(self, within: float | None = None) -> bool:
        self.read_until(lambda: self.closed, within)
        return self.closed

    def is_alive(self) -> bool:
        """Whether the server still answers a PING on this connection."""
        pongs = len(self._pongs)
        self.send_frame(PingFrame(0, opaque_data=b"are you?"))
        return self.read_until(lambda: len(self._pongs) > pongs)

    def _parse(self) -> None:
        while len(self.received) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self.received[:9]))
            if len(self.received) < 9 + length:
                return
            frame.parse_body(memoryview(self.received[9 : 9 + length]))
            self.received = self.received[9 + length :]
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        answer = self.answers.setdefault(frame.stream_id, Answer())
        match frame:
            case HeadersFrame():
                answer.headers.update((str(name), str(value)) for name, value in self.decoder.decode(frame.data))
                answer.ended |= "END_STREAM" in frame.flags
            case DataFrame():
                answer.data += frame.data
                answer.ended |= "END_STREAM" in frame.flags
            case RstStreamFrame():
                answer.reset = frame.error_code
            case GoAwayFrame():
                self.goaway = frame
            case SettingsFrame() if "ACK" not in frame.flags:
                self.settings.update(frame.settings or {0: 0})
            case PingFrame() if "ACK" in frame.flags:
                self._pongs.append(frame.opaque_data)
