"""Process-level tests: a real `atlas-db` on 127.0.0.1, real clients.

    server        one for all tests of a file, with the default settings
    start_server  servers of a test's own, with settings and a data directory of their own
    client        a client of `server`, with a connection of its own
    start_cluster clusters of a test's own: `start_cluster([3, 3])` has two regions of three nodes; with `distances`
                  they are apart

Every process that a fixture starts is ended by its id when the fixture ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.client import Client
from support.cluster import Cluster
from support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"))
    try:
        yield running.start()
    finally:
        running.kill()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.channel() as channel:
        yield Client(channel)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`start_server(settings)` starts one; `start_server(settings, start=False)` only prepares it."""
    servers: list[Server] = []

    def make(settings: dict[str, object] | None = None, *, start: bool = True, data: Path | None = None) -> Server:
        server = Server(tmp_path / f"server{len(servers)}", settings, data)
        servers.append(server)
        return server.start() if start else server

    try:
        yield make
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """`start_cluster(regions, settings)` starts one; with `start=False` it only prepares it."""
    clusters: list[Cluster] = []

    def make(
        regions: list[int],
        settings: dict[str, object] | None = None,
        *,
        distances: dict[tuple[int, int], float] | None = None,
        start: bool = True,
    ) -> Cluster:
        cluster = Cluster(tmp_path / f"cluster{len(clusters)}", regions, settings, distances)
        clusters.append(cluster)
        return cluster.start() if start else cluster

    try:
        yield make
    finally:
        for cluster in clusters:
            cluster.kill()


@pytest.fixture
def key(request: pytest.FixtureRequest) -> Callable[[str], bytes]:
    """Keys of this test alone: tests of a file share a server."""
    prefix = request.node.nodeid.rsplit("::", 1)[-1]
    return lambda name="": f"{prefix}/{name}".encode()
