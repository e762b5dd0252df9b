"""Crash test: writes through several connections, SIGKILL at a random moment, restart, check; again and again.

The seed decides what is written and when the server is killed, but not how the machine schedules it: a run repeats the
same plan, not the same interleaving.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from crash.model import Violation
from crash.workload import Connection, Counts, Knowledge, Writer, check_counter, disturb, read_all
from support.server import Server, StartFailed

WRITERS = 24
CONNECTIONS = 4
ROUND_SECONDS = (0.1, 1.2)

SMALL = {
    "storage.log_segment_size": "1MiB",
    "storage.write_buffer_size": "64KiB",
    "storage.max_table_size": "1MiB",
    "storage.level_one_size": "1MiB",
    "storage.value_log_file_size": "1MiB",
    "storage.gc_interval": "1s",
    "limits.max_batch_size": "500KiB",
    "limits.max_value_size": "100KiB",
}
# Each profile has a data directory of its own, which lives through all of its rounds.
PROFILES: dict[str, dict[str, object]] = {
    "defaults": {},
    "small": SMALL,
    "small, few versions": {**SMALL, "storage.num_versions": 1, "storage.history_ttl": "30s"},
    # A crash of the process loses nothing even so.
    "unsynced": {"storage.sync_writes": "false"},
}


@dataclass
class Totals:
    rounds: int = 0
    kills: int = 0
    kills_in_recovery: int = 0
    pauses: int = 0
    disturbances: int = 0
    recycled_segments: int = 0
    found_unacknowledged: int = 0
    recovery: list[float] = field(default_factory=list)


class History:
    """One profile: a server, its data, and the writers that know what must be in it."""

    def __init__(self, name: str, directory: Path, seed: int, totals: Totals) -> None:
        self.name = name
        self.chance = random.Random(f"{seed}/{name}")
        self.server = Server(directory, PROFILES[name])
        self.knowledge = Knowledge()
        self.writers = [Writer(f"w{number}", f"{seed}/{name}/{number}", self.knowledge) for number in range(WRITERS)]
        self.totals = totals

    async def round(self, sabotage: bool) -> None:
        self.totals.rounds += 1
        await self.write_until_killed()
        if sabotage:
            self.lose_what_was_written()
        await self.recover()
        await self.check()

    async def write_until_killed(self) -> None:
        """Ends with the server dead, killed in the middle of whatever it did."""
        stop = asyncio.Event()
        connections = [Connection(self.server.address) for _ in range(CONNECTIONS)]
        tasks = [
            asyncio.create_task(writer.run(connections[number % CONNECTIONS], stop))
            for number, writer in enumerate(self.writers)
        ]
        trouble = None
        if self.chance.random() < 0.6:
            trouble = asyncio.create_task(disturb(connections[0], self.chance, self.knowledge.counts, stop))
        if self.chance.random() < 0.3:
            await self.pause_for_a_moment()
        await asyncio.sleep(self.chance.uniform(*ROUND_SECONDS))
        self.kill()
        stop.set()
        await asyncio.gather(*tasks)
        if trouble is not None:
            done = await trouble
            self.totals.disturbances += done.calls
            self.totals.recycled_segments += done.recycled_segments
        for connection in connections:
            await connection.channel.close()

    async def pause_for_a_moment(self) -> None:
        self.totals.pauses += 1
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        self.server.signal(signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(0.05, 0.5))
        self.server.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.server.kill()
        self.totals.kills += 1

    async def recover(self) -> None:
        """Starts the server again, and kills it now and then before it is ready."""
        while self.chance.random() < 0.3:
            self.server.launch()
            await asyncio.sleep(self.chance.uniform(0, 0.25))
            if not self.server.is_running():
                raise StartFailed(self.server.output())
            self.kill()
            self.totals.kills_in_recovery += 1
        began = time.monotonic()
        self.server.start()
        self.totals.recovery.append(time.monotonic() - began)

    async def check(self) -> None:
        connection = Connection(self.server.address)
        contents = await read_all(connection)
        await connection.channel.close()
        for writer in self.writers:
            for item in writer.items:
                item.observe(contents)
                # Most writes are asked for again; some writers never come back to them.
                if item.pending is not None and self.chance.random() < 0.3:
                    item.settle(contents)
        known = {key for writer in self.writers for item in writer.items for key in item.keys} | {b"counter"}
        if strange := set(contents) - known:
            raise Violation(f"keys that nobody wrote: {sorted(strange)[:5]}")
        check_counter(self.writers, contents)
        newest = max((version for _, version in contents.values()), default=0)
        self.knowledge.saw(newest)

    def lose_what_was_written(self) -> None:
        """What a broken disk would do. The checks must notice; a test makes sure of it."""
        shutil.rmtree(self.server.data)

    def end(self) -> None:
        self.server.kill()
        self.totals.found_unacknowledged += sum(item.recovered for writer in self.writers for item in writer.items)

    @property
    def counts(self) -> Counts:
        return self.knowledge.counts


async def run(rounds: int, seed: int, directory: Path, sabotage_round: int | None) -> list[History]:
    totals = Totals()
    histories = [History(name, directory / f"profile{number}", seed, totals) for number, name in enumerate(PROFILES)]
    try:
        for history in histories:
            history.server.start()
        for number in range(rounds):
            history = histories[number % len(histories)]
            try:
                await history.round(sabotage=number == sabotage_round)
            except (Violation, StartFailed) as failure:
                raise Violation(f"round {number}, profile {history.name}, seed {seed}:\n{failure}") from failure
    finally:
        for history in histories:
            history.end()
    for history in histories[:rounds]:
        if not history.counts.acknowledged:
            raise Violation(f"profile {history.name}: no write was acknowledged in any round")
    return histories


def summary(histories: list[History], seconds: float) -> str:
    totals = histories[0].totals
    recovery = sorted(1000 * each for each in totals.recovery)
    counts = Counts()
    for name in vars(counts):
        setattr(counts, name, sum(getattr(each.counts, name) for each in histories))
    return f"""\
crash test: {totals.rounds} rounds in {seconds:.0f} s over {len(histories)} profiles, \
{WRITERS} writers on {CONNECTIONS} connections
  kills             {totals.kills}, {totals.kills_in_recovery} of them during recovery; {totals.pauses} pauses
  operations        {counts.sent} sent, {counts.acknowledged} acknowledged, {counts.retried} retried after a crash
                    {counts.conditions_failed} conditions lost a race, {counts.refused} refused for the moment
  unacknowledged    {totals.found_unacknowledged} were found whole after a restart, all others not at all
  meanwhile         {totals.disturbances} flushes, compactions and garbage collections; \
{totals.recycled_segments} log segments recycled
  recovery          median {statistics.median(recovery):.0f} ms, longest {recovery[-1]:.0f} ms
  every acknowledged write was there with its version, no batch was torn, no retry took effect twice"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="crash-test.sh", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="kills, apart from those during recovery (default 30)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="repeats the plan of a run")
    parser.add_argument("--keep", action="store_true", help="keep the data directories of a failed run")
    parser.add_argument("--sabotage", type=int, metavar="ROUND", help="lose all data in this round: the run must fail")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="atlas-crash-"))
    print(f"crash test: {options.rounds} rounds, --seed {options.seed}", flush=True)
    began, failed = time.monotonic(), False
    try:
        histories = asyncio.run(run(options.rounds, options.seed, directory, options.sabotage))
        print(summary(histories, time.monotonic() - began))
    except Violation as violation:
        failed = True
        print(f"crash test FAILED: {violation}", file=sys.stderr)
    finally:
        if failed and options.keep:
            print(f"the data is in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
