#!/usr/bin/env python3
"""Instructions of one put, one get and one page of a scan: of one node, and of three together.

They hardly depend on what else the machine does, unlike times: two builds can be compared by them. ATLAS_DB names another
build. Servers run under callgrind (valgrind), about fifty times slower than otherwise; one request is in flight.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

import servers

PAGE_KEYS = 100
SCAN_PATH = "/atlas.AtlasDB/Scan"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=2000, help="of each kind")
    options.add_argument("--nodes", type=int, nargs="+", default=[1, 3])
    options.add_argument("--keep", help="where callgrind's files stay, for callgrind_annotate")
    options = options.parse_args()

    with tempfile.TemporaryDirectory(prefix="instructions-") as scratch:
        home = pathlib.Path(options.keep or scratch)
        home.mkdir(parents=True, exist_ok=True)
        watched = under_callgrind(servers.Atlas.binary(), home)
        print(servers.Atlas.version())
        os.environ["ATLAS_DB"] = str(watched)
        # It reads ATLAS_DB when it is loaded.
        import clusters
        for nodes in options.nodes:
            with clusters.AtlasCluster(None, [nodes]) as cluster:
                for kind, count in measure(cluster, options.requests, home):
                    print(f"{nodes} node{'s' * (nodes > 1)}, {kind}: {count:,.0f}", flush=True)


# Swift's main thread ends in `dispatch_main`, which gives the thread up; valgrind 3.19 crashes then. This one stays, and does
# what a run loop does.
DISPATCH_MAIN = """
#include <poll.h>

int _dispatch_get_main_queue_handle_4CF(void);
void _dispatch_main_queue_callback_4CF(void *);

void dispatch_main(void) {
    struct pollfd handle = {_dispatch_get_main_queue_handle_4CF(), POLLIN, 0};
    for (;;) {
        poll(&handle, 1, -1);
        _dispatch_main_queue_callback_4CF(0);
    }
}
"""


def under_callgrind(binary, home):
    """A program that runs `binary`; servers with their instructions counted."""
    toolchain = subprocess.run(["swiftc", "-print-target-info"], capture_output=True, text=True, check=True).stdout
    libraries = json.loads(toolchain)["paths"]["runtimeLibraryPaths"][0]
    source, preloaded = home / "main.c", home / "main.so"
    source.write_text(DISPATCH_MAIN)
    subprocess.run(
        ["clang", "-shared", "-fPIC", "-o", str(preloaded), str(source), f"-L{libraries}", "-ldispatch"], check=True)
    # valgrind does not read the debug information of recent compilers.
    stripped = home / "stripped"
    subprocess.run(["strip", "--strip-debug", "-o", str(stripped), binary], check=True)
    program = home / "atlas-db"
    program.write_text(
        f"""#!/bin/sh
[ "$1" = start ] || exec '{binary}' "$@"
export LD_LIBRARY_PATH='{libraries}' LD_PRELOAD='{preloaded}'
exec valgrind -q --tool=callgrind --fair-sched=yes --callgrind-out-file='{home}/out.%p' '{stripped}' "$@"
""")
    program.chmod(0o755)
    return program


def measure(cluster, requests, home):
    """The instructions of all nodes for one request of each kind, without what they do by themselves meanwhile."""
    kinds = {
        "put": (cluster.put_path, cluster.put(b"k" * 16, b"v" * 256)),
        "get": (cluster.get_path, cluster.get(b"k" * 16)),
        f"page of {PAGE_KEYS} keys": (SCAN_PATH, scan()),
    }
    for number in range(PAGE_KEYS):
        load(cluster.port, cluster.put_path, cluster.put(b"%016d" % number, b"v" * 256), 1)
    for path, message in kinds.values():
        load(cluster.port, path, message, requests // 4)
    for kind, (path, message) in kinds.items():
        count(cluster, home)
        began = time.monotonic()
        load(cluster.port, path, message, requests)
        seconds = time.monotonic() - began
        used = count(cluster, home)
        time.sleep(seconds)
        yield kind, (used - count(cluster, home)) / requests


def scan():
    """A page of keys from the first one on, in one message (fields of ScanRequest: limit, items_per_message)."""
    return b"\x18" + servers.varint(PAGE_KEYS) + b"\x88\x01" + servers.varint(PAGE_KEYS)


def load(port, path, message, requests):
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\0" + len(message).to_bytes(4, "big") + message)
        body.flush()
        output = subprocess.run(
            [
                "h2load", "-n", str(requests), "-c", "1", "-m", "1", "-t", "1", "-d", body.name,
                "-H", "content-type: application/grpc", "-H", "te: trailers", f"http://127.0.0.1:{port}{path}",
            ],
            capture_output=True, text=True, timeout=900, check=True,
        ).stdout
    answers = int(re.search(r"\((\d+)\) data", output).group(1))
    if f"{requests} succeeded" not in output or answers < 6 * requests:
        raise SystemExit(f"{path} failed:\n{output}")


def count(cluster, home):
    """The instructions of all nodes since the last call."""
    total = 0
    for pid in cluster.pids():
        before = set(home.glob(f"out.{pid}.*"))
        subprocess.run(["callgrind_control", "-d", str(pid)], check=True, capture_output=True, timeout=120)
        for dump in set(home.glob(f"out.{pid}.*")) - before:
            total += int(re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.M).group(1))
    return total


if __name__ == "__main__":
    main()
