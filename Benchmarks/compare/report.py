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


def rate(value):
    return f"{value / 1000:.1f} k" if value >= 1000 else f"{value:.0f}"


def microseconds(value):
    return f"{value / 1000:.2f} ms" if value >= 1000 else f"{value:.0f} µs"


def bytes_(value):
    return f"{value / (1 << 20):.0f} MiB"


def verdict(met):
    return "met" if met else "MISSED"
