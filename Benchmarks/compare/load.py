"""Load on a server: h2load for one key, keyload (beside this file) for many."""

import dataclasses
import pathlib
import re
import shutil
import subprocess
import tempfile

KEY = b"k" * 16
VALUE = b"v" * 256
# In flight: (connections, streams on each).
LEVELS = [(1, 1), (8, 1), (4, 16), (8, 32)]
HERE = pathlib.Path(__file__).resolve().parent
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclasses.dataclass
class Run:
    requests_per_second: float
    mean_us: float
    server_cpu_us: float


def h2load(server, kind, level, seconds):
    """Real gRPC requests, the same key and value in each, closed loop."""
    if not shutil.which("h2load"):
        raise SystemExit("h2load is missing: apt-get install nghttp2-client")
    message = server.put(KEY, VALUE) if kind == "put" else server.get(KEY)
    path = server.put_path if kind == "put" else server.get_path
    connections, streams = level
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\0" + len(message).to_bytes(4, "big") + message)
        body.flush()
        cpu = server.cpu_seconds()
        output = subprocess.run(
            [
                "h2load", "-D", str(seconds), "-c", str(connections), "-m", str(streams), "-t", "1", "-d", body.name,
                "-H", "content-type: application/grpc", "-H", "te: trailers",
                f"http://127.0.0.1:{server.port}{path}",
            ],
            capture_output=True, text=True, timeout=seconds + 60, check=True,
        ).stdout
        cpu = server.cpu_seconds() - cpu
    rate = float(re.search(r"finished in .*?, ([\d.]+) req/s", output).group(1))
    done, failed, errored, timed_out = map(
        int, re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output).groups())
    answers = int(re.search(r"\((\d+)\) data", output).group(1))
    # gRPC says with HTTP's 200 that a call failed, but then without a message.
    if done == 0 or failed or errored or timed_out or answers < 6 * done:
        raise SystemExit(f"{server.name} {kind} failed:\n{output}")
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)", output)
    return Run(rate, float(mean.group(1)) * UNITS[mean.group(2)], cpu / done * 1e6)


def bench(atlas, kind, keys):
    """Each key once, with the product's own load generator."""
    what = ["--load", "--duration", "0s"] if kind == "put" else ["--reads", "1", "--requests", str(keys), "--duration", "30m"]
    output = subprocess.run(
        [
            atlas.binary(), "bench", "--endpoint", f"127.0.0.1:{atlas.port}", *what, "--keys", str(keys),
            "--distribution", "sequential", "--key-size", str(len(KEY)), "--value-size", str(len(VALUE)),
            "--in-flight", "256", "--connections", "4", "-o", "json",
        ],
        capture_output=True, text=True, timeout=1800)
    if output.returncode != 0:
        raise SystemExit(f"atlas-db bench failed: {output.stderr}")


class Keyload:
    """Builds keyload.swift, and runs it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="keyload-")
        self.binary = self.folder.name + "/keyload"
        subprocess.run(
            ["swiftc", "-O", "-swift-version", "6", "-o", self.binary, str(HERE / "keyload.swift")], check=True)

    def __call__(self, server, kind, level, seconds=0, keys=1_000_000, requests=0):
        """Keys at random for `seconds`, or each of the first `requests` once, in order."""
        connections, streams = level
        cpu = server.cpu_seconds()
        output = subprocess.run(
            [
                self.binary, server.name, kind, str(server.port), str(connections), str(streams), str(seconds),
                str(keys), str(requests),
            ],
            capture_output=True, text=True, timeout=seconds + 1800,
        )
        if output.returncode != 0:
            raise SystemExit(f"{server.name} {kind} failed: {output.stderr}")
        cpu = server.cpu_seconds() - cpu
        done, rate, mean = map(float, output.stdout.split())
        return Run(rate, mean, cpu / done * 1e6)
