#!/usr/bin/env python3
"""Recovery: how long a killed node needs until it serves again, with a log of one gibibyte.

A running node flushes its store as the log grows and then lets go of the log, so that such a log does not come about by
itself: MakeLog writes it, in the place of a node that has stopped. Twice: once with a store that holds nothing of the
log, and once with one that was flushed as late as a node does it, with the last 128 MiB of log to apply.
"""

import argparse
import shutil
import signal
import subprocess

import report
import servers

SECONDS_MAX = 10
# Maintenance.flushBytes.
FLUSH_BYTES = 128 << 20


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bytes", type=int, default=1 << 30, help="of log")
    options.add_argument("--values", type=int, nargs="+", default=[256, 1024], help="sizes of values")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--directory", help="where the data is kept")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {report.machine()}")
    maker = build_maker()
    rows = []
    for value in options.values:
        for unflushed in (options.bytes, min(FLUSH_BYTES, options.bytes)):
            with servers.Atlas(options.directory) as atlas:
                atlas.stop()
                puts = make_log(maker, atlas, options.bytes, unflushed, value)
                rows += measure(atlas, value, unflushed, puts, options.runs)
    report.table(
        f"After SIGKILL, {report.bytes_(options.bytes)} of log, medians of {options.runs}",
        ["values", "not flushed yet", "puts in it", "until it listens", "memory", "target"], rows)


def build_maker():
    folder = servers.REPOSITORY / "Benchmarks"
    subprocess.run(
        ["swift", "build", "-c", "release", "--product", "MakeLog", "--package-path", folder],
        check=True, stdout=subprocess.DEVNULL)
    return folder / ".build/release/MakeLog"


def make_log(maker, atlas, size, unflushed, value):
    """Returns the number of puts that the store does not hold."""
    def append(size):
        return int(subprocess.check_output([maker, log, str(size), str(value)]))

    log, kept = atlas.data / "log", atlas.home / "kept-log"
    if unflushed == size:
        return append(size)
    append(size - unflushed)
    shutil.copytree(log, kept)
    # A clean end flushes the store.
    atlas.start()
    atlas.stop()
    shutil.rmtree(log)
    kept.rename(log)
    return append(unflushed)


def measure(atlas, value, unflushed, puts, runs):
    data, kept = atlas.data, atlas.home / "kept"
    data.rename(kept)
    seconds, memory = [], 0
    for _ in range(runs):
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(kept, data)
        seconds.append(atlas.start())
        memory = max(memory, atlas.memory_bytes("VmHWM"))
        atlas.stop(signal.SIGKILL)
    shutil.rmtree(kept)
    median = sorted(seconds)[runs // 2]
    return [[
        value, report.bytes_(unflushed), puts, f"{median:.1f} s", report.bytes_(memory),
        f"≤ {SECONDS_MAX} s: {report.verdict(median <= SECONDS_MAX)}",
    ]]


if __name__ == "__main__":
    main()
