"""For how long a region is not served."""

from __future__ import annotations

import itertools
import threading
import time

import grpc

from support.client import Client
from support.cluster import Node
from support.protos import atlas_pb2 as pb

CALL_SECONDS = 2.0
PAUSE_SECONDS = 0.05
# Less than this between two answers is a slow answer.
GAP_SECONDS = 1.0


class Probe:
    """Writes a key of its own all the time, to another node of the region after each failure.

    The other clients wait for the outcome of a write, or for an earlier attempt to be over, so they do not always ask.
    """

    def __init__(self, region: int, nodes: list[Node]) -> None:
        self.region = region
        self.channels = [node.channel() for node in nodes]
        self.answered: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe {region}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10 * CALL_SECONDS)
        for channel in self.channels:
            channel.close()

    def _run(self) -> None:
        clients = itertools.cycle([Client(channel) for channel in self.channels])
        current = next(clients)
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                current.stub.Put(pb.PutRequest(key=f"probe/{self.region}".encode()), timeout=CALL_SECONDS)
                self.answered.append(time.monotonic())
            except grpc.RpcError:
                current = next(clients)

    def gaps(self, began: float, ended: float) -> list[tuple[float, float]]:
        """The times without an answer in a stretch of time: when each began, and how many seconds it lasted."""
        moments = [began, *(moment for moment in self.answered if began <= moment <= ended), ended]
        gaps = ((before, after - before) for before, after in itertools.pairwise(moments))
        return [(before, seconds) for before, seconds in gaps if seconds > GAP_SECONDS]
