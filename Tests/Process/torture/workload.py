"""Clients in every region: each does one thing after the other on few keys, and writes down what it was told."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

import grpc
from grpc_status import rpc_status

from support.client import Client, delete_op, put_op, request_id
from support.cluster import Node
from support.protos import atlas_pb2 as pb
from torture.history import ABSENT, Operation, Outcome, Seen

PREFIX = "t/"
KEYS = [f"{PREFIX}{number}" for number in range(6)]
CALL_SECONDS = 2.0
# For how long a write whose outcome is unknown is asked again, with the same request id.
SETTLE_SECONDS = 20.0
# After so long nothing comes of an attempt that was not answered: its node may have been paused, and it had its deadline.
LATE_SECONDS = 12.0
# Of the writes with an unknown outcome so many are given up at once, as by a client that crashes. Not those that
# delete: whatever is missing later might be missing because of them.
FORGET_SHARE = 0.3
THINK_SECONDS = (0.0, 0.04)
PAUSE_AFTER_ERROR_SECONDS = (0.0, 0.1)

KINDS = {
    "put": 6,
    "conditional put": 4,
    "delete": 2,
    "conditional delete": 1,
    "batch": 3,
    "consistent get": 6,
    "local get": 6,
    "scan": 2,
    "local scan": 1,
}


class BadAnswer(Exception):
    """An answer that cannot be one to what was asked."""


class TortureClient:
    """Talks to the nodes of one region, to another one of them after each failure."""

    def __init__(self, name: str, region: int, nodes: list[Node], seed: str, keys: Iterable[str] = KEYS) -> None:
        self.name = name
        self.region = region
        self.keys = list(keys)
        self.chance = random.Random(seed)
        self.nodes = nodes
        self.channels = [node.channel() for node in nodes]
        self.clients = [Client(channel) for channel in self.channels]
        self.current = self.chance.randrange(len(nodes))
        self.history: list[Operation] = []
        # The highest version seen.
        self.version = 0
        self.known: dict[str, int] = dict.fromkeys(self.keys, 0)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.errors: Counter[str] = Counter()
        self._number = itertools.count(1)
        self._stop = threading.Event()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.bad_answer: BadAnswer | None = None
        self.mistake: BaseException | None = None

    # Life

    def start(self) -> None:
        self._thread.start()

    def stop(self, abandon: bool = False) -> None:
        """`abandon`: does not wait either for the outcome of what is under way."""
        self._abandoned = self._abandoned or abandon
        self._stop.set()

    def join(self) -> None:
        if self._thread.ident is None:
            return
        self._thread.join(SETTLE_SECONDS + 10 * CALL_SECONDS)
        assert not self._thread.is_alive(), f"{self.name} hangs"
        for channel in self.channels:
            channel.close()
        if self.mistake is not None:
            raise RuntimeError(f"{self.name} has a mistake of its own") from self.mistake

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.step()
                self._stop.wait(self.chance.uniform(*THINK_SECONDS))
        except BadAnswer as answer:
            self.bad_answer = answer
        except BaseException as mistake:
            self.mistake = mistake

    def step(self) -> None:
        kind = self.chance.choices(list(KINDS), list(KINDS.values()))[0]
        operation = Operation(self.name, kind, began=time.monotonic())
        self.history.append(operation)
        match kind:
            case "put" | "conditional put" | "delete" | "conditional delete":
                self._write_one(operation)
            case "batch":
                self._batch(operation)
            case "consistent get" | "local get":
                self.get(operation, self.chance.choice(self.keys))
            case _:
                self.scan(operation)
        self.counts[kind, operation.outcome] += 1

    # Calls

    def _call(self, operation: Operation, call: Callable[[Client], object]) -> object | None:
        """One attempt. `operation` is left with its outcome; the answer is None if there is none."""
        try:
            answer = call(self.clients[self.current])
        except grpc.RpcError as error:
            operation.ended = time.monotonic()
            operation.error = f"{error.code().name}: {error.details()}"
            operation.outcome = Outcome.UNKNOWN if may_have_effect(error) else Outcome.REFUSED
            self.errors[error_name(error)] += 1
            self.current = (self.current + 1) % len(self.clients)
            time.sleep(self.chance.uniform(*PAUSE_AFTER_ERROR_SECONDS))
            return None
        operation.ended = time.monotonic()
        operation.outcome = Outcome.DONE
        return answer

    def _settle(
        self, operation: Operation, call: Callable[[Client], object], changes: Callable[[object], bool]
    ) -> tuple[object | None, int]:
        """A write, asked again until its outcome is known. Returns the answer and the number of attempts.

        An answer that nothing was changed leaves no trace: it is final once no earlier attempt can come through.
        """
        may_have_effect = False
        open_until = 0.0
        for attempt in itertools.count(1):
            if (answer := self._call(operation, call)) is not None:
                if changes(answer) or time.monotonic() > open_until:
                    return answer, attempt
                while time.monotonic() <= open_until and not self._abandoned:
                    time.sleep(0.1)
                operation.outcome = Outcome.UNKNOWN
                if self._abandoned:
                    break
                continue
            if operation.outcome == Outcome.UNKNOWN:
                may_have_effect = True
                open_until = time.monotonic() + LATE_SECONDS
            if operation.outcome == Outcome.REFUSED and not may_have_effect and self.chance.random() < 0.5:
                return None, attempt
            forgets = None not in operation.effects.values() and self.chance.random() < FORGET_SHARE
            if forgets or self._abandoned or time.monotonic() > operation.began + SETTLE_SECONDS:
                break
        if may_have_effect:
            operation.outcome = Outcome.UNKNOWN
        if operation.outcome == Outcome.UNKNOWN:
            operation.ended = float("inf")
        return None, attempt

    def _require(self, holds: bool, operation: Operation, answer: object) -> None:
        if not holds:
            # What it says means nothing.
            operation.outcome = Outcome.UNKNOWN
            raise BadAnswer(f"{self.name}: {operation.kind} {operation.effects} was answered with\n{answer}")

    def _saw(self, seen: dict[str, Seen], version: int = 0) -> None:
        for key, (_, found) in seen.items():
            self.known[key] = found
        self.version = max(self.version, version, *(found for _, found in seen.values()), 0)

    def _value(self) -> str:
        return f"{self.name}:{next(self._number)}"

    # Writes

    def _write_one(self, operation: Operation) -> None:
        key = self.chance.choice(self.keys)
        value = None if "delete" in operation.kind else self._value()
        operation.effects[key] = value
        options: dict[str, object] = {"request_id": request_id(), "return_previous": self.chance.random() < 0.5}
        if "conditional" in operation.kind:
            operation.conditions[key] = self.known[key]
            options["condition"] = pb.Condition(version=self.known[key])
        if self.chance.random() < 0.1:
            options["write_level"] = pb.WRITE_LEVEL_GLOBAL
        if value is None:
            request: object = pb.DeleteRequest(key=key.encode(), **options)
            answer, attempts = self._settle(
                operation,
                lambda to: to.stub.Delete(request, timeout=CALL_SECONDS),
                lambda answer: answer.success and answer.existed,
            )
        else:
            request = pb.PutRequest(key=key.encode(), value=value.encode(), **options)
            answer, attempts = self._settle(
                operation, lambda to: to.stub.Put(request, timeout=CALL_SECONDS), lambda answer: answer.success
            )
        if answer is None:
            return
        if not answer.success:
            self._require(bool(operation.conditions), operation, answer)
            operation.outcome = Outcome.FAILED
            operation.seen[key] = (None, answer.current_version)
            return self._saw(operation.seen)
        if value is None and not answer.existed:
            operation.missing.append(key)
            self.known[key] = 0
        else:
            operation.version = answer.version
            self.known[key] = answer.version if value is not None else 0
            # What a retry met is not what the write met.
            if options["return_previous"] and attempts == 1:
                previous = answer.previous
                operation.seen[key] = (
                    (previous.value.decode(), previous.version) if answer.HasField("previous") else ABSENT
                )
        self._saw({}, answer.version)

    def _batch(self, operation: Operation) -> None:
        operations = []
        for key in self.chance.sample(self.keys, 2):
            condition: dict[str, object] = {}
            if self.chance.random() < 0.3:
                operation.conditions[key] = self.known[key]
                condition["condition"] = pb.Condition(version=self.known[key])
            if self.chance.random() < 0.2:
                operation.effects[key] = None
                operations.append(delete_op(key.encode(), **condition))
            else:
                operation.effects[key] = value = self._value()
                operations.append(put_op(key.encode(), value.encode(), **condition))
        request = pb.BatchRequest(operations=operations, request_id=request_id())

        def changes(answer: object) -> bool:
            pairs = zip(operation.effects.values(), answer.results, strict=False)
            return answer.success and any(value is not None or result.found for value, result in pairs)

        answer, _ = self._settle(operation, lambda to: to.stub.Batch(request, timeout=CALL_SECONDS), changes)
        if answer is None:
            return
        self._require(len(answer.results) == len(operations), operation, answer)
        if not answer.success:
            self._require(bool(operation.conditions), operation, answer)
            operation.outcome = Outcome.FAILED
            failed = operations[answer.failed_index].key.decode()
            operation.seen[failed] = (None, answer.results[answer.failed_index].current_version)
            return self._saw(operation.seen)
        operation.version = answer.version
        for (key, value), result in zip(operation.effects.items(), answer.results, strict=True):
            if value is None and not result.found:
                operation.missing.append(key)
            self.known[key] = 0 if value is None else answer.version
        self._saw({}, answer.version)

    # Reads

    def get(self, operation: Operation, key: str) -> None:
        operation.is_consistent = operation.kind == "consistent get"
        request = pb.GetRequest(key=key.encode(), want_receipt=self.chance.random() < 0.5)
        if operation.is_consistent:
            request.consistent_read = True
        else:
            request.consistency = pb.CONSISTENCY_LOCAL
            operation.min_version = request.min_version = self._min_version()
        answer = self._call(operation, lambda to: to.stub.Get(request, timeout=CALL_SECONDS))
        if answer is None:
            return
        operation.seen[key] = (answer.value.decode(), answer.version) if answer.found else ABSENT
        if request.want_receipt and not operation.is_consistent:
            operation.staleness = answer.receipt.staleness_ms / 1000
        if operation.is_consistent or not answer.found:
            return self._saw(operation.seen)
        self.version = max(self.version, answer.version)

    def scan(self, operation: Operation) -> None:
        operation.is_consistent = operation.kind == "scan"
        # With this there is always a message, and so a version.
        request = pb.ScanRequest(prefix=PREFIX.encode(), items_per_message=self.chance.randint(1, 10))
        request.want_receipt = self.chance.random() < 0.3
        if operation.is_consistent:
            request.consistency = pb.CONSISTENCY_CONSISTENT
        else:
            request.consistency = pb.CONSISTENCY_LOCAL
            operation.min_version = request.min_version = self._min_version()
        messages = self._call(operation, lambda to: list(to.stub.Scan(request, timeout=CALL_SECONDS)))
        if not messages:
            self._require(messages is None, operation, messages)
            return
        operation.version = messages[0].snapshot_version
        operation.seen = dict.fromkeys(self.keys, ABSENT)
        for message in messages:
            self._require(message.snapshot_version == operation.version, operation, messages)
            for item in message.items:
                self._require(item.key.decode() in operation.seen, operation, messages)
                operation.seen[item.key.decode()] = (item.value.decode(), item.version)
        if request.want_receipt and not operation.is_consistent:
            operation.staleness = messages[0].receipt.staleness_ms / 1000
        if operation.is_consistent:
            return self._saw(operation.seen, operation.version)
        self.version = max(self.version, operation.version)

    def _min_version(self) -> int:
        """Mostly what this client has seen; now and then it does not care."""
        return self.version if self.chance.random() < 0.7 else 0


def may_have_effect(error: grpc.RpcError) -> bool:
    """Of a write: whether its outcome is unknown. Without a detail of the server the error is the client's own."""
    detail = detail_of(error)
    return detail is None or detail.outcome_unknown


def detail_of(error: grpc.RpcError) -> pb.ErrorDetail | None:
    status = rpc_status.from_call(error)
    for packed in status.details if status else []:
        detail = pb.ErrorDetail()
        if packed.Unpack(detail):
            return detail
    return None


def error_name(error: grpc.RpcError) -> str:
    detail = detail_of(error)
    if detail is None:
        return f"{error.code().name} at the client"
    code = pb.ErrorCode.Name(detail.code).removeprefix("ERROR_CODE_")
    return f"{error.code().name} {code}{' (outcome unknown)' if detail.outcome_unknown else ''}"
