"""A real `atlas-db` process on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import grpc

REPOSITORY = Path(__file__).resolve().parents[3]
START_SECONDS = 30.0
STOP_SECONDS = 20.0
# Below those that Linux gives to sockets that ask for any.
PORTS = (20_000, 32_000)
# What a server prints when it serves.
ANNOUNCEMENT = "listens on"


def binary() -> Path:
    """`$ATLAS_DB`, or the newest that was built."""
    if named := os.environ.get("ATLAS_DB"):
        return Path(named).resolve()
    built = [REPOSITORY / ".build" / kind / "atlas-db" for kind in ("debug", "release")]
    built = [path for path in built if path.exists()]
    if not built:
        raise FileNotFoundError("no atlas-db: build it (swift build --product atlas-db) or set ATLAS_DB")
    return max(built, key=lambda path: path.stat().st_mtime)


def relay_binary() -> Path:
    """The one whose `relay` command is used: `$ATLAS_DB_RELAY`, or that of the servers."""
    if named := os.environ.get("ATLAS_DB_RELAY"):
        return Path(named).resolve()
    return binary()


def free_port() -> int:
    """One that no other socket is given by chance while a server that is to come back to it is down."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class StartFailed(Exception):
    """The process ended, or did not become ready in time. The text is what it printed."""


class Server:
    """Start, stop, kill and look at one server. Its directory holds `data/` and `server.log`."""

    def __init__(self, directory: Path, settings: dict[str, object] | None = None, data: Path | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.data = data or directory / "data"
        self.settings = dict(settings or {})
        self.port = free_port()
        self.log = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        # How many files it may have open; None: as many as the tests.
        self.files_max: int | None = None
        # Variables of its environment, besides the tests' own.
        self.environment: dict[str, str] = {}
        # Which program the next start runs.
        self.program: Callable[[], Path] = binary
        self._log_start = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server has not been started"
        return self.process.pid

    # Life

    def launch(self) -> None:
        """Starts the process and does not wait for it."""
        assert not self.is_running(), "the server runs already"
        command = [str(self.program()), "start", "--address", self.address, "--data-dir", str(self.data)]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        if self.files_max is not None:
            command = ["prlimit", f"--nofile={self.files_max}:{self.files_max}", *command]
        # The caller's settings and the repository's config/ are not this server's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATLAS_")}
        environment.update(self.environment)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            # A group of its own: what it starts (a backtrace of its crash) ends with it.
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def start(self, within: float = START_SECONDS) -> Server:
        """Starts the process and waits until it serves."""
        self.launch()
        self.wait_until_ready(within)
        return self

    def wait_until_ready(self, within: float = START_SECONDS) -> None:
        end = time.monotonic() + within
        while time.monotonic() < end:
            if not self.is_running():
                raise StartFailed(self.output())
            if ANNOUNCEMENT in self.new_output():
                return
            time.sleep(0.01)
        raise StartFailed(f"not ready after {within} s:\n{self.output()}")

    def start_expecting_refusal(self, within: float = START_SECONDS) -> tuple[int, str]:
        """For a start that must fail: the exit status and what this attempt printed."""
        self.launch()
        assert self.process is not None
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server started although it must not:\n{self.output()}") from None
        return status, self.new_output()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, within: float = STOP_SECONDS) -> int:
        assert self.process is not None
        return self.process.wait(within)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash of the process."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def restart(self) -> None:
        """After a crash, on the same port."""
        self.kill()
        self.start()

    # Looking at it

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def crash(self) -> str:
        """What a process says that has hit a failed precondition or a bad access; empty for one that has not."""
        lines = self.new_output().splitlines()
        said = [number for number, line in enumerate(lines) if line.startswith("***") or line.endswith(" crashed:")]
        return "\n".join(line for number in said for line in lines[number : number + 8] if line)

    def resident_bytes(self) -> int:
        """VmRSS: what the process holds in memory now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def new_output(self) -> str:
        """What the last attempt to start has printed."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def channel(self, **options: object) -> grpc.Channel:
        """A gRPC channel with a connection of its own."""
        settings: dict[str, object] = {
            "grpc.use_local_subchannel_pool": 1,
            "grpc.max_receive_message_length": 64 << 20,
            "grpc.initial_reconnect_backoff_ms": 50,
            "grpc.max_reconnect_backoff_ms": 200,
            # Despite its name: how long one attempt to connect may take.
            "grpc.min_reconnect_backoff_ms": 5000,
            "grpc.enable_http_proxy": 0,
            **{f"grpc.{name}": value for name, value in options.items()},
        }
        return grpc.insecure_channel(self.address, options=list(settings.items()))
