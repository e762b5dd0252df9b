"""Callers in one region: a process of its own for each region, with the same client library for both systems.

Many threads each make one call after the other, every one at a time of its own: together so many calls a second, as
long as no answer takes longer than a caller's turn (`TURN_SECONDS`). Latency counts from the call, not from when it was
due.
"""

import dataclasses
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests/Process"))

import grpc

import servers

TURN_SECONDS = 0.5
CALL_SECONDS = 10
VALUE = b"v" * 256
# A version of Atlas DB is a reading of a hybrid clock: milliseconds, then a counter.
STAMP_COUNTER_BITS = 20
SYSTEMS = {"atlas": servers.Atlas, "etcd": servers.Etcd}


@dataclasses.dataclass
class Load:
    system: str
    port: int
    region: int
    # Whose keys there are, and which share of the calls is for the region's own.
    homes: list[int]
    locality: float
    reads: float
    # Calls a second.
    rate: int
    # From when, on the clock that all processes share, and how long.
    begin: float
    seconds: float
    keys: int = 1000


@dataclasses.dataclass
class Call:
    # Seconds, on the clock that all processes share.
    begin: float
    end: float
    kind: str
    # Whose key it was.
    home: int
    # From the receipt, where the system gives one: the region of the owner, those of the quorum, whether the node that was
    # asked had to forward the call, and what it took there.
    owner: int = 0
    quorum: tuple = ()
    is_forwarded: bool = False
    server_ms: float = 0
    # When the owner took up a write, in milliseconds since 1970, where the system tells: the clock is the machine's.
    stamp: int = 0
    error: str = ""

    @property
    def milliseconds(self):
        return (self.end - self.begin) * 1000


class Running:
    """The callers of one region while they work."""

    def __init__(self, load):
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps(dataclasses.asdict(load)))
        self.process.stdin.close()

    def calls(self):
        """Waits for the end."""
        output = self.process.stdout.read()
        if self.process.wait() != 0:
            raise SystemExit("the callers failed")
        return [Call(**fields) for fields in json.loads(output)]


def key(home, number):
    return b"%d/%014d" % (home, number)


class Callers:
    def __init__(self, load):
        self.load = load
        self.system = SYSTEMS[load.system]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{load.port}", options=[("grpc.enable_http_proxy", 0)])
        self.put = self.channel.unary_unary(self.system.put_path)
        self.get = self.channel.unary_unary(self.system.get_path)
        self.count = round(load.rate * TURN_SECONDS)
        self.calls = []

    def run(self):
        # Not the first call opens the connection.
        self.get(self.system.get(key(self.load.region, 0)), timeout=CALL_SECONDS, wait_for_ready=True)
        threads = [threading.Thread(target=self.call_in_turn, args=(number,)) for number in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.calls

    def call_in_turn(self, number):
        load, chance = self.load, random.Random(f"{self.load.region} {number}")
        # The regions' calls do not coincide.
        due = load.begin + (number + load.region / 4) / load.rate
        while due < load.begin + load.seconds:
            time.sleep(max(0, due - time.monotonic()))
            others = [home for home in load.homes if home != load.region]
            is_own = load.region in load.homes and (not others or chance.random() < load.locality)
            home = load.region if is_own else chance.choice(others)
            kind = "get" if chance.random() < load.reads else "put"
            self.calls.append(self.call(kind, home, key(home, chance.randrange(load.keys))))
            due = max(due + TURN_SECONDS, time.monotonic())

    def call(self, kind, home, name):
        stub, request = (self.get, self.system.get(name)) if kind == "get" else (self.put, self.system.put(name, VALUE))
        if self.load.system == "atlas":
            request += self.system.receipt(kind)
        call = Call(time.monotonic(), 0, kind, home)
        try:
            answer = stub(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            answer, call.error = b"", f"{error.code().name}: {error.details()}"
        call.end = time.monotonic()
        if self.load.system == "atlas" and answer:
            from support.protos import atlas_pb2
            answer = getattr(atlas_pb2, "GetResponse" if kind == "get" else "PutResponse").FromString(answer)
            receipt = answer.receipt
            call.owner, call.quorum = receipt.owner_region, tuple(receipt.quorum_regions)
            call.is_forwarded = receipt.path == atlas_pb2.Receipt.PATH_FORWARDED
            call.server_ms = receipt.server_time_us / 1000
            call.stamp = answer.version >> STAMP_COUNTER_BITS
        return call


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    callers = Callers(Load(**json.load(sys.stdin)))
    if callers.load.system == "atlas":
        import support.protos  # noqa: F401
    json.dump([dataclasses.asdict(call) for call in callers.run()], sys.stdout)
