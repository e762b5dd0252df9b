"""`grpc.health.v1.Health`, with the stubs of grpcio's own package."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.server import Server

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def health(server: Server) -> Iterator[health_pb2_grpc.HealthStub]:
    with server.channel() as channel:
        yield health_pb2_grpc.HealthStub(channel)


@pytest.mark.parametrize("service", ["", "live", "ready", "atlas.AtlasDB"])
def test_check(health: health_pb2_grpc.HealthStub, service: str) -> None:
    assert health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status == SERVING


def test_check_of_an_unknown_service(health: health_pb2_grpc.HealthStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="unknown"), timeout=20)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(("service", "status"), [("", SERVING), ("live", SERVING), ("unknown", SERVICE_UNKNOWN)])
def test_watch_begins_with_the_present_status(health: health_pb2_grpc.HealthStub, service: str, status: int) -> None:
    watch = health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=20)
    assert next(watch).status == status
    watch.cancel()


def test_watch_tells_when_the_server_stops(start_server: Callable[..., Server]) -> None:
    server = start_server()
    seen: queue.Queue[int | None] = queue.Queue()
    with server.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="ready"), timeout=60)

        def read() -> None:
            try:
                for response in watch:
                    seen.put(response.status)
            except grpc.RpcError:
                pass
            seen.put(None)

        reader = threading.Thread(target=read)
        reader.start()
        assert seen.get(timeout=20) == SERVING
        server.signal(signal.SIGTERM)
        assert seen.get(timeout=20) == NOT_SERVING
        watch.cancel()
        reader.join()
    assert server.wait() == 0
