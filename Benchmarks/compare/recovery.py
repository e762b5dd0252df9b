#!/usr/bin/env python3
"""Recovery: how long until a killed node serves again, after a gibibyte of puts.

The node flushes its store as the log grows, and lets go of the log below that point. What is read at the start is what is
left: the column "log files".
"""

import argparse
import signal

import load
import report
import servers

SECONDS_MAX = 10
BYTES_PER_PUT = 272


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bytes", type=int, default=1 << 30, help="of keys and values to put into the log")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--directory", help="where the data is kept")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {report.machine()}")
    keyload = load.Keyload()
    with servers.Atlas(options.directory) as atlas:
        keyload(atlas, "put", load.LEVELS[-1], requests=options.bytes // BYTES_PER_PUT)
        rows = []
        for number in range(options.runs):
            atlas.stop(signal.SIGKILL)
            log = atlas.disk_bytes().get("log", 0)
            seconds = atlas.start()
            read = keyload(atlas, "get", (8, 1), requests=1000)
            rows.append([f"start {number + 1}", report.bytes_(log), f"{seconds:.2f} s", report.rate(read.requests_per_second)])
    report.table(
        f"After SIGKILL, {report.bytes_(options.bytes)} of keys and values written",
        ["", "log files", "until it listens", "first 1,000 reads, 1/s"], rows)


if __name__ == "__main__":
    main()
