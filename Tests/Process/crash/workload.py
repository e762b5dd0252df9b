"""Clients that write through several connections until the server is gone, and remember what they were told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import grpc

from crash.model import Contents, Effect, Item, Violation, require
from support.client import delete_op, put_op, request_id
from support.protos import admin_pb2, admin_pb2_grpc, atlas_pb2_grpc
from support.protos import atlas_pb2 as pb

CALL_SECONDS = 5.0
RETRY_SECONDS = 0.05
VALUE_SIZES = (0, 10, 100, 1_000, 10_000, 60_000)
# Statuses after which the outcome of a write is unknown.
UNKNOWN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}

Answer = TypeVar("Answer")


class ServerGone(Exception):
    """The connection broke, or no answer came in time."""


@dataclass
class Counts:
    sent: int = 0
    acknowledged: int = 0
    retried: int = 0
    conditions_failed: int = 0
    refused: int = 0


@dataclass
class Knowledge:
    """What all clients together know."""

    # The highest version that was acknowledged: a write that begins now gets a higher one.
    version: int = 0
    counts: Counts = field(default_factory=Counts)

    def saw(self, version: int) -> None:
        self.version = max(self.version, version)


class Connection:
    def __init__(self, address: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        self.channel = grpc.aio.insecure_channel(address, options=options)
        self.stub = atlas_pb2_grpc.AtlasDBStub(self.channel)
        self.admin = admin_pb2_grpc.AdminStub(self.channel)

    async def call(self, method: Callable[..., Awaitable[Answer]], request: object, counts: Counts) -> Answer:
        """The answer; a server that says that it has too much to do is asked again."""
        while True:
            try:
                return await method(request, timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() in UNKNOWN:
                    raise ServerGone(error.details()) from error
                if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise Violation(f"{error.code().name}: {error.details()}") from error
            counts.refused += 1
            await asyncio.sleep(RETRY_SECONDS)


async def read_all(connection: Connection) -> Contents:
    """The whole database at one snapshot."""
    contents: Contents = {}
    async for message in connection.stub.Scan(pb.ScanRequest(items_per_message=500), timeout=30):
        for item in message.items:
            require(item.key not in contents, f"{item.key!r} twice in one scan")
            contents[item.key] = (item.value, item.version)
    return contents


class Writer:
    """One client with items of its own. It survives restarts of the server; `run` is one life of it."""

    def __init__(self, name: str, seed: str, knowledge: Knowledge) -> None:
        self.chance = random.Random(seed)
        self.knowledge = knowledge
        self.singles = [Item([f"{name}/single/{number}".encode()]) for number in range(8)]
        self.groups = [
            Item([f"{name}/batch{number}/{part}".encode() for part in range(self.chance.randint(2, 8))])
            for number in range(3)
        ]
        self.counter = b"counter"
        self.increments: list[int] = []
        self.increment: tuple[bytes, int, int] | None = None
        self.number = 0

    @property
    def items(self) -> list[Item]:
        return self.singles + self.groups

    async def run(self, connection: Connection, stop: asyncio.Event) -> None:
        try:
            await self.retry_pending(connection)
            while not stop.is_set():
                match self.chance.choices(("single", "group", "counter"), (6, 3, 1))[0]:
                    case "single":
                        await self.write_single(connection, self.chance.choice(self.singles))
                    case "group":
                        await self.write_group(connection, self.chance.choice(self.groups))
                    case _:
                        await self.increment_counter(connection)
        except ServerGone:
            pass

    async def retry_pending(self, connection: Connection) -> None:
        """What was under way when the server went away is asked again, with the same request id."""
        for item in self.items:
            if item.pending is not None:
                self.knowledge.counts.retried += 1
                await self.send(connection, item)
        if self.increment is not None:
            self.knowledge.counts.retried += 1
            await self.send_increment(connection)

    # Writes

    def value(self) -> bytes:
        self.number += 1
        size = self.chance.choices(VALUE_SIZES, (1, 8, 8, 4, 2, 1))[0]
        return b"%d:" % self.number + self.chance.randbytes(size)

    async def write_single(self, connection: Connection, item: Item) -> None:
        (key,) = item.keys
        is_there = item.values[key] is not None
        effect: Effect = {key: None if is_there and self.chance.random() < 0.2 else self.value()}
        item.begin(request_id(), effect, self.knowledge.version)
        await self.send(connection, item)

    async def write_group(self, connection: Connection, item: Item) -> None:
        """One tag on all keys, but for those that the batch deletes; the first always stays."""
        tag = self.value()
        effect: Effect = {key: tag for key in item.keys}
        for key in item.keys[1:]:
            if item.values[key] is not None and self.chance.random() < 0.15:
                effect[key] = None
        item.begin(request_id(), effect, self.knowledge.version)
        await self.send(connection, item)

    async def send(self, connection: Connection, item: Item) -> None:
        assert item.pending is not None
        self.knowledge.counts.sent += 1
        if len(item.keys) == 1:
            version = await self.send_single(connection, item)
        else:
            version = await self.send_batch(connection, item)
        item.acknowledge(version)
        self.knowledge.counts.acknowledged += 1
        self.knowledge.saw(version)

    async def send_single(self, connection: Connection, item: Item) -> int:
        """With a condition that must hold: if it does not, something was lost or happened twice."""
        assert item.pending is not None
        (key,) = item.keys
        value, options = item.pending.effect[key], {"request_id": item.pending.request_id}
        if item.values[key] is not None:
            options["condition"] = pb.Condition(version=item.version)
        elif value is not None:
            options["condition"] = pb.Condition(absent=True)
        if value is None:
            method, request = connection.stub.Delete, pb.DeleteRequest(key=key, **options)
        else:
            method, request = connection.stub.Put, pb.PutRequest(key=key, value=value, **options)
        answer = await connection.call(method, request, self.knowledge.counts)
        require(answer.success, f"{key!r}: {answer.error}; its only writer expected version {item.version}")
        return answer.version

    async def send_batch(self, connection: Connection, item: Item) -> int:
        assert item.pending is not None
        operations = []
        for key, value in item.pending.effect.items():
            condition = pb.Condition(exists=item.values[key] is not None)
            if value is None:
                operations.append(delete_op(key, condition=condition))
            else:
                operations.append(put_op(key, value, condition=condition))
        request = pb.BatchRequest(operations=operations, request_id=item.pending.request_id)
        answer = await connection.call(connection.stub.Batch, request, self.knowledge.counts)
        require(answer.success, f"{item.keys[0]!r}: {[result.error for result in answer.results]}")
        return answer.version

    # The counter that all writers share

    async def increment_counter(self, connection: Connection) -> None:
        request = pb.GetRequest(key=self.counter, consistent_read=True)
        read = await connection.call(connection.stub.Get, request, self.knowledge.counts)
        require(
            not self.increments or int(read.value) >= self.increments[-1],
            f"the counter went back to {read.value!r} behind {self.increments[-1:]}",
        )
        self.increment = (request_id(), int(read.value or b"0") + 1, read.version)
        await self.send_increment(connection)

    async def send_increment(self, connection: Connection) -> None:
        assert self.increment is not None
        identifier, value, version = self.increment
        self.knowledge.counts.sent += 1
        request = pb.PutRequest(
            key=self.counter, value=b"%d" % value, condition=pb.Condition(version=version), request_id=identifier
        )
        answer = await connection.call(connection.stub.Put, request, self.knowledge.counts)
        self.increment = None
        if answer.success:
            self.increments.append(value)
            self.knowledge.counts.acknowledged += 1
            self.knowledge.saw(answer.version)
        else:
            self.knowledge.counts.conditions_failed += 1


def check_counter(writers: list[Writer], contents: Contents) -> None:
    """Each value was acknowledged to one writer at most, and none is missing but those whose answer is outstanding."""
    acknowledged = sorted(value for writer in writers for value in writer.increments)
    require(
        len(acknowledged) == len(set(acknowledged)), f"two writers incremented to the same value: {acknowledged[-20:]}"
    )
    present = int(contents.get(b"counter", (b"0", 0))[0])
    require(
        not acknowledged or present >= acknowledged[-1],
        f"the counter is {present}, {acknowledged[-1]} was acknowledged",
    )
    missing = set(range(1, present + 1)) - set(acknowledged)
    outstanding = {writer.increment[1] for writer in writers if writer.increment is not None}
    require(missing <= outstanding, f"the counter is {present}; nobody was told of {sorted(missing - outstanding)}")


@dataclass
class Disturbances:
    """What went on in the server beside the writes, in one life of it."""

    calls: int = 0
    recycled_segments: int = 0


async def disturb(connection: Connection, chance: random.Random, counts: Counts, stop: asyncio.Event) -> Disturbances:
    """Flushes, compactions and garbage collections at random moments."""
    calls = (
        (connection.admin.Flush, admin_pb2.FlushRequest()),
        (connection.admin.Flush, admin_pb2.FlushRequest()),
        (connection.admin.CollectGarbage, admin_pb2.CollectGarbageRequest()),
        (connection.admin.Compact, admin_pb2.CompactRequest()),
    )
    done = Disturbances()
    try:
        while not stop.is_set():
            await asyncio.sleep(chance.uniform(0, 0.1))
            method, request = chance.choice(calls)
            await connection.call(method, request, counts)
            done.calls += 1
            stats = await connection.call(connection.admin.Stats, admin_pb2.StatsRequest(), counts)
            done.recycled_segments = stats.log.recycled_segments
    except ServerGone:
        pass
    return done
