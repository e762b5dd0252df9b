#!/usr/bin/env python3
"""The Swift client over `Session` beside unary calls, 64 callers at once on one connection."""

import argparse
import json
import statistics
import subprocess

import report
import servers

RATIO_MIN = 3.0


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--in-flight", type=int, default=64)
    options.add_argument("--directory", help="where the data is kept")
    options = options.parse_args()

    print(f"{servers.Atlas.version()}; {report.machine()}")
    rates, latencies = {}, {}
    with servers.Atlas(options.directory) as atlas:
        for number in range(options.rounds):
            modes = ["session", "unary"] if number % 2 == 0 else ["unary", "session"]
            for reads in (0, 1):
                for mode in modes:
                    result = bench(atlas, mode, reads, options)
                    rates.setdefault((reads, mode), []).append(result["per_second"])
                    latencies.setdefault((reads, mode), []).append(result["mean_us"])
    rows = []
    for reads in (0, 1):
        session, unary = (statistics.median(rates[reads, mode]) for mode in ("session", "unary"))
        rows.append([
            "get" if reads else "put",
            report.rate(session), report.microseconds(statistics.median(latencies[reads, "session"])),
            report.rate(unary), report.microseconds(statistics.median(latencies[reads, "unary"])),
            f"{session / unary:.2f}", f"≥ {RATIO_MIN:.0f} ×: {report.verdict(session / unary >= RATIO_MIN)}",
        ])
    report.table(
        f"atlas-db bench, {options.in_flight} callers, {options.rounds} alternating runs of {options.seconds} s, medians",
        ["", "session, 1/s", "mean", "unary, 1/s", "mean", "session ÷ unary", "target"], rows)


def bench(atlas, mode, reads, options):
    output = subprocess.run(
        [
            atlas.binary(), "bench", "--endpoint", f"127.0.0.1:{atlas.port}", "--mode", mode, "--reads", str(reads),
            "--in-flight", str(options.in_flight), "--duration", f"{options.seconds}s", "--keys", "1000", "-o", "json",
        ],
        capture_output=True, text=True, timeout=options.seconds + 60)
    if output.returncode != 0:
        raise SystemExit(f"atlas-db bench failed: {output.stderr}")
    result = json.loads(output.stdout)
    if result["errors"]:
        raise SystemExit(f"atlas-db bench met errors: {result['errors']}")
    return result["all"]


if __name__ == "__main__":
    main()
