#!/usr/bin/env python3
"""Put and consistent read of one key, 16 and 256 bytes, at 1, 8, 64 and 256 in flight: Atlas DB beside etcd."""

import argparse

import load
import report
import servers

# By kind and number in flight: what is compared with etcd, and its bound. The design targets of one node.
TARGETS = {
    ("put", 256): ("throughput", 1.5),
    ("put", 1): ("latency", 1.0),
    ("get", 256): ("throughput", 1.5),
}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--directory", help="where both keep their data")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {servers.Etcd.version()}; {report.machine()}")
    runs = {}
    with servers.Atlas(options.directory) as atlas, servers.Etcd(options.directory) as etcd:
        for server in (atlas, etcd):
            for kind in ("put", "get"):
                load.h2load(server, kind, load.LEVELS[-1], 1)
        atlas.settle()
        etcd.settle()
        for number in range(options.rounds):
            # Both come first equally often.
            order = (atlas, etcd) if number % 2 == 0 else (etcd, atlas)
            for kind in ("put", "get"):
                for level in load.LEVELS:
                    for server in order:
                        run = load.h2load(server, kind, level, options.seconds)
                        runs.setdefault((kind, level, server.name), []).append(run)
    report.comparison(
        f"One key, {options.rounds} alternating runs of {options.seconds} s, medians (± half of the range); ratios of"
        " neighbouring runs, median", runs, load.LEVELS, TARGETS)


if __name__ == "__main__":
    main()
