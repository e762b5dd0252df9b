"""Starts and stops the two systems, and tells what they use."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

# No server outlives its script.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    """What all threads of a process have run so far, in user and in kernel mode."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class Server:
    """A server process on a port of 127.0.0.1, with its data in a directory of its own."""

    name = ""

    def __init__(self, parent=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"compare-{self.name}-", dir=parent))
        self.data = self.home / "data"
        self.process = None
        self.port = 0

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Returns the seconds until the port accepts connections."""
        self.port = free_port()
        began = time.monotonic()
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return time.monotonic() - began
            except OSError:
                if self.process.poll() is not None or time.monotonic() - began > START_SECONDS_MAX:
                    raise SystemExit(f"{self.name} does not start:\n{(self.home / 'log').read_text()[-2000:]}")
                time.sleep(0.005)

    def stop(self, how=signal.SIGTERM):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def settle(self, seconds_max=60):
        """Waits until it does little by itself: files are prepared, compactions are done."""
        for _ in range(seconds_max):
            cpu, written = self.cpu_seconds(), self.written_bytes()
            time.sleep(1)
            if self.cpu_seconds() - cpu < 0.05 and self.written_bytes() - written < 1 << 20:
                return

    def written_bytes(self):
        """What it has caused to be written to the disk so far."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise SystemExit(f"{self.name} has no write_bytes")

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def memory_bytes(self, field="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) << 10
        raise SystemExit(f"{self.name} has no {field}")

    def disk_bytes(self):
        """Allocated blocks, by file name without its number."""
        sizes = {}
        for folder, _, files in os.walk(self.data):
            for file in files:
                path = pathlib.Path(folder, file)
                kind = str(path.relative_to(self.data).parts[0])
                sizes[kind] = sizes.get(kind, 0) + path.stat().st_blocks * 512
        return sizes


class Atlas(Server):
    name = "atlas"
    put_path = "/atlas.AtlasDB/Put"
    get_path = "/atlas.AtlasDB/Get"

    def __init__(self, parent=None, settings=()):
        super().__init__(parent)
        self.settings = list(settings)

    @staticmethod
    def binary():
        path = os.environ.get("ATLAS_DB", str(REPOSITORY / ".build/release/atlas-db"))
        if not shutil.which(path):
            raise SystemExit(f"{path} is missing: run `make release`, or set ATLAS_DB")
        return path

    @staticmethod
    def version():
        return subprocess.run([Atlas.binary(), "version"], capture_output=True, text=True).stdout.split("\n")[0]

    def command(self):
        settings = ["transport.max_concurrent_stream=1000", "logging.level=error", *self.settings]
        return [
            self.binary(), "start", "--address", f"127.0.0.1:{self.port}", "--data-dir", str(self.data),
            *(word for setting in settings for word in ("--set", setting)),
        ]

    @staticmethod
    def put(key, value):
        return field(1, key) + field(2, value)

    @staticmethod
    def get(key):
        return field(1, key) + b"\x10\x01"  # consistent_read

    @staticmethod
    def receipt(kind):
        """To be added to a put or a get: the answer says where the owner was, and who was waited for."""
        return (b"\x70" if kind == "get" else b"\x78") + b"\x01"


class Etcd(Server):
    name = "etcd"
    put_path = "/etcdserverpb.KV/Put"
    get_path = "/etcdserverpb.KV/Range"

    @staticmethod
    def binary():
        path = os.environ.get("ETCD", "etcd")
        if not shutil.which(path):
            raise SystemExit(f"{path} is missing: apt-get install etcd-server, or set ETCD")
        return path

    @staticmethod
    def version():
        line = subprocess.run([Etcd.binary(), "--version"], capture_output=True, text=True).stdout.split("\n")[0]
        number = tuple(int(part) for part in re.findall(r"\d+", line)[:3])
        if number < (3, 4, 21) or (3, 5, 0) <= number < (3, 5, 5):
            line += " (of this version, one node answers a put before it is on the disk: etcd's issue 14370)"
        return line

    def command(self):
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{free_port()}"
        return [
            self.binary(), "--data-dir", str(self.data), "--name", "one", "--quota-backend-bytes", str(8 << 30),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}",
        ]

    @staticmethod
    def put(key, value):
        return field(1, key) + field(2, value)

    @staticmethod
    def get(key):
        return field(1, key)  # a range of one key; linearizable unless `serializable` is set


def field(number, value):
    """A protobuf field of bytes."""
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def varint(value):
    encoded = b""
    while value >= 0x80:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])
