"""The stubs of one channel, and what tests say often."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from grpc_status import rpc_status

from support.protos import admin_pb2, admin_pb2_grpc, atlas_pb2_grpc
from support.protos import atlas_pb2 as pb

CALL_SECONDS = 20.0


class Client:
    """Calls with a deadline, so that a server that hangs fails a test instead of stopping all of them."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.stub = atlas_pb2_grpc.AtlasDBStub(channel)
        self.admin = admin_pb2_grpc.AdminStub(channel)

    def get(self, key: bytes, **options: object) -> pb.GetResponse:
        return self.stub.Get(pb.GetRequest(key=key, **options), timeout=CALL_SECONDS)

    def put(self, key: bytes, value: bytes = b"", **options: object) -> pb.PutResponse:
        return self.stub.Put(pb.PutRequest(key=key, value=value, **options), timeout=CALL_SECONDS)

    def delete(self, key: bytes, **options: object) -> pb.DeleteResponse:
        return self.stub.Delete(pb.DeleteRequest(key=key, **options), timeout=CALL_SECONDS)

    def scan(self, **options: object) -> list[pb.ScanResponse]:
        return list(self.stub.Scan(pb.ScanRequest(**options), timeout=CALL_SECONDS))

    def batch(self, *operations: pb.Operation, **options: object) -> pb.BatchResponse:
        return self.stub.Batch(pb.BatchRequest(operations=operations, **options), timeout=CALL_SECONDS)

    def stats(self) -> object:
        return self.admin.Stats(admin_pb2.StatsRequest(), timeout=CALL_SECONDS)


def get_op(key: bytes, **options: object) -> pb.Operation:
    return pb.Operation(type=pb.Operation.GET, key=key, **options)


def put_op(key: bytes, value: bytes = b"", **options: object) -> pb.Operation:
    return pb.Operation(type=pb.Operation.PUT, key=key, value=value, **options)


def delete_op(key: bytes, **options: object) -> pb.Operation:
    return pb.Operation(type=pb.Operation.DELETE, key=key, **options)


def request_id(age_ms: int = 0) -> bytes:
    """A UUIDv7 that was made `age_ms` ago."""
    milliseconds = time.time_ns() // 1_000_000 - age_ms
    random = bytearray(os.urandom(10))
    random[0] = 0x70 | random[0] & 0x0F
    random[2] = 0x80 | random[2] & 0x3F
    return milliseconds.to_bytes(6, "big") + bytes(random)


@dataclass
class Failure:
    """How a call failed: its status, and the detail of `grpc-status-details-bin`."""

    status: grpc.StatusCode | None = None
    message: str = ""
    detail: pb.ErrorDetail | None = None

    @property
    def code(self) -> str:
        assert self.detail is not None, f"no detail beside {self.status}: {self.message}"
        return pb.ErrorCode.Name(self.detail.code).removeprefix("ERROR_CODE_")

    def take(self, error: grpc.RpcError) -> None:
        self.status, self.message = error.code(), error.details() or ""
        status = rpc_status.from_call(error)
        for packed in status.details if status else []:
            detail = pb.ErrorDetail()
            if packed.Unpack(detail):
                self.detail = detail


@contextmanager
def fails(status: str, code: str | None = None) -> Iterator[Failure]:
    """The calls inside must fail with this status and, if given, with this code in the detail."""
    failure = Failure()
    try:
        yield failure
    except grpc.RpcError as error:
        failure.take(error)
    assert failure.status is not None, f"succeeded, expected {status}"
    assert failure.status.name == status, f"{failure.status.name} ({failure.message}), expected {status}"
    if code is not None:
        assert failure.code == code, f"{failure.code} ({failure.message}), expected {code}"
        assert failure.detail is not None and failure.detail.message == failure.message
