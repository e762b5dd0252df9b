#!/usr/bin/env python3
"""Put and consistent read of many distinct keys: Atlas DB beside etcd, both under the same generator (keyload)."""

import argparse

import load
import report
import servers


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--keys", type=int, default=100_000)
    options.add_argument("--directory", help="where both keep their data")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {servers.Etcd.version()}; {report.machine()}")
    keyload = load.Keyload()
    runs = {}
    with servers.Atlas(options.directory) as atlas, servers.Etcd(options.directory) as etcd:
        for server in (atlas, etcd):
            keyload(server, "put", load.LEVELS[-1], requests=options.keys)
        atlas.settle()
        etcd.settle()
        for number in range(options.rounds):
            order = (atlas, etcd) if number % 2 == 0 else (etcd, atlas)
            for kind in ("put", "get"):
                for level in load.LEVELS:
                    for server in order:
                        run = keyload(server, kind, level, seconds=options.seconds, keys=options.keys)
                        runs.setdefault((kind, level, server.name), []).append(run)
    rows = []
    for kind in ("put", "get"):
        for level in load.LEVELS:
            atlas, etcd = runs[kind, level, "atlas"], runs[kind, level, "etcd"]
            ratio = report.paired(atlas, etcd, "requests_per_second")
            rows.append([
                f"{kind}, {level[0] * level[1]} in flight",
                *(cell for runs_ in (atlas, etcd) for cell in (
                    report.rate(report.median(runs_, "requests_per_second")),
                    report.microseconds(report.median(runs_, "mean_us")),
                    f"{report.median(runs_, 'server_cpu_us'):.1f} µs")),
                f"{ratio:.2f}",
            ])
    report.table(
        f"{options.keys} keys at random, {options.rounds} alternating runs of {options.seconds} s, medians",
        ["", "Atlas DB, 1/s", "mean", "server CPU", "etcd, 1/s", "mean", "server CPU", "throughput ×"], rows)


if __name__ == "__main__":
    main()
