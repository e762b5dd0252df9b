"""Tables, and what a run is worth."""

import os
import platform
import statistics
import time


def median(runs, field):
    return statistics.median(getattr(run, field) for run in runs)


def spread(runs, field):
    values = [getattr(run, field) for run in runs]
    return (max(values) - min(values)) / statistics.median(values)


def paired(runs, others, field):
    """The median of the quotients of runs that were neighbours: what disturbs the machine disturbs both."""
    return statistics.median(getattr(run, field) / getattr(other, field) for run, other in zip(runs, others))


def machine():
    load = os.getloadavg()
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"load average {load[0]:.1f}")


def table(title, header, rows):
    """A Markdown table that can also be read in a terminal."""
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row):
        return "| " + " | ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))) + " |"

    print(f"\n{title}\n")
    print(line(header))
    print("|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)) + "|")
    for row in cells[1:]:
        print(line(row))
    print(flush=True)


def comparison(title, runs, levels, targets):
    """Puts and gets of both systems, beside each other.

    - runs: lists by kind, level and system.
    - targets: by kind and number in flight, what is compared with etcd and its bound: at most that latency, or at least
      that throughput.
    """
    rows = []
    for kind in ("put", "get"):
        for level in levels:
            atlas, etcd = runs[kind, level, "atlas"], runs[kind, level, "etcd"]
            in_flight = level[0] * level[1]
            ratios = {"throughput": paired(atlas, etcd, "requests_per_second"), "latency": paired(atlas, etcd, "mean_us")}
            target = ""
            if (kind, in_flight) in targets:
                what, bound = targets[kind, in_flight]
                is_latency = what == "latency"
                met = ratios[what] <= bound if is_latency else ratios[what] >= bound
                target = f"{what} {'≤' if is_latency else '≥'} {bound} ×: {verdict(met)}"
            rows.append([
                f"{kind}, {in_flight} in flight",
                *(cell for each in (atlas, etcd) for cell in (
                    rate(median(each, "requests_per_second")),
                    f"± {spread(each, 'requests_per_second') * 50:.0f} %",
                    microseconds(median(each, "mean_us")),
                    f"{median(each, 'server_cpu_us'):.1f} µs")),
                f"{ratios['throughput']:.2f}", f"{ratios['latency']:.2f}", target,
            ])
    table(
        title,
        [
            "", "Atlas DB, 1/s", "", "mean", "server CPU", "etcd, 1/s", "", "mean", "server CPU", "throughput ×",
            "latency ×", "target",
        ], rows)


def rate(value):
    return f"{value / 1000:.1f} k" if value >= 1000 else f"{value:.0f}"


def microseconds(value):
    return f"{value / 1000:.2f} ms" if value >= 1000 else f"{value:.0f} µs"


def bytes_(value):
    return f"{value / (1 << 20):.0f} MiB"


def verdict(met):
    return "met" if met else "MISSED"
