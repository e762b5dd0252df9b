"""Writes at level GLOBAL, and the region that owns them killed in the moment in which one is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

import grpc

from support.client import Client
from support.cluster import Cluster, Node, until, works
from support.protos import atlas_pb2 as pb

StartCluster = Callable[..., Cluster]
Key = Callable[[str], bytes]

SETTLED = {
    "consensus.heartbeat_interval": "200ms",
    "consensus.election_timeout": "1s",
    "region.ownership_policy": "none",
}
ROUNDS = 4
WRITERS = 8


def write_until_killed(client: Client, owner: Node, prefix: bytes) -> dict[bytes, bytes]:
    """Several clients write at once; the owner is killed at the first answers. Returns what has been acknowledged."""
    killed = threading.Event()

    def write(writer: int) -> dict[bytes, bytes]:
        done: dict[bytes, bytes] = {}
        for number in range(1000):
            name = prefix + b"%d/%04d" % (writer, number)
            request = pb.PutRequest(key=name, value=b"%d" % number, write_level=pb.WRITE_LEVEL_GLOBAL)
            try:
                client.stub.Put(request, timeout=5)
            except grpc.RpcError:
                assert killed.is_set()
                break
            done[name] = b"%d" % number
            if number >= 5 and not killed.is_set():
                killed.set()
                owner.kill()
        return done

    with ThreadPoolExecutor(WRITERS) as pool:
        futures = [pool.submit(write, writer) for writer in range(WRITERS)]
        return {name: value for future in as_completed(futures) for name, value in future.result().items()}


def owner_and_others(cluster: Cluster) -> tuple[Node, list[Node]]:
    owner = cluster[cluster.owner(cluster.nodes[0])]
    return owner, [node for node in cluster.nodes if node is not owner]


def found(client: Client, prefix: bytes, consistency: int) -> dict[bytes, bytes]:
    items = client.stub.Scan(pb.ScanRequest(prefix=prefix, consistency=consistency, limit=10_000), timeout=10)
    return {item.key: item.value for item in items}


def bring_back(cluster: Cluster, node: Node) -> None:
    node.start()
    for other in cluster.nodes:
        cluster.wait_until_it_serves(other)


def test_the_next_owner_serves_what_was_acknowledged(start_cluster: StartCluster, key: Key) -> None:
    cluster = start_cluster([1, 1, 1], {**SETTLED, "cluster.survive": "region"})
    for round in range(ROUNDS):
        owner, others = owner_and_others(cluster)
        prefix = key(f"{round}/")
        expected = write_until_killed(cluster.client(owner), owner, prefix)
        assert expected
        for node in others:
            client = cluster.client(node)
            seen: dict[bytes, bytes] = {}

            def serves(client: Client = client, seen: dict[bytes, bytes] = seen, prefix: bytes = prefix) -> bool:
                return works(lambda: seen.update(found(client, prefix, pb.CONSISTENCY_CONSISTENT)))

            until(serves, f"{node.name} does not serve")
            assert expected.items() <= seen.items()
        bring_back(cluster, owner)


def test_copies_show_what_was_acknowledged_where_no_region_takes_over(start_cluster: StartCluster, key: Key) -> None:
    cluster = start_cluster([1, 1, 1], SETTLED)
    for round in range(ROUNDS):
        owner, others = owner_and_others(cluster)
        prefix = key(f"{round}/")
        expected = write_until_killed(cluster.client(owner), owner, prefix)
        assert expected
        clients = [cluster.client(node) for node in others]

        def are_shown(
            clients: list[Client] = clients, prefix: bytes = prefix, expected: dict[bytes, bytes] = expected
        ) -> bool:
            shown: set[tuple[bytes, bytes]] = set()
            for client in clients:
                shown |= found(client, prefix, pb.CONSISTENCY_LOCAL).items()
            return expected.items() <= shown

        until(are_shown, "a copy does not show what was acknowledged", 5)
        bring_back(cluster, owner)
