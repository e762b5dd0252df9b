#!/usr/bin/env python3
"""The embedded database, one caller: a durable put beside a bare write and fdatasync of the same bytes, and a put that does
not wait for the disk."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import report
import servers

DURABLE_RATIO_MAX = 1.6
UNSYNCED_US_MAX = 20.0
# The log's record of one put of 16 and 256 bytes: header, entry, padding.
RECORD_BYTES = 384
FILE_BYTES = 64 << 20


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--directory", help="where the data is kept")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {report.machine()}")
    bare, durable, unsynced = [], [], []
    with tempfile.TemporaryDirectory(prefix="compare-embedded-", dir=options.directory) as folder:
        file = prepared_file(pathlib.Path(folder, "bare"))
        # A new directory prepares its log in the background: that is not to be measured.
        for sync in (True, False):
            bench(folder, "durable" if sync else "unsynced", 10, sync)
        for _ in range(options.rounds):
            bare.append(bare_sync(file, options.seconds))
            durable.append(bench(folder, "durable", options.seconds, sync=True))
            unsynced.append(bench(folder, "unsynced", options.seconds, sync=False))
        os.close(file)
    ratio = statistics.median(durable) / statistics.median(bare)
    report.table(
        f"One caller, keys of 16 and values of 256 bytes, {options.rounds} alternating runs of {options.seconds} s, medians",
        ["", "mean", "× bare", "target"],
        [
            ["pwrite and fdatasync, prepared file", report.microseconds(statistics.median(bare)), "1.00", ""],
            [
                "embedded put", report.microseconds(statistics.median(durable)), f"{ratio:.2f}",
                f"≤ {DURABLE_RATIO_MAX} ×: {report.verdict(ratio <= DURABLE_RATIO_MAX)}",
            ],
            [
                "embedded put, sync_writes: false", report.microseconds(statistics.median(unsynced)), "",
                f"≤ {UNSYNCED_US_MAX:.0f} µs: {report.verdict(statistics.median(unsynced) <= UNSYNCED_US_MAX)}",
            ],
        ])


def prepared_file(path):
    """All blocks written, as the log's segments are."""
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    block = bytes(1 << 20)
    for offset in range(0, FILE_BYTES, len(block)):
        os.pwrite(file, block, offset)
    os.fsync(file)
    return file


def bare_sync(file, seconds):
    """Mean microseconds of one write and sync."""
    record, offset, count = b"v" * RECORD_BYTES, 0, 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        os.pwrite(file, record, offset)
        os.fdatasync(file)
        offset = (offset + RECORD_BYTES) % (FILE_BYTES - RECORD_BYTES)
        count += 1
    return (time.perf_counter() - began) / count * 1e6


def bench(folder, name, seconds, sync):
    output = subprocess.run(
        [
            servers.Atlas.binary(), "bench", "--mode", "embedded", "--data-dir", f"{folder}/{name}",
            "--reads", "0", "--in-flight", "1", "--duration", f"{seconds}s", "--keys", "1000", "-o", "json",
            *([] if sync else ["--no-sync"]),
        ],
        capture_output=True, text=True, timeout=seconds + 60)
    if output.returncode != 0:
        raise SystemExit(f"atlas-db bench failed: {output.stderr}")
    return json.loads(output.stdout)["all"]["mean_us"]


if __name__ == "__main__":
    main()
