#!/usr/bin/env python3
"""What nodes use that nobody asks anything: nine in three regions, and one with ten thousand tablets.

Tablets come about by splits. A node looks after the epochs that ended with them, all of them each time, until its store
has been flushed for them; so there is a wait for that after every so many splits.
"""

import argparse
import time

import clusters
import report
import servers

CORE_SHARE_MAX = 0.01
SETTLE_SECONDS = 30
SPLITS_AT_ONCE = 32
SPLITS_UNTIL_SETTLED = 512


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=30)
    options.add_argument("--tablets", type=int, default=10_000)
    options.add_argument("--directory", help="where the data is kept")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {report.machine()}")
    rows = []
    for what, regions, distances, tablets in (
        ("nine nodes in three regions", [3, 3, 3], clusters.DISTANCES, 1),
        ("one node", [1], None, 1),
        ("one node", [1], None, options.tablets),
        ("three nodes in one region", [3], None, options.tablets // 10),
    ):
        with clusters.AtlasCluster(options.directory, regions, distances) as atlas:
            rows.append(measure(atlas, what, tablets, options.seconds))
    report.table(
        f"Nothing asked for {options.seconds} s; each node, mean and largest",
        ["", "tablets", "CPU, % of a core", "largest", "memory", "largest", "target"], rows)


def measure(atlas, what, tablets, seconds):
    split(atlas, tablets)
    time.sleep(SETTLE_SECONDS)
    before = [servers.cpu_seconds(pid) for pid in atlas.pids()]
    time.sleep(seconds)
    cpu = [(servers.cpu_seconds(pid) - used) / seconds for pid, used in zip(atlas.pids(), before)]
    memory = [node.resident_bytes() for node in atlas.nodes]
    target = f"< {CORE_SHARE_MAX * 100:.0f} %: {report.verdict(max(cpu) < CORE_SHARE_MAX)}"
    return [
        what, tablets, f"{sum(cpu) / len(cpu) * 100:.2f}", f"{max(cpu) * 100:.2f}",
        report.bytes_(sum(memory) / len(memory)), report.bytes_(max(memory)), target if what == "one node" else "",
    ]


def split(atlas, tablets):
    """Halves, then halves of halves: those that are cut at the same time are different ones."""
    ranges, unsettled = [(0, tablets)], 0
    while ranges:
        cuts = [(first, (first + last) // 2, last) for first, last in ranges if last - first > 1]
        for start in range(0, len(cuts), SPLITS_AT_ONCE):
            middles = [middle for _, middle, _ in cuts[start:start + SPLITS_AT_ONCE]]
            atlas.split(map(key, middles))
            unsettled += len(middles)
            if unsettled >= SPLITS_UNTIL_SETTLED:
                clusters.settle(atlas, SETTLE_SECONDS)
                unsettled = 0
        ranges = [part for first, middle, last in cuts for part in ((first, middle), (middle, last))]


def key(number):
    return b"%08d" % number


if __name__ == "__main__":
    main()
