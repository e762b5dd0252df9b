#!/usr/bin/env python3
"""A tablet's writers move from one region to another: how long until ownership is there, and what they see of it.

Three regions of three nodes at their distances, the default policy. Callers write the keys of one tablet, first in one
region, then in another. A pause in the tablet's commits is the longest time between two versions that were written; the
callers' writes themselves are a turn apart, which is allowed on top of a round trip.
"""

import argparse
import statistics
import time

import callers
import clusters
import report
import servers

HOMES = list(clusters.REGION_NAMES)
FOLLOW_SECONDS_MAX = 2.0
BEFORE_SECONDS = 3
AFTER_SECONDS = 5
KEY_OF = 1


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--rate", type=int, default=200, help="writes a second")
    options.add_argument("--directory", help="where the data is kept")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {report.machine()}")
    moves = {}
    with clusters.AtlasCluster(options.directory, [3, 3, 3], clusters.DISTANCES) as atlas:
        for _ in range(options.rounds):
            for one in HOMES:
                for other in HOMES:
                    if one != other:
                        moves.setdefault((one, other), []).append(move(atlas, one, other, options.rate))
    rows = []
    for (one, other), found in moves.items():
        distance = clusters.DISTANCES[tuple(sorted((one, other)))]
        pause_max = distance + 1000 / options.rate
        seconds = [each["seconds"] for each in found]
        pauses = [each["pause"] for each in found]
        rows.append([
            f"{clusters.REGION_NAMES[one]} to {clusters.REGION_NAMES[other]}", f"{distance} ms",
            f"{statistics.median(seconds):.2f} s", f"{max(seconds):.2f} s",
            f"{statistics.median(pauses):.0f} ms", f"{max(pauses):.0f} ms",
            f"{max(each['slowest'] for each in found):.0f} ms", sum(each["errors"] for each in found),
            f"≤ {FOLLOW_SECONDS_MAX:.0f} s: {report.verdict(max(seconds) <= FOLLOW_SECONDS_MAX)}",
            f"≤ {pause_max:.0f} ms: {report.verdict(max(pauses) <= pause_max)}",
        ])
    report.table(
        f"Ownership follows {options.rate} writes a second, {options.rounds} times each",
        [
            "", "round trip", "until the first local write", "longest", "pause in commits", "longest",
            "slowest write", "errors", "followed", "paused",
        ], rows)


def move(atlas, one, other, rate):
    atlas.move(callers.key(KEY_OF, 0), one)
    begin = time.monotonic() + 2
    turn = begin + BEFORE_SECONDS
    running = [
        callers.Running(callers.Load("atlas", atlas.port_in(region), region, [KEY_OF], 1, 0, rate, start, seconds))
        for region, start, seconds in ((one, begin, BEFORE_SECONDS), (other, turn, AFTER_SECONDS))
    ]
    before, after = [sorted(each.calls(), key=lambda call: call.end) for each in running]
    if {call.owner for call in before if not call.error} != {one}:
        raise SystemExit("the tablet did not stay with its writers")
    local = [call.end for call in after if call.owner == other]
    if not local:
        raise SystemExit("ownership did not follow")
    answered = [call for call in after if not call.error]
    stamps = sorted(call.stamp for call in answered)
    return {
        "seconds": min(local) - turn,
        "pause": max(later - earlier for earlier, later in zip(stamps, stamps[1:])),
        "slowest": max(call.milliseconds for call in answered),
        "errors": len(after) - len(answered),
    }


if __name__ == "__main__":
    main()
