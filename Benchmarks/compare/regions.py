#!/usr/bin/env python3
"""Three regions at their distances: three nodes of Atlas DB in each, beside etcd with one member in each.

In each region callers ask the node that is nearest, half writes and half consistent reads; some of them for keys of
other regions. In Atlas DB the keys of a region are a tablet, which is handed to that region before the load begins and
then left to the default policy. etcd has one leader, which is put into Virginia, where the sum of the distances is
lowest; more than one member in a region would only make its quorum larger.

With `survive: node` a write of Atlas DB is lost to nobody while a quorum of the owner's region is there; etcd's writes
are in two regions. So `survive: region` is shown as well: then both pay a round trip to another region.
"""

import argparse
import functools
import statistics
import time

import callers
import clusters
import report
import servers

HOMES = list(clusters.REGION_NAMES)
LOCALITIES = (0.7, 0.9)
WARM_UP_SECONDS = 3
# A write whose owner is in the caller's region waits for no other region.
LOCAL_MS_MAX = 2.0
SYSTEMS = {
    "Atlas DB": functools.partial(clusters.AtlasCluster, regions=[3, 3, 3], distances=clusters.DISTANCES),
    "survive: region": functools.partial(
        clusters.AtlasCluster, regions=[3, 3, 3], distances=clusters.DISTANCES, survive="region"),
    "etcd": functools.partial(clusters.EtcdCluster, regions=[1, 1, 1], distances=clusters.DISTANCES),
}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--rate", type=int, default=60, help="calls a second in each region")
    options.add_argument("--directory", help="where both keep their data")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {servers.Etcd.version()}; {report.machine()}")
    rounds = {}
    for number in range(options.rounds):
        names = list(SYSTEMS)
        for name in names if number % 2 == 0 else reversed(names):
            with SYSTEMS[name](options.directory) as cluster:
                prepare(cluster)
                for locality in LOCALITIES:
                    for region, calls in load(cluster, locality, options).items():
                        rounds.setdefault((name, locality, region), []).append(calls)
    show(rounds, options)


def prepare(cluster):
    if cluster.name == "etcd":
        return cluster.lead(1)
    cluster.split(callers.key(home, 0) for home in HOMES[1:])
    for home in HOMES:
        cluster.move(callers.key(home, 0), home)


def load(cluster, locality, options):
    """All regions at the same time. Returns the calls of each, without the first ones."""
    begin = time.monotonic() + 2
    running = {
        region: callers.Running(callers.Load(
            cluster.name, cluster.port_in(region), region, HOMES, locality, 0.5, options.rate, begin,
            WARM_UP_SECONDS + options.seconds))
        for region in HOMES
    }
    calls = {
        region: [call for call in each.calls() if call.begin >= begin + WARM_UP_SECONDS]
        for region, each in running.items()
    }
    errors = [call.error for each in calls.values() for call in each if call.error]
    if errors:
        print(f"{cluster.name}: {len(errors)} calls failed, such as: {errors[0]}")
    return calls


def show(rounds, options):
    for kind, what in (("put", "Writes"), ("get", "Consistent reads")):
        rows = []
        for locality in LOCALITIES:
            for region in HOMES:
                cells = {name: percentiles(rounds[name, locality, region], kind=kind) for name in SYSTEMS}
                own = percentiles(rounds["Atlas DB", locality, region], kind=kind, home=region)
                rows.append([
                    f"{locality:.0%} own keys, {clusters.REGION_NAMES[region]}",
                    *map(milliseconds, cells["Atlas DB"] + own + cells["survive: region"] + cells["etcd"]),
                    f"{cells['Atlas DB'][0] / cells['etcd'][0]:.3f}",
                ])
        report.table(
            f"{what}: {options.rounds} alternating rounds of {options.seconds} s, {options.rate} calls a second and"
            " region; medians of the rounds",
            [
                "", "Atlas DB, median", "p99", "own keys, median", "p99", "survive: region, median", "p99",
                "etcd, median", "p99", "median ×",
            ], rows)
    rows = []
    for locality in LOCALITIES:
        for region in HOMES:
            own = [
                call for calls in rounds["Atlas DB", locality, region] for call in calls
                if call.kind == "put" and call.home == region and not call.error
            ]
            near = [call for call in own if call.owner == region]
            crossing = sum(set(call.quorum) != {region} for call in near)
            # Of all of them: a tablet that has gone elsewhere counts.
            times = [call.milliseconds for call in own]
            met = not crossing and statistics.median(times) <= LOCAL_MS_MAX
            rows.append([
                f"{locality:.0%} own keys, {clusters.REGION_NAMES[region]}", len(own), len(near), crossing,
                f"{sum(call.is_forwarded for call in own) / len(own):.0%}",
                milliseconds(statistics.median(call.server_ms for call in own)),
                *map(milliseconds, (statistics.median(times), callers.percentile(times, 0.99), max(times))),
                f"none, median ≤ {LOCAL_MS_MAX:.0f} ms: {report.verdict(met)}",
            ])
    report.table(
        "Atlas DB, writes of own keys, all rounds, by their receipts",
        [
            "", "writes", "owner local", "of these with another region in the quorum", "forwarded",
            "in the node that was asked, median", "for the caller, median", "p99", "largest", "target",
        ], rows)


def percentiles(rounds, **fields):
    """Median and 99th percentile of the calls in which the fields are so; of each the median over the rounds."""
    times = [
        [
            call.milliseconds for call in calls
            if not call.error and all(getattr(call, name) == value for name, value in fields.items())
        ] for calls in rounds
    ]
    return [statistics.median(callers.percentile(each, share) for each in times) for share in (0.5, 0.99)]


def milliseconds(value):
    return f"{value:.1f} ms"


if __name__ == "__main__":
    main()
