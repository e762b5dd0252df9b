"""A session: calls go in, answers come out by id."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType

import grpc

from support.client import Client
from support.protos import atlas_pb2 as pb

ANSWER_SECONDS = 20.0


class Session:
    """One `Session` stream. `send` puts calls into one message; `answer` waits for the next answer of an id."""

    def __init__(self, client: Client, timeout: float = 60.0) -> None:
        self._requests: queue.SimpleQueue[pb.SessionRequest | bytes | None] = queue.SimpleQueue()
        self._answers: dict[int, queue.SimpleQueue[pb.SessionAnswer]] = {}
        self._lock = threading.Lock()
        self.order: list[int] = []
        self.messages = 0
        self.error: grpc.RpcError | None = None
        self.ended = threading.Event()
        open_session = client.channel.stream_stream(
            "/atlas.AtlasDB/Session",
            request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
            response_deserializer=pb.SessionResponse.FromString,
        )
        self._call = open_session(self._take(), timeout=timeout)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._requests.put(None)
        self._call.cancel()
        self._reader.join()

    def _take(self) -> Iterator[pb.SessionRequest | bytes]:
        while (request := self._requests.get()) is not None:
            yield request

    def _read(self) -> None:
        try:
            for response in self._call:
                self.messages += 1
                for answer in response.answers:
                    self.order.append(answer.id)
                    self._queue(answer.id).put(answer)
        except grpc.RpcError as error:
            self.error = error
        self.ended.set()

    def _queue(self, identifier: int) -> queue.SimpleQueue[pb.SessionAnswer]:
        with self._lock:
            return self._answers.setdefault(identifier, queue.SimpleQueue())

    def send(self, *calls: pb.SessionCall) -> None:
        self._requests.put(pb.SessionRequest(calls=calls))

    def send_bytes(self, message: bytes) -> None:
        self._requests.put(message)

    def half_close(self) -> None:
        self._requests.put(None)

    def cancel(self) -> None:
        self._call.cancel()

    def answer(self, identifier: int, within: float = ANSWER_SECONDS) -> pb.SessionAnswer:
        return self._queue(identifier).get(timeout=within)

    def has_answer(self, identifier: int, within: float = 0.3) -> bool:
        """Whether there is a further answer; one that is there is lost."""
        try:
            self.answer(identifier, within)
        except queue.Empty:
            return False
        return True


def error_of(answer: pb.SessionAnswer) -> tuple[str, str]:
    assert answer.WhichOneof("answer") == "error", answer
    status = next(code for code in grpc.StatusCode if code.value[0] == answer.error.status)
    return status.name, pb.ErrorCode.Name(answer.error.detail.code).removeprefix("ERROR_CODE_")


def put_call(identifier: int, key: bytes, value: bytes = b"", **options: object) -> pb.SessionCall:
    return pb.SessionCall(id=identifier, put=pb.PutRequest(key=key, value=value, **options))


def get_call(identifier: int, key: bytes, **options: object) -> pb.SessionCall:
    return pb.SessionCall(id=identifier, get=pb.GetRequest(key=key, **options))


def scan_call(identifier: int, **options: object) -> pb.SessionCall:
    return pb.SessionCall(id=identifier, scan=pb.ScanRequest(**options))


def cancel_call(identifier: int) -> pb.SessionCall:
    return pb.SessionCall(id=identifier, cancel=pb.SessionCancel())


def credit_call(identifier: int, messages: int) -> pb.SessionCall:
    return pb.SessionCall(id=identifier, credit=pb.SessionCredit(messages=messages))
