"""As many connections as the process may open files, and more."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import grpc

from support.client import Client
from support.server import Server

FILES = 256
# Segments and tables come and go quickly.
SETTINGS = {
    "limits.max_value_size": "64KiB",
    "limits.max_batch_size": "64KiB",
    "storage.log_segment_size": "1MiB",
    "storage.log_retain_size": "1MiB",
    "storage.write_buffer_size": "1MiB",
    # One client may take them all.
    "transport.max_connections_per_address": 10_000,
}
TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def fill(server: Server, stack: ExitStack) -> None:
    """Idle connections, more than the process may have files."""
    for _ in range(FILES + 100):
        stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))


def test_connections_up_to_the_limit_leave_files_to_the_disk(start_server: Callable[..., Server]) -> None:
    server = start_server(SETTINGS, start=False)
    server.files_max = FILES
    server.start()
    assert "fewer connections than configured" in server.new_output()
    with server.channel() as channel:
        client = Client(channel)
        client.put(b"before", b"v")
        with ExitStack() as stack:
            fill(server, stack)
            # Enough for the log to need further segments and the store further tables.
            for number in range(300):
                client.put(b"k/%d" % (number % 16), os.urandom(50_000))
            used = processor_seconds(server)
            time.sleep(3)
            used = processor_seconds(server) - used
            assert used < 1.5, f"{used} s of processor time within 3 s of nothing to do"
            assert server.is_running()
            assert server.open_files() < FILES
        client.put(b"after", b"v")
    end = time.monotonic() + 10
    while True:
        try:
            with server.channel() as channel:
                assert Client(channel).get(b"after").found
                assert Client(channel).stats().rpc.connections_refused > 0
            break
        except grpc.RpcError:
            assert time.monotonic() < end, "new clients are not let in again"
            time.sleep(0.1)
    assert server.stop() == 0
