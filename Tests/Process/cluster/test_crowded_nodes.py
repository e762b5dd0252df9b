"""Clients take every connection that they may have; the nodes' links come back all the same."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import grpc

from support.cluster import Cluster, until, works
from support.client import Client
from support.protos import atlas_pb2 as pb


def crowd(port: int, count: int, stack: ExitStack) -> None:
    """Idle connections of clients that come first, and keep their places."""
    for _ in range(count):
        each = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        each.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))


def test_links_come_back_while_clients_fill_the_nodes(start_cluster: Callable[..., Cluster]) -> None:
    settings = {"transport.max_connections": 20, "transport.max_connections_per_address": 20}
    cluster = start_cluster([3], settings)
    assert cluster.client(cluster.nodes[0]).put(b"before", b"v").success
    with ExitStack() as stack:
        # A node that comes back finds the others full, as after a cut: all its links have to be made again.
        victim = cluster.nodes[2]
        victim.kill()
        for node in cluster.nodes[:2]:
            crowd(node.port, 60, stack)
        time.sleep(3)
        refused(cluster.nodes[0])
        victim.start()
        client = cluster.client(victim)
        request = pb.PutRequest(key=b"crowded", value=b"v")
        until(lambda: works(lambda: client.stub.Put(request, timeout=1)), "a write through the node that came back", 30)
        other = cluster.nodes[0].new_output()
        assert "connections are refused" in other


def refused(node: object) -> None:
    """A further client is not let in."""
    with node.channel() as channel:
        try:
            Client(channel).stub.Get(pb.GetRequest(key=b"before"), timeout=2)
        except grpc.RpcError:
            return
    raise AssertionError("the node takes clients beyond its limit")
