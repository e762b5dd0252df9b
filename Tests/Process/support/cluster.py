"""Several real nodes on free ports of 127.0.0.1, in regions, with one configuration for all of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import grpc

from support.client import CALL_SECONDS, Client
from support.network import Network
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb
from support.server import Server, StartFailed

READY_SECONDS = 30.0


class Node(Server):
    """One node of a cluster."""

    def __init__(self, directory: Path, name: str, region: int) -> None:
        super().__init__(directory)
        self.name = name
        self.region = region

    def wipe(self) -> None:
        """Loses the disk of a node that does not run."""
        assert not self.is_running()
        shutil.rmtree(self.data)


class Cluster:
    """`Cluster(directory, [3, 3, 3])` has three regions of three nodes each, named n11 to n33.

    With `distances` (round trips between regions, in milliseconds) a relay is between all nodes; see `Network`.
    """

    def __init__(
        self,
        directory: Path,
        regions: list[int],
        settings: dict[str, object] | None = None,
        distances: dict[tuple[int, int], float] | None = None,
    ) -> None:
        self.nodes = [
            Node(directory / f"n{region}{number}", f"n{region}{number}", region)
            for region, count in enumerate(regions, 1)
            for number in range(1, count + 1)
        ]
        members = ", ".join(
            f'{{id: {node.name}, address: "{node.address}", region_id: {node.region}}}' for node in self.nodes
        )
        for node in self.nodes:
            node.settings = {
                "node.id": node.name,
                "node.region_id": node.region,
                "cluster.nodes": f"[{members}]",
                # Segments are reserved on the disk, and there are many nodes.
                "storage.log_segment_size": "16MiB",
                **(settings or {}),
            }
        self._channels = ExitStack()
        self._network = None if distances is None else Network(self.nodes, distances)
        if self._network is not None:
            for node in self.nodes:
                node.settings["transport.routes"] = self._network.routes(node.name)

    @property
    def network(self) -> Network:
        assert self._network is not None, "the cluster was made without distances"
        return self._network

    def __getitem__(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def region(self, number: int) -> list[Node]:
        return [node for node in self.nodes if node.region == number]

    # Life

    def start(self) -> Cluster:
        """Starts all nodes and waits until the cluster serves."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_until_ready()
        for node in self.nodes:
            self.wait_until_it_serves(node)
        return self

    def restart(self) -> None:
        """All nodes are killed and come back."""
        for node in self.nodes:
            node.kill()
        self.start()

    def kill(self) -> None:
        """Everything that was started ends."""
        self._channels.close()
        for node in self.nodes:
            node.kill()
        if self._network is not None:
            self._network.kill()

    def client(self, node: Node) -> Client:
        return Client(self._channels.enter_context(node.channel()))

    def wait_until_it_serves(self, node: Node, within: float = READY_SECONDS) -> None:
        """Until consistent reads work at a node."""
        with node.channel() as channel:
            stub = Client(channel).stub
            request = pb.GetRequest(key=b"probe", consistent_read=True)

            def serves() -> bool:
                if not node.is_running():
                    raise StartFailed(f"{node.name} ended by itself:\n{node.crash() or node.new_output()}")
                return works(lambda: stub.Get(request, timeout=1))

            until(serves, f"{node.name} does not serve", within)

    def stats(self, node: Node, within: float = CALL_SECONDS) -> admin_pb2.StatsResponse:
        with node.channel() as channel:
            return Client(channel).admin.Stats(admin_pb2.StatsRequest(), timeout=within)

    def owner(self, node: Node, within: float = CALL_SECONDS) -> str:
        """The name of the node that owns the first tablet, as one of them sees it."""
        return self.stats(node, within).tablets[0].owner_node


def works(call: Callable[[], object]) -> bool:
    try:
        call()
    except grpc.RpcError:
        return False
    return True


def until(holds: Callable[[], bool], otherwise: str, within: float = READY_SECONDS) -> float:
    """Waits until something holds. Returns the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + within, otherwise
        time.sleep(0.02)
    return time.monotonic() - began
