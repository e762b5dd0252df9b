"""How a server starts and ends, and when it refuses to start."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from support.client import Client, fails, put_op
from support.protos import atlas_pb2 as pb
from support.server import ANNOUNCEMENT, Server, binary

USAGE, UNAVAILABLE, FAILURE = 2, 3, 4
StartServer = Callable[..., Server]
# Of a thousand writes each: recovery takes a moment.
BATCHES = 50
# Without this, grpcio widens its windows as it pleases, and may have taken a whole scan before anybody reads it.
SMALL_WINDOW = {"http2.bdp_probe": 0, "http2.lookahead_bytes": 64 << 10}


def test_sigterm_and_sigint_end_it_with_status_zero(start_server: StartServer) -> None:
    server = start_server()
    for number in (signal.SIGTERM, signal.SIGINT):
        server.signal(number)
        assert server.wait() == 0
        server.start()


def test_idle_connections_do_not_delay_the_end(start_server: StartServer) -> None:
    server = start_server()
    channels = [server.channel() for _ in range(20)]
    for channel in channels:
        Client(channel).put(b"k", b"v")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    for channel in channels:
        channel.close()


def test_what_is_in_progress_is_finished(start_server: StartServer) -> None:
    """A scan that is half read when SIGTERM comes is served to its end; new connections are not let in."""
    server = start_server()
    with server.channel(**SMALL_WINDOW) as channel:
        client = Client(channel)
        for number in range(200):
            client.put(b"%03d" % number, b"v" * 50_000)
        scan = client.stub.Scan(pb.ScanRequest(), timeout=30)
        found = [next(scan).key for _ in range(3)]
        server.signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.is_running()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=2).close()
        found += [item.key for item in scan]
        assert found == [b"%03d" % number for number in range(200)]
    assert server.wait() == 0


def test_writes_in_progress_are_answered_and_what_was_acknowledged_stays(start_server: StartServer) -> None:
    server = start_server()
    with server.channel() as channel:
        client = Client(channel)
        calls = {
            b"%04d" % number: client.stub.Put.future(pb.PutRequest(key=b"%04d" % number, value=b"v"), timeout=20)
            for number in range(1000)
        }
        next(iter(calls.values())).result()
        server.signal(signal.SIGTERM)
        acknowledged = {}
        for key, call in calls.items():
            try:
                acknowledged[key] = call.result().version
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), error
    assert server.wait() == 0
    server.start()
    with server.channel() as channel:
        present = {item.key: item.version for item in Client(channel).scan()}
    assert acknowledged.items() <= present.items()
    assert acknowledged


def test_a_second_signal_ends_it_at_once(start_server: StartServer) -> None:
    server = start_server()
    with server.channel(**SMALL_WINDOW) as channel:
        client = Client(channel)
        for number in range(200):
            client.put(b"%03d" % number, b"v" * 50_000)
        scan = client.stub.Scan(pb.ScanRequest(), timeout=60)
        next(scan)
        server.signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.is_running(), "the scan should have kept it"
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait() == -signal.SIGTERM
        assert time.monotonic() - began < 2
        scan.cancel()
    server.start()
    with server.channel() as channel:
        assert len(Client(channel).scan(keys_only=True)) == 200


def test_a_signal_during_recovery_ends_it(start_server: StartServer) -> None:
    server = start_server()
    with server.channel() as channel:
        client = Client(channel)
        for number in range(BATCHES):
            client.batch(*(put_op(b"%03d-%03d" % (number, each), b"v") for each in range(1000)))
    lock = server.data / "LOCK"
    server.kill()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        lock.unlink()
        server.launch()
        # From the first thing on that is done in the directory.
        while not lock.exists():
            assert server.is_running(), server.output()
            time.sleep(0.001)
        server.signal(number)
        assert server.wait() == 0
        assert "a second signal ends the process" in server.new_output()
        assert ANNOUNCEMENT not in server.new_output(), "it should not have recovered all"
    server.start()
    with server.channel() as channel:
        assert len(Client(channel).scan(keys_only=True)) == BATCHES * 1000


def test_a_signal_at_any_moment_of_the_start(start_server: StartServer) -> None:
    """Before the data directory is touched a signal just ends the process; after that it ends cleanly."""
    server = start_server(start=False)
    for step in range(15):
        server.launch()
        time.sleep(step * 0.02)
        begun = (server.data / "LOCK").exists()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0 or not begun
    server.start()
    with server.channel() as channel:
        assert Client(channel).put(b"k", b"v").success


def test_a_client_that_does_not_let_go_of_its_session_is_sent_away(start_server: StartServer) -> None:
    server = start_server()
    with server.channel() as channel:
        client = Client(channel)
        client.put(b"k", b"v")
        session = client.stub.Session(iter_forever(), timeout=60)
        assert next(session).answers[0].id == 1
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert time.monotonic() - began < 5
        with fails("UNAVAILABLE", "SHUTTING_DOWN"):
            next(session)


def iter_forever() -> Iterator[pb.SessionRequest]:
    yield pb.SessionRequest(calls=[pb.SessionCall(id=1, get=pb.GetRequest(key=b"k"))])
    time.sleep(30)


def test_kept_data_outlives_many_restarts(start_server: StartServer) -> None:
    server = start_server()
    versions = []
    for number in range(5):
        with server.channel() as channel:
            client = Client(channel)
            assert [item.version for item in client.scan()] == versions
            versions.append(client.put(b"%d" % number, b"v").version)
        if number % 2:
            server.restart()
        else:
            assert server.stop() == 0
            server.start()
    assert versions == sorted(versions)


# Refusals


def refuses(server: Server, status: int, *words: str) -> str:
    actual, output = server.start_expecting_refusal()
    assert actual == status, output
    for word in words:
        assert word in output, output
    assert "Fatal error" not in output and "Stack dump" not in output
    return output


def test_a_data_directory_that_is_in_use(start_server: StartServer) -> None:
    first = start_server()
    second = start_server(data=first.data, start=False)
    refuses(second, UNAVAILABLE, str(first.data), "another node is running")
    with first.channel() as channel:
        assert Client(channel).put(b"k", b"v").success


def test_a_port_that_is_in_use(start_server: StartServer) -> None:
    first = start_server()
    second = start_server(start=False)
    second.port = first.port
    refuses(second, UNAVAILABLE, first.address, "in use")
    with first.channel() as channel:
        assert Client(channel).put(b"k", b"v").success


def test_a_start_without_room_for_writes_is_said(start_server: StartServer) -> None:
    reserve = 1 << 40
    server = start_server({"storage.disk_reserve": "1TiB"}, start=False)
    if shutil.disk_usage(server.directory).free > reserve:
        pytest.skip("the disk has more room than can be reserved")
    server.start()
    assert "starts without room for writes" in server.new_output()


def test_without_proc_no_command_is_taken_for_another(start_server: StartServer) -> None:
    script = 'umount -l /proc && exec "$0" get key'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(binary())], capture_output=True, text=True, timeout=30, check=False
    )
    if "unshare" in done.stderr or "umount" in done.stderr:
        pytest.skip(f"NOT TESTED: {done.stderr}")
    assert done.returncode == FAILURE
    assert "is /proc mounted?" in done.stderr and not done.stdout


def test_a_data_directory_that_is_a_file(start_server: StartServer) -> None:
    server = start_server(start=False)
    server.data.write_text("not a directory")
    refuses(server, FAILURE, str(server.data))
    assert server.data.read_text() == "not a directory"


def test_a_data_directory_of_another_node(start_server: StartServer) -> None:
    server = start_server()
    assert server.stop() == 0
    server.settings["node.id"] = "somebody-else"
    refuses(server, FAILURE, "atlas-node-1", "somebody-else")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("storage.sync_write", "true", ("storage.sync_write", "storage.sync_writes")),
        ("storage.num_versions", "many", ("storage.num_versions", "many")),
        ("transport.max_connections", "0", ("transport.max_connections",)),
        ("storage.log_segment_size", "1MiB", ("storage.log_segment_size",)),
    ],
    ids=["an unknown setting", "not a number", "out of range", "a contradiction"],
)
def test_a_configuration_that_cannot_be(
    start_server: StartServer, setting: str, value: str, words: tuple[str, ...]
) -> None:
    server = start_server({setting: value}, start=False)
    refuses(server, USAGE, *words)
    assert not server.data.exists()
