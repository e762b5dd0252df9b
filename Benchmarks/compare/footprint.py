#!/usr/bin/env python3
"""Memory and disk for a million keys of 16 bytes with values of 256: Atlas DB beside etcd.

`atlas-db bench` loads and reads Atlas DB, keyload etcd, each with 256 requests in flight.
"""

import argparse
import time

import load
import report
import servers

MEMORY_RATIO_MAX = 1.5
SETTLE_SECONDS = 10


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keys", type=int, default=1_000_000)
    options.add_argument("--directory", help="where both keep their data")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {servers.Etcd.version()}; {report.machine()}")
    keyload = load.Keyload()

    def every_key(server, kind):
        if server.name == "atlas":
            load.bench(server, kind, options.keys)
        else:
            keyload(server, kind, load.LEVELS[-1], requests=options.keys)

    rows, memory = [], {}
    for system in (servers.Atlas, servers.Etcd):
        with system(options.directory) as server:
            idle = server.memory_bytes()
            began = time.monotonic()
            every_key(server, "put")
            loading = options.keys / (time.monotonic() - began)
            time.sleep(SETTLE_SECONDS)
            memory[server.name] = server.memory_bytes()
            # Every key is read once: what a server keeps to answer reads counts as well.
            every_key(server, "get")
            read = server.memory_bytes()
            disk = server.disk_bytes()
            parts = ", ".join(f"{name} {report.bytes_(size)}" for name, size in sorted(disk.items()))
            rows.append([
                server.name, report.rate(loading), report.bytes_(idle),
                report.bytes_(memory[server.name]), report.bytes_(read), report.bytes_(server.memory_bytes("VmHWM")),
                f"{report.bytes_(sum(disk.values()))} ({parts})",
            ])
    report.table(
        f"{options.keys} keys, written with 256 in flight; the data itself is {report.bytes_(options.keys * 272)}",
        ["", "loaded, 1/s", "memory before", "after loading", "after reading all", "peak", "disk"], rows)
    ratio = memory["atlas"] / memory["etcd"]
    print(f"memory after loading: {ratio:.2f} × etcd's (at most {MEMORY_RATIO_MAX}: "
          f"{report.verdict(ratio <= MEMORY_RATIO_MAX)})")


if __name__ == "__main__":
    main()
