"""What goes wrong, by a seed: crashes, pauses, cuts, slow lines, a lost disk."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from support.cluster import Cluster, Node
from support.network import DISTANCES, Place
from support.server import ANNOUNCEMENT

PAUSE_SECONDS = (0.2, 2.0)
QUIET_EVERY_SECONDS = (15.0, 30.0)
QUIET_SECONDS = 5.0
# How long a process may take to say where it has crashed.
CRASH_SECONDS = 40.0
# How often the victim is the owner.
OWNER_SHARE = 0.4

WEIGHTS = {
    "kill": 5,
    "kill region": 1,
    "pause": 5,
    "pause region": 1,
    "cut node": 3,
    "cut region": 2,
    "cut between regions": 2,
    "half-open": 2,
    "held bytes": 2,
    "slow node": 2,
    "slow region": 2,
    "wipe": 1,
    "distance": 1,
}


class NodeDied(Exception):
    """A node ended that nobody had killed."""


@dataclass
class Active:
    """A fault that lasts."""

    name: str
    # What no other fault may touch meanwhile.
    holds: set[str]
    until: float
    end: Callable[[], None]


class Faults:
    """At most `at_once` last at the same time."""

    def __init__(self, cluster: Cluster, at_once: int, seed: str, log: Callable[[str], None]) -> None:
        self.cluster = cluster
        self.at_once = at_once
        self.chance = random.Random(seed)
        self.log = log
        self.counts: Counter[str] = Counter()
        self.active: list[Active] = []
        self.wiped: Node | None = None
        self.regions = sorted({node.region for node in cluster.nodes})
        self.down: set[str] = set()

    # Time

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        quiet = time.monotonic() + self.chance.uniform(*QUIET_EVERY_SECONDS)
        following = time.monotonic() + 1
        while (now := time.monotonic()) < end:
            self._end_those_due(now)
            self._look_after_nodes()
            if now >= quiet:
                # Everybody gets a turn: what was wrong must not stay wrong for the whole run.
                self.heal()
                following = time.monotonic() + QUIET_SECONDS
                quiet = following + self.chance.uniform(*QUIET_EVERY_SECONDS)
            if now >= following and len(self.active) < self.at_once:
                self._begin(self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])
                following = time.monotonic() + self.chance.uniform(*PAUSE_SECONDS)
            time.sleep(0.05)
        self.heal()

    def _end_those_due(self, now: float) -> None:
        due = [fault for fault in self.active if fault.until <= now]
        self.active = [fault for fault in self.active if fault.until > now]
        for fault in due:
            self.log(f"end of {fault.name}")
            fault.end()

    def heal(self) -> None:
        self._end_those_due(float("inf"))
        self.cluster.network.heal()
        for pair, distance in DISTANCES.items():
            self.cluster.network.set_distance(*pair, distance)

    def _look_after_nodes(self) -> None:
        """One that has ended by itself is a violation."""
        for node in self.cluster.nodes:
            if node.name in self.down:
                continue
            if not node.is_running():
                raise NodeDied(f"{node.name} ended by itself:\n{node.crash() or node.new_output()[-2000:]}")

    def wait_until_all_run(self, within: float) -> None:
        end = time.monotonic() + within
        for node in self.cluster.nodes:
            while ANNOUNCEMENT not in node.new_output():
                self._look_after_nodes()
                if time.monotonic() > end:
                    raise NodeDied(f"{node.name} does not start:\n{node.new_output()[-3000:]}")
                time.sleep(0.05)

    # Choices

    def _is_free(self, *names: str) -> bool:
        return not any(set(names) & fault.holds for fault in self.active)

    def _victim(self) -> Node:
        if self.chance.random() < OWNER_SHARE:
            for node in self.cluster.nodes:
                try:
                    if self._is_free(node.name) and (owner := self.cluster.owner(node, within=0.5)):
                        return self.cluster[owner]
                except (grpc.RpcError, IndexError):
                    continue
        return self.chance.choice(self.cluster.nodes)

    def _add(
        self, name: str, holds: set[str], seconds: tuple[float, float], end: Callable[[], None], what: str
    ) -> None:
        duration = self.chance.uniform(*seconds)
        self.counts[name] += 1
        self.log(f"{name} {what} for {duration:.1f} s")
        self.active.append(Active(f"{name} {what}", holds, time.monotonic() + duration, end))

    def _begin(self, name: str) -> None:
        match name:
            case "kill":
                self._kill(name, [self._victim()])
            case "kill region":
                self._kill(name, self.cluster.region(self.chance.choice(self.regions)))
            case "pause":
                self._pause(name, [self._victim()])
            case "pause region":
                self._pause(name, self.cluster.region(self.chance.choice(self.regions)))
            case "wipe":
                self._wipe(name)
            case "slow node" | "slow region":
                self._slow(name, self._victim().name if name == "slow node" else self.chance.choice(self.regions))
            case "distance":
                self._distance(name)
            case _:
                self._break_lines(name)

    # Processes

    def _kill(self, name: str, nodes: list[Node], wipe: bool = False) -> None:
        names = {node.name for node in nodes}
        if not self._is_free(*names):
            return
        for node in nodes:
            # One that is about to end by itself looks as if it ran.
            if node.crash():
                node.wait(CRASH_SECONDS)
                raise NodeDied(f"{node.name} ended by itself:\n{node.crash()}")
        self.down |= names
        for node in nodes:
            node.kill()
            if wipe:
                node.wipe()

        def end() -> None:
            for node in nodes:
                node.launch()
                self.down.discard(node.name)

        self._add(name, names, (0.0, 6.0), end, ", ".join(sorted(names)))

    def _pause(self, name: str, nodes: list[Node]) -> None:
        names = {node.name for node in nodes}
        if not self._is_free(*names):
            return
        for node in nodes:
            node.signal(signal.SIGSTOP)

        def end() -> None:
            for node in nodes:
                node.signal(signal.SIGCONT)

        self._add(name, names, (0.3, 8.0), end, ", ".join(sorted(names)))

    def _wipe(self, name: str) -> None:
        """One in a run: it does not come back as a voter."""
        if self.wiped is not None:
            return
        victim = self._victim()
        if self._is_free(victim.name):
            self.wiped = victim
            self._kill(name, [victim], wipe=True)

    # Lines

    def _break_lines(self, name: str) -> None:
        """One break at a time, of a place or of what lies between two regions."""
        if not self._is_free("lines"):
            return
        network = self.cluster.network
        place: Place = self._victim().name if self.chance.random() < 0.6 else self.chance.choice(self.regions)
        other: Place | None = None
        match name:
            case "cut node":
                place = self._victim().name
                network.cut(place)
            case "cut region":
                place = self.chance.choice(self.regions)
                network.cut(place)
            case "cut between regions":
                place, other = self.chance.sample(self.regions, 2)
                network.cut(place, other)
            case "half-open":
                if self.chance.random() < 0.5:
                    network.drop_from(place)
                else:
                    network.drop(place)
            case "held bytes":
                network.stop(place)
        what = f"{place}" if other is None else f"{place} and {other}"
        self._add(name, {"lines"}, (0.5, 8.0), network.heal, what)

    def _slow(self, name: str, place: Place) -> None:
        if not self._is_free("delays"):
            return
        more, jitter = self.chance.uniform(5, 400), self.chance.uniform(0, 200)
        rate = self.chance.choice([None, None, 20_000, 200_000])
        self.cluster.network.slow(place, more_ms=more, jitter_ms=jitter, rate=rate)
        what = f"{place} by {more:.0f} ms, jitter {jitter:.0f} ms, rate {rate}"
        self._add(name, {"delays"}, (1.0, 8.0), lambda: self.cluster.network.restore(place), what)

    def _distance(self, name: str) -> None:
        if not self._is_free("delays"):
            return
        pair = self.chance.choice(sorted(DISTANCES))
        distance = self.chance.choice([1, 20, 400])
        self.cluster.network.set_distance(*pair, distance)
        network = self.cluster.network
        end = lambda: network.set_distance(*pair, DISTANCES[pair])  # noqa: E731
        self._add(name, {"delays"}, (3.0, 12.0), end, f"between {pair[0]} and {pair[1]}: {distance} ms")
