"""Torture: three regions of three nodes at their distances, clients in each of them, and everything that goes wrong.

The seed decides what goes wrong and what clients ask for, but not how the machine schedules it: a run repeats the same
plan, not the same interleaving.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import grpc

from support.cluster import Cluster, until
from support.network import DISTANCES, REGION_NAMES
from support.server import StartFailed, binary
from torture.checker import check
from torture.faults import Faults, NodeDied
from torture.history import Operation, Outcome, save
from torture.probe import GAP_SECONDS, Probe
from torture.workload import KEYS, TortureClient, error_name

CLIENTS_PER_REGION = 3
# What a node says of a state that is not the owner's.
DIFFERS = "is not that of its owner"
HEALED_SECONDS = 60.0


class Violation(Exception):
    """The database broke its word."""


class Torture:
    def __init__(self, seed: int, seconds: float, directory: Path, at_once: int, other: Path | None) -> None:
        self.seconds = seconds
        self.directory = directory
        self.at_once = at_once
        self.began = time.monotonic()
        chance = random.Random(f"{seed}/settings")
        self.settings: dict[str, object] = {
            "cluster.survive": chance.choice(["region", "region", "node"]),
            "consensus.heartbeat_interval": chance.choice(["200ms", "300ms", "500ms"]),
            "consensus.election_timeout": chance.choice(["1s", "1500ms", "2500ms"]),
            "region.region_sync_interval": "1s",
            "storage.log_segment_size": "1MiB",
            "storage.log_retain_size": "4MiB",
            "limits.max_batch_size": "500KiB",
            "limits.max_value_size": "100KiB",
        }
        self.events = (directory / "events.log").open("w")
        self.cluster = Cluster(directory, [3, 3, 3], self.settings, DISTANCES)
        if other is not None:
            versions = random.Random(f"{seed}/versions")
            for node in self.cluster.nodes:
                node.program = lambda: versions.choice([binary(), other])
        self.clients = [
            TortureClient(f"c{region}{number}", region, self.cluster.region(region), f"{seed}/{region}/{number}")
            for region in REGION_NAMES
            for number in range(CLIENTS_PER_REGION)
        ]
        self.probes = [Probe(region, self.cluster.region(region)) for region in REGION_NAMES]
        self.faults = Faults(self.cluster, at_once, f"{seed}/faults", self.log)
        # When the faults ended.
        self.ended: float | None = None
        self.healed_after = 0.0
        self.final: list[Operation] = []

    def log(self, what: str, moment: float | None = None) -> None:
        self.events.write(f"{moment or time.monotonic():.3f} {what}\n")
        self.events.flush()

    @property
    def history(self) -> list[Operation]:
        return [operation for client in self.clients for operation in client.history] + self.final

    def run(self) -> None:
        """Raises `Violation`; whatever happens, no process is left."""
        violations: list[str] = []
        try:
            self.cluster.start()
            self.torment()
        except (NodeDied, StartFailed, Violation) as failure:
            violations.append(str(failure))
        finally:
            for client in self.clients:
                client.stop(abandon=True)
            for probe in self.probes:
                probe.stop()
            self.cluster.kill()
            for client in self.clients:
                client.join()
            save(self.history, self.directory / "history.jsonl")
            for probe in self.probes:
                for moment, seconds in probe.gaps(self.began, self.ended or time.monotonic()):
                    self.log(f"{REGION_NAMES[probe.region]} is not served for {seconds:.1f} s", moment)
            self.events.close()
        violations += [f"{client.bad_answer}" for client in self.clients if client.bad_answer is not None]
        if found := check(self.history):
            violations.append("\n  ".join(["the history is not one of a linearizable database:", *found]))
        for probe in self.probes:
            if not probe.answered:
                violations.append(f"nobody in {REGION_NAMES[probe.region]} was served anything")
        if violations:
            raise Violation("\n".join(violations))

    def torment(self) -> None:
        for client in self.clients:
            client.start()
        for probe in self.probes:
            probe.start()
        self.began = time.monotonic()
        if self.at_once > 0:
            self.faults.run(self.seconds)
        else:
            time.sleep(self.seconds)
        self.heal()
        for probe in self.probes:
            probe.stop()
        for client in self.clients:
            client.stop()
        for client in self.clients:
            client.join()
        self.read_everything()
        self.compare_states()

    def heal(self) -> None:
        """After the faults everybody is served again, within a bound."""
        self.ended = time.monotonic()
        self.log("all is healed")
        try:
            self.faults.wait_until_all_run(HEALED_SECONDS)
            for node in self.cluster.nodes:
                self.cluster.wait_until_it_serves(node, HEALED_SECONDS)
        except (AssertionError, StartFailed) as failure:
            raise Violation(f"after the faults: {failure}") from failure
        self.healed_after = time.monotonic() - self.ended

    def read_everything(self) -> None:
        """Once more through each node, so that what was lost shows."""
        for node in self.cluster.nodes:
            reader = TortureClient(f"reader at {node.name}", node.region, [node], node.name)
            for kind, key in [("consistent get", key) for key in KEYS] + [("scan", "")]:
                operation = Operation(reader.name, kind, began=time.monotonic())
                for _ in range(10):
                    operation.began = time.monotonic()
                    reader.scan(operation) if kind == "scan" else reader.get(operation, key)
                    if operation.outcome == Outcome.DONE:
                        break
                else:
                    raise Violation(f"after the faults {node.name} does not answer: {operation.error}")
                self.final.append(operation)
            for channel in reader.channels:
                channel.close()

    def compare_states(self) -> None:
        """All voters come to the same slot, and there to the same state, as they have all along."""
        for node in self.cluster.nodes:
            if DIFFERS in node.output():
                raise Violation(f"{node.name} had another state than the owner:\n{node.output()[-3000:]}")
        voters = [node for node in self.cluster.nodes if node is not self.faults.wiped]
        states: dict[str, tuple[int, int]] = {}

        def agree() -> bool:
            for node in voters:
                tablet = self.cluster.stats(node).tablets[0]
                states[node.name] = (tablet.applied_slot, tablet.state_hash)
            return len(set(states.values())) == 1

        try:
            until(agree, "", HEALED_SECONDS)
        except (AssertionError, IndexError):
            raise Violation(f"the replicas do not come to the same state: {states}") from None
        except grpc.RpcError as error:
            raise Violation(f"a node does not say how it is: {error_name(error)}") from error

    def summary(self) -> str:
        operations: dict[str, Counter[str]] = {}
        errors: Counter[str] = Counter()
        for client in self.clients:
            errors += client.errors
            for (kind, outcome), count in client.counts.items():
                operations.setdefault(kind, Counter())[outcome] += count
        total = sum(sum(counts.values()) for counts in operations.values())
        ended = self.ended or time.monotonic()
        lines = [
            f"torture: {ended - self.began:.0f} s, {total} operations of {len(self.clients)} clients "
            f"({total / max(1, ended - self.began):.0f}/s), survive {self.settings['cluster.survive']}, "
            f"election timeout {self.settings['consensus.election_timeout']}",
            "  faults            "
            + (", ".join(f"{count} {name}" for name, count in sorted(self.faults.counts.items())) or "none"),
        ]
        for kind in sorted(operations):
            counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(operations[kind].items()))
            lines.append(f"  {kind:<18}{counts}")
        lines.append(
            "  errors            " + (", ".join(f"{count} {name}" for name, count in errors.most_common()) or "none")
        )
        for probe in self.probes:
            gaps = [seconds for _, seconds in probe.gaps(self.began, ended)]
            lines.append(
                f"  not served        {REGION_NAMES[probe.region]}: {len(gaps)} times for more than {GAP_SECONDS:.0f} s, "
                f"{max(gaps, default=0):.1f} s at most, {100 * sum(gaps) / max(1, ended - self.began):.0f} % of the time"
            )
        lines.append(f"  afterwards        every node served after {self.healed_after:.1f} s")
        return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture.sh", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=3, help="how long things go wrong (default 3)")
    length.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="repeats the plan of a run")
    parser.add_argument("--keep", action="store_true", help="keep logs and history of a run that succeeded, too")
    parser.add_argument("--at-once", type=int, default=3, help="how many faults may last at the same time (default 3)")
    parser.add_argument(
        "--other", type=Path, help="the absolute path of another version: each start of a node takes one of the two"
    )
    options = parser.parse_args()
    seconds = options.seconds if options.seconds is not None else options.minutes * 60
    directory = Path(tempfile.mkdtemp(prefix="atlas-torture-"))
    print(f"torture: {seconds:.0f} s, --seed {options.seed}", flush=True)
    torture = Torture(options.seed, seconds, directory, options.at_once, options.other)
    failed = True
    try:
        torture.run()
        failed = False
        print(torture.summary())
        print("  every answer was one of a linearizable database; all replicas ended in the same state")
    except Violation as violation:
        print(torture.summary())
        print(f"torture FAILED, --seed {options.seed}: {violation}", file=sys.stderr)
    finally:
        if failed or options.keep:
            print(f"logs, events and history are in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
