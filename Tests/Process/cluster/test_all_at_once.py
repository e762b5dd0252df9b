"""Snapshots, splits, moves, long work and load at once. `scripts/threads.sh` runs it under ThreadSanitizer."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable

import grpc
import pytest

from support.client import Client, delete_op, get_op, put_op
from support.cluster import Cluster, until, works
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb
from support.session import Session, get_call, put_call, scan_call

StartCluster = Callable[..., Cluster]

ADMIN_SECONDS = 60
CALL_SECONDS = 2
KEYS = [b"k/%03d" % number for number in range(120)]
VALUE_BYTES = 6 << 10
# Small, so that stores wait for the disk, logs let go of what followers need, and snapshots have many parts.
SETTINGS = {
    "limits.max_batch_size": "500KiB",
    "limits.max_value_size": "100KiB",
    "storage.log_segment_size": "1MiB",
    "storage.log_retain_size": "4MiB",
    "storage.write_buffer_size": "1MiB",
    "storage.block_cache_size": "1MiB",
    "storage.min_blob_size": "4KiB",
    "cluster.survive": "region",
    "region.region_sync_interval": "1s",
}


class Load:
    """Clients at all nodes that read and write until it ends. Calls may fail: nodes come and go."""

    def __init__(self, cluster: Cluster) -> None:
        self._ends = threading.Event()
        self.done = dict.fromkeys(("write", "read", "scan", "session", "admin"), 0)
        kinds = {"write": self._write, "read": self._read, "scan": self._scan, "session": self._session}
        self._threads = [
            threading.Thread(target=self._repeat, args=(kind, step, cluster.client(node), number))
            for number, node in enumerate(cluster.nodes)
            for kind, step in kinds.items()
        ]
        self._threads.append(
            threading.Thread(target=self._repeat, args=("admin", self._admin, cluster.client(cluster.nodes[0]), 0))
        )
        for thread in self._threads:
            thread.start()

    def _repeat(self, kind: str, step: Callable[[Client, random.Random], None], client: Client, seed: int) -> None:
        chance = random.Random(f"{kind}/{seed}")
        while not self._ends.is_set():
            try:
                step(client, chance)
                self.done[kind] += 1
            except (grpc.RpcError, queue.Empty):
                time.sleep(0.05)

    def _write(self, client: Client, chance: random.Random) -> None:
        key, value = chance.choice(KEYS), chance.randbytes(VALUE_BYTES)
        match chance.randrange(4):
            case 0:
                batch = pb.BatchRequest(operations=[get_op(key), delete_op(key), put_op(key, value)])
                client.stub.Batch(batch, timeout=CALL_SECONDS)
            case 1:
                put = pb.PutRequest(key=key, value=value, ttl_ms=500, write_level=pb.WRITE_LEVEL_GLOBAL)
                client.stub.Put(put, timeout=CALL_SECONDS)
            case _:
                put = pb.PutRequest(key=key, value=value, return_previous=True)
                client.stub.Put(put, timeout=CALL_SECONDS)

    def _read(self, client: Client, chance: random.Random) -> None:
        consistency = chance.choice((pb.CONSISTENCY_CONSISTENT, pb.CONSISTENCY_LOCAL, pb.CONSISTENCY_NEAREST))
        client.stub.Get(pb.GetRequest(key=chance.choice(KEYS), consistency=consistency), timeout=CALL_SECONDS)

    def _scan(self, client: Client, chance: random.Random) -> None:
        consistency = chance.choice((pb.CONSISTENCY_CONSISTENT, pb.CONSISTENCY_LOCAL))
        request = pb.ScanRequest(consistency=consistency, reverse=chance.random() < 0.5)
        call = client.stub.Scan(request, timeout=10)
        for number, _ in enumerate(call):
            if number == 60 and chance.random() < 0.3:
                call.cancel()

    def _session(self, client: Client, chance: random.Random) -> None:
        """Many calls under way at once."""
        with Session(client, timeout=10) as session:
            calls = []
            for number in range(0, 60, 2):
                key = chance.choice(KEYS)
                calls += [put_call(number, key, chance.randbytes(VALUE_BYTES)), get_call(number + 1, key)]
            session.send(*calls, scan_call(60, limit=10))
            for number in range(60):
                session.answer(number, within=CALL_SECONDS)

    def _admin(self, client: Client, chance: random.Random) -> None:
        client.stats()
        client.admin.ListTablets(admin_pb2.ListTabletsRequest(), timeout=CALL_SECONDS)
        client.admin.Cluster(admin_pb2.ClusterRequest(), timeout=CALL_SECONDS)
        match chance.randrange(4):
            case 0:
                client.admin.Flush(admin_pb2.FlushRequest(), timeout=10)
            case 1:
                client.admin.Compact(admin_pb2.CompactRequest(), timeout=10)
            case 2:
                client.admin.CollectGarbage(admin_pb2.CollectGarbageRequest(), timeout=10)
        time.sleep(0.2)

    def end(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()


def split(client: Client, key: bytes) -> None:
    request = admin_pb2.SplitTabletRequest(key=key)
    until(lambda: works(lambda: client.admin.SplitTablet(request, timeout=10)), "it is not split", ADMIN_SECONDS)


def move_all(cluster: Cluster, client: Client) -> None:
    """Each tablet gets another owner, as far as that works at the moment."""
    for tablet in client.stats().tablets:
        other = next(node for node in cluster.nodes if node.name != tablet.owner_node)
        request = admin_pb2.MoveTabletRequest(key=tablet.start_key or b"a", node_id=other.name)
        works(lambda: client.admin.MoveTablet(request, timeout=CALL_SECONDS))  # noqa: B023


def lose_disk_and_return(cluster: Cluster, name: str) -> None:
    """The node gets all tablets as snapshots, and applies what is written meanwhile."""
    lost = cluster[name]
    client = cluster.client(next(node for node in cluster.nodes if node is not lost))
    lost.kill()
    lost.wipe()
    lost.start(within=60)
    follower = cluster.client(lost)

    def is_heard() -> bool:
        states = client.admin.Cluster(admin_pb2.ClusterRequest(), timeout=ADMIN_SECONDS).nodes
        state = next(state for state in states if state.info.node_id == name)
        return not state.is_silent and state.tablets_held == 0

    until(is_heard, "the new disk is not heard of", ADMIN_SECONDS)
    again = admin_pb2.AddVoterRequest(node_id=name)
    until(lambda: works(lambda: client.admin.AddVoter(again, timeout=10)), "it does not vote", ADMIN_SECONDS)

    def has_all() -> bool:
        held = {(tablet.tablet, tablet.epoch) for tablet in client.stats().tablets}
        return held == {(tablet.tablet, tablet.epoch) for tablet in follower.stats().tablets}

    until(has_all, "it gets no data", ADMIN_SECONDS)


def same_states(cluster: Cluster) -> bool:
    states = []
    for node in cluster.nodes:
        tablets = cluster.stats(node).tablets
        states.append({(each.tablet, each.epoch): (each.applied_slot, each.state_hash) for each in tablets})
    return all(state == states[0] for state in states)


@pytest.mark.timeout(400)
def test_snapshots_splits_and_load_at_once(start_cluster: StartCluster) -> None:
    cluster = start_cluster([1, 1, 1], SETTINGS)
    client = cluster.client(cluster.nodes[0])
    for key in KEYS:
        client.put(key, random.randbytes(VALUE_BYTES))
    load = Load(cluster)
    try:
        for number, lost in enumerate(("n31", "n21", "n31")):
            for key in KEYS[10 * number + 10 :: 30]:
                split(client, key)
            move_all(cluster, client)
            lose_disk_and_return(cluster, lost)
    finally:
        load.end()
    print(f"done: {load.done}")
    assert min(load.done.values()) > 0
    until(lambda: same_states(cluster), "replicas differ", ADMIN_SECONDS)
    for node in cluster.nodes:
        assert node.stop() == 0
