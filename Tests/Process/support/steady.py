"""A well-behaved client that works beside the trouble that a test makes, in a process of its own.

As a program it puts and gets until its standard input ends, and prints what it met as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from support.server import Server

PAUSE_SECONDS = 0.004
CALL_SECONDS = 10.0
# On a machine that does nothing else; without trouble a call takes about a millisecond.
P99_MS_MAX = 250.0
SECONDS_MIN = 1.0


@dataclass
class Report:
    calls: int = 0
    errors: list[str] = field(default_factory=list)
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0

    def __str__(self) -> str:
        return f"{self.calls} calls, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, at most {self.max_ms:.1f} ms"


@contextmanager
def steady_client(server: Server, p99_ms_max: float = P99_MS_MAX) -> Iterator[None]:
    """Runs beside the block; at the end it must not have noticed anything."""
    root = Path(__file__).resolve().parents[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "support.steady", server.address],
        cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        began = time.monotonic()
        yield
        # The trouble may have taken no time at all; what it left behind counts as well.
        time.sleep(max(0.0, SECONDS_MIN - (time.monotonic() - began)))
        output, _ = process.communicate(timeout=CALL_SECONDS + 10)
    finally:
        process.kill()
        process.wait()
    report = Report(**json.loads(output))
    print(f"steady client: {report}")
    assert report.errors == [], f"{report}: {report.errors[:3]}"
    assert report.calls >= 10, f"the steady client hardly got a turn: {report}"
    assert report.p99_ms <= p99_ms_max * slowdown(), str(report)


def slowdown() -> float:
    """How much longer things take because of whatever else runs on this machine."""
    return 1 + os.getloadavg()[0] / (os.cpu_count() or 1)


def _run(address: str) -> Report:
    from support.protos import atlas_pb2 as pb
    from support.protos import atlas_pb2_grpc

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    report, milliseconds = Report(), []
    with grpc.insecure_channel(address) as channel:
        stub = atlas_pb2_grpc.AtlasDBStub(channel)
        stub.Put(pb.PutRequest(key=b"steady", value=b"0"), timeout=CALL_SECONDS)
        print("ready", flush=True)
        number = 0
        while not stop.is_set():
            number += 1
            value = b"%d" % number
            try:
                for call, request in (
                    (stub.Put, pb.PutRequest(key=b"steady", value=value)),
                    (stub.Get, pb.GetRequest(key=b"steady")),
                ):
                    began = time.perf_counter()
                    answer = call(request, timeout=CALL_SECONDS)
                    milliseconds.append((time.perf_counter() - began) * 1000)
                if answer.value != value:
                    report.errors.append(f"read {answer.value!r} instead of {value!r}")
            except grpc.RpcError as error:
                report.errors.append(f"{error.code().name}: {error.details()}")
            time.sleep(PAUSE_SECONDS)
    milliseconds.sort()
    report.calls = len(milliseconds)
    if milliseconds:
        report.p50_ms = milliseconds[len(milliseconds) // 2]
        report.p99_ms = milliseconds[len(milliseconds) * 99 // 100]
        report.max_ms = milliseconds[-1]
    return report


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1]).__dict__))
