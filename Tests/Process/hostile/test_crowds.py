"""Too much of everything: half-open streams, connections, answers that nobody reads."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import grpc
import pytest
from hyperframe.frame import SettingsFrame, WindowUpdateFrame

from support.client import Client
from support.protos import atlas_pb2 as pb
from support.server import Server
from support.steady import steady_client
from support.wire import Wire, grpc_message, request_headers

MIB = 1 << 20
PUT_PATH = "/atlas.AtlasDB/Put"


def put_message(size: int) -> bytes:
    return grpc_message(pb.PutRequest(key=b"half", value=b"v" * size).SerializeToString())


@pytest.mark.timeout(180)
def test_ten_thousand_half_open_streams(start_server: Callable[..., Server]) -> None:
    """100 connections with 100 calls each, none of which ever sends the second half of its request."""
    server = start_server()
    half = put_message(400)[:200]
    with ExitStack() as stack:
        stack.enter_context(steady_client(server))
        before = server.resident_bytes()
        wires = [stack.enter_context(Wire(server)) for _ in range(100)]
        for wire in wires:
            wire.shake_hands()
            for number in range(100):
                wire.send_frame(
                    wire.headers(2 * number + 1, request_headers(PUT_PATH)), wire.data(2 * number + 1, half)
                )
        with server.channel() as channel:
            client = Client(channel)
            end = time.monotonic() + 20
            while (streams := client.stats().rpc.streams) < 10_000 and time.monotonic() < end:
                time.sleep(0.1)
            assert streams >= 10_000
            time.sleep(1)
            grown = server.resident_bytes() - before
            print(f"10,000 half-open streams take {grown // MIB} MiB")
            assert grown < 256 * MIB
            for wire in wires:
                wire.close()
            while (streams := client.stats().rpc.streams) > 1 and time.monotonic() < end:
                time.sleep(0.1)
            assert streams == 1
            assert not client.get(b"half").found


def test_half_open_streams_that_hold_as_much_as_they_can(start_server: Callable[..., Server]) -> None:
    """One connection fills its 100 streams with unfinished messages: what it may hold in all is bounded (32 MiB)."""
    server = start_server()
    part = put_message(MIB)[: 900 * 1024]
    with steady_client(server), Wire(server) as wire:
        wire.shake_hands()
        before = server.resident_bytes()
        for number in range(100):
            stream = 2 * number + 1
            wire.send_frame(wire.headers(stream, request_headers(PUT_PATH)))
            for at in range(0, len(part), 16_000):
                wire.send_frame(wire.data(stream, part[at : at + 16_000]))
                wire.read(0)
                if wire.closed or wire.has_ended(stream):
                    break
        wire.read_until(lambda: wire.closed or wire.has_ended(199), within=1)
        ended = [answer for stream, answer in wire.answers.items() if wire.has_ended(stream)]
        assert wire.closed or ended, "nothing was refused"
        assert {answer.grpc_status for answer in ended if answer.headers} <= {8}
        assert server.resident_bytes() - before < 128 * MIB


@pytest.mark.timeout(240)
def test_unfinished_messages_of_many_connections(start_server: Callable[..., Server]) -> None:
    """18 connections hold as much as they can: that has a bound for the server, and leaves room for the puts of others."""
    server = start_server({"transport.event_loops": 4})
    part = put_message(3 * MIB)[: 2 * MIB]
    with server.channel() as channel, ExitStack() as stack:
        client = Client(channel)
        client.put(b"k", b"v" * 300_000)
        before = server.resident_bytes()
        for _ in range(18):
            wire = stack.enter_context(Wire(server))
            wire.shake_hands()
            for number in range(14):
                stream = 2 * number + 1
                wire.send_frame(wire.headers(stream, request_headers(PUT_PATH)))
                for at in range(0, len(part), 16_000):
                    wire.send_frame(wire.data(stream, part[at : at + 16_000]))
                    wire.read(0)
                    if wire.closed or wire.has_ended(stream):
                        break
        # The room is made within moments.
        time.sleep(2)
        for number in range(20):
            client.put(b"k/%d" % number, b"v" * 300_000)
        assert server.resident_bytes() - before < 512 * MIB


def test_a_message_of_two_million_calls(start_server: Callable[..., Server]) -> None:
    """A session's message of 4 MB with calls that say nothing: others are served between them."""
    server = start_server({"transport.event_loops": 1})
    message = grpc_message(b"\x0a\x00" * ((4 * MIB - 64) // 2))
    # In a debug build a turn takes some tens of milliseconds.
    with steady_client(server, p99_ms_max=1000), Wire(server) as wire:
        wire.shake_hands({SettingsFrame.INITIAL_WINDOW_SIZE: 2**31 - 1})
        wire.send_frame(WindowUpdateFrame(0, window_increment=2**31 - 1 - 65_535))
        wire.send_frame(wire.headers(1, request_headers("/atlas.AtlasDB/Session")))
        for at in range(0, len(message), 16_000):
            wire.send_frame(wire.data(1, message[at : at + 16_000]))
            wire.read(0)
        wire.read_until(lambda: wire.closed, within=4)


def never_reads(server: Server, requests: int, path: str, message: bytes, window: int) -> Wire:
    """Sends requests, offers a window, and reads nothing from the socket."""
    wire = Wire(server, receive_buffer=4096)
    wire.shake_hands({SettingsFrame.INITIAL_WINDOW_SIZE: window})
    if window > 65_535:
        wire.send_frame(WindowUpdateFrame(0, window_increment=window - 65_535))
    wire.socket.settimeout(0.2)
    try:
        for number in range(requests):
            wire.request(2 * number + 1, request_headers(path), message)
    except TimeoutError:
        pass  # The server takes no more from a client that takes nothing.
    return wire


@pytest.mark.parametrize("window", [0, 65_535, 2**31 - 1], ids=["no window", "a small window", "a huge window"])
@pytest.mark.parametrize("method", ["Get", "Scan"])
def test_a_client_that_never_reads(start_server: Callable[..., Server], method: str, window: int) -> None:
    """Ten connections ask for 100 MiB each, and take nothing."""
    server = start_server({"storage.block_cache_size": "8MiB", "storage.write_buffer_size": "8MiB"})
    with server.channel() as channel:
        client = Client(channel)
        for number in range(50):
            client.put(b"big/%d" % number, b"v" * MIB)
    request = pb.GetRequest(key=b"big/7") if method == "Get" else pb.ScanRequest(prefix=b"big/")
    message = grpc_message(request.SerializeToString())
    with steady_client(server), ExitStack() as stack:
        before = server.resident_bytes()
        for _ in range(10):
            stack.enter_context(never_reads(server, 100, f"/atlas.AtlasDB/{method}", message, window))
        peak = 0
        for _ in range(20):
            time.sleep(0.1)
            peak = max(peak, server.resident_bytes() - before)
        print(f"{peak // MIB} MiB for 1,000 calls whose answers nobody takes")
        # Each call may hold its answer of 1 MiB, and no more: what is not taken does not pile up.
        assert peak < (1_000 + 256) * MIB


def test_a_session_that_never_reads(start_server: Callable[..., Server]) -> None:
    server = start_server()
    with server.channel() as channel:
        Client(channel).put(b"big", b"v" * MIB)
    calls = pb.SessionRequest(
        calls=[pb.SessionCall(id=number, get=pb.GetRequest(key=b"big")) for number in range(4096)]
    )
    with steady_client(server), Wire(server, receive_buffer=4096) as wire:
        wire.shake_hands({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
        before = server.resident_bytes()
        message = grpc_message(calls.SerializeToString())
        wire.send_frame(wire.headers(1, request_headers("/atlas.AtlasDB/Session")))
        for at in range(0, len(message), 16_000):
            wire.send_frame(wire.data(1, message[at : at + 16_000]))
        time.sleep(2)
        grown = server.resident_bytes() - before
        print(f"{grown // MIB} MiB for 4 GiB of answers that nobody takes")
        assert grown < 256 * MIB


def test_a_flood_of_connections(start_server: Callable[..., Server]) -> None:
    """200 are allowed, 600 come: those above are closed at once, the others and their client go on."""
    server = start_server({"transport.max_connections": 200, "transport.max_connections_per_address": 200})
    with steady_client(server), ExitStack() as stack:
        before = server.resident_bytes()
        sockets = []
        for _ in range(600):
            each = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            each.settimeout(0.01)
            sockets.append(each)
        # Those of the nodes' reserve are closed when they turn out to be no nodes.
        time.sleep(4)
        open_ones = [each for each in sockets if is_open(each)]
        assert 190 <= len(open_ones) <= 200
        assert server.resident_bytes() - before < 64 * MIB
        for each in sockets:
            each.close()
        end = time.monotonic() + 5
        while True:
            try:
                with server.channel() as channel:
                    assert Client(channel).stats().rpc.connections_refused >= 400
                break
            except grpc.RpcError:
                assert time.monotonic() < end, "new clients are not let in again"


def is_open(each: socket.socket) -> bool:
    try:
        while data := each.recv(4096):
            del data
        return False
    except TimeoutError:
        return True
    except OSError:
        return False


def test_connections_that_come_and_go(server: Server) -> None:
    """3,000 connections one after the other leave nothing open behind them."""
    files = server.open_files()
    memory = server.resident_bytes()
    with steady_client(server):
        for number in range(3000):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as each:
                if number % 3 == 0:
                    each.send(b"PRI * HTTP/2.0")
    end = time.monotonic() + 5
    while server.open_files() > files + 5 and time.monotonic() < end:
        time.sleep(0.05)
    assert server.open_files() <= files + 5
    assert server.resident_bytes() - memory < 64 * MIB


def test_a_busy_writer_is_not_starved(server: Server) -> None:
    """One client with 100 large writes in flight; another one does not wait behind all of them."""
    with steady_client(server), server.channel() as channel:
        client = Client(channel)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            calls = [
                client.stub.Put.future(pb.PutRequest(key=b"%d" % number, value=b"v" * 50_000), timeout=20)
                for number in range(100)
            ]
            assert all(call.result().success for call in calls)
