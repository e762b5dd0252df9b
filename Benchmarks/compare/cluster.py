#!/usr/bin/env python3
"""Three nodes in one region, put and consistent read of one key: Atlas DB beside three members of etcd.

Both are asked at the node that puts writes in order (owner, leader). Both run all the time, and are asked by turns.
"""

import argparse

import clusters
import load
import report
import servers

# By kind and number in flight: what is compared with etcd, and its bound.
TARGETS = {
    ("put", 1): ("latency", 0.7),
    ("put", 256): ("throughput", 2.0),
    ("get", 1): ("throughput", 1.3),
    ("get", 256): ("throughput", 1.3),
}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--directory", help="where both keep their data")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {servers.Etcd.version()}; {report.machine()}")
    runs = {}
    atlas, etcd = (system(options.directory, [3]) for system in clusters.SYSTEMS.values())
    with atlas, etcd:
        nodes = [Leading(cluster) for cluster in (atlas, etcd)]
        for node in nodes:
            for kind in ("put", "get"):
                load.h2load(node, kind, load.LEVELS[-1], 2)
        for cluster in (atlas, etcd):
            clusters.settle(cluster)
        for number in range(options.rounds):
            # Both come first equally often.
            order = nodes if number % 2 == 0 else nodes[::-1]
            for kind in ("put", "get"):
                for level in load.LEVELS:
                    for node in order:
                        run = load.h2load(node, kind, level, options.seconds)
                        runs.setdefault((kind, level, node.name), []).append(run)
            for node in nodes:
                node.expect_same()
    report.comparison(
        f"Three nodes, {options.rounds} alternating runs of {options.seconds} s, medians (± half of the range), CPU of"
        " all three; ratios of neighbouring runs, median", runs, load.LEVELS, TARGETS)


class Leading:
    """The node of a cluster that the load goes to, and the CPU time of all of them."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.name, self.port, self.cpu_seconds = cluster.name, cluster.port, cluster.cpu_seconds
        self.put, self.get, self.put_path, self.get_path = cluster.put, cluster.get, cluster.put_path, cluster.get_path

    def expect_same(self):
        if self.cluster.port != self.port:
            raise SystemExit(f"{self.name}: another node took over")


if __name__ == "__main__":
    main()
