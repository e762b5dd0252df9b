"""Whether a history is one that a linearizable database can have.

Every answer carries versions, and versions are the order in which the database claims that writes took effect. So it
is enough to ask whether that order is possible: per key, it must agree with the order in which things happened, and
every answer must show exactly what the order has at its place. That takes n log n, where a search without versions
would take for ever.

- A value that is read was written, to this key, by a write that was not refused, and always shows the same version.
- No two writes share a version. What has been seen once, or was acknowledged, comes before every write that begins
  afterwards.
- A consistent read that begins after something was acknowledged or seen shows this or something later. What was seen
  to be deleted does not come back.
- A condition held when its write took effect: nothing lies between the version that it names and that of the write.
- A weak read shows at least the state at its `min_version`, and everything that had been acknowledged or seen so long
  before it as its receipt says that it may lie behind.
- A scan shows exactly the state at its version, of all keys.
- A write with an unknown outcome takes effect once, at any time after its start, or never. All of a batch has one
  version.
"""

from __future__ import annotations

import bisect
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from torture.history import ABSENT, Operation, Outcome, Seen, load

# Receipts count whole milliseconds, and clocks are read one after the other.
STALENESS_SLACK_SECONDS = 0.002
# Violations beyond these are not looked for: one is enough, a few more help to understand it.
VIOLATIONS_MAX = 20


@dataclass(order=True)
class Write:
    """One that took effect on a key."""

    version: int
    value: str | None = field(compare=False)
    operation: Operation = field(compare=False)


@dataclass(frozen=True)
class Floor:
    """What is known of a key: a version, and whether it has been deleted since (by a delete of unknown version)."""

    version: int = 0
    is_gone: bool = False

    def __or__(self, other: Floor) -> Floor:
        return max(self, other, key=lambda each: (each.version, each.is_gone))


class Key:
    """What is known of one key from the whole history."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        # Deletes that may have taken effect; nobody knows whether and when.
        self.unknown_deletes: list[Operation] = []
        self.unknown_puts: list[Operation] = []

    def at(self, version: int) -> Write | None:
        """The newest write up to a version."""
        index = bisect.bisect_right(self.writes, version, key=lambda write: write.version)
        return self.writes[index - 1] if index > 0 else None

    def between(self, lower: int, upper: int) -> Write | None:
        """A write above the lower and below the upper version."""
        index = bisect.bisect_right(self.writes, lower, key=lambda write: write.version)
        return self.writes[index] if index < len(self.writes) and self.writes[index].version < upper else None

    def may_be_deleted_by_unknown(self, ended: float) -> bool:
        return any(operation.began <= ended for operation in self.unknown_deletes)

    def absence(self, floor: Floor, ended: float) -> Floor | None:
        """The least that is known once the key was seen to be absent; None if it cannot be."""
        if self.may_be_deleted_by_unknown(ended) or floor.is_gone:
            return Floor(floor.version, is_gone=True)
        there = self.at(floor.version)
        if there is None or there.value is None:
            return floor
        index = bisect.bisect_right(self.writes, floor.version, key=lambda write: write.version)
        for write in self.writes[index:]:
            if write.value is None and write.operation.began <= ended:
                return Floor(write.version)
        return None


class Checker:
    def __init__(self, operations: Iterable[Operation]) -> None:
        # A read that was not answered says nothing.
        self.operations = [each for each in operations if each.is_write or each.outcome == Outcome.DONE]
        self.violations: list[str] = []
        self.keys: dict[str, Key] = defaultdict(Key)
        self._floors: dict[str, Floor] = defaultdict(Floor)
        # What was known when, ascending.
        self._past: dict[str, list[tuple[float, Floor]]] = defaultdict(list)
        self._versions: dict[int, int] = {}

    def check(self) -> list[str]:
        """What is wrong, in words; empty if nothing is."""
        self._find_versions()
        self._order_writes()
        self._replay()
        return self.violations

    def _complain(self, what: str, *operations: Operation) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append("\n    ".join([what, *map(describe, operations)]))

    # What took effect

    def _find_versions(self) -> None:
        """By the answers, and of those that were not answered by what others have seen of them."""
        author: dict[tuple[str, str], Operation] = {}
        for operation in self.operations:
            for key, value in operation.effects.items():
                if value is not None:
                    assert (key, value) not in author, f"{value} is written twice: the history says nothing"
                    author[key, value] = operation
            if operation.outcome == Outcome.DONE and operation.is_write and operation.version > 0:
                self._versions[id(operation)] = operation.version
        for reader in self.operations:
            for key, (value, version) in reader.seen.items():
                if value is None:
                    continue
                writer = author.get((key, value))
                if writer is None:
                    self._complain(f"{key} has a value that nobody wrote: {value}", reader)
                elif writer.outcome in (Outcome.FAILED, Outcome.REFUSED):
                    self._complain(f"{key} shows a write that did not take effect", writer, reader)
                elif writer.began > reader.ended:
                    self._complain(f"{key} shows a write before it began", writer, reader)
                elif self._versions.setdefault(id(writer), version) != version:
                    known = self._versions[id(writer)]
                    self._complain(f"{key}: a write has version {version} here and {known} elsewhere", writer, reader)

    def _order_writes(self) -> None:
        for operation in self.operations:
            if operation.outcome in (Outcome.FAILED, Outcome.REFUSED):
                continue
            version = self._versions.get(id(operation))
            for key, value in operation.effects.items():
                if key in operation.missing:
                    continue
                if version is not None:
                    self.keys[key].writes.append(Write(version, value, operation))
                elif operation.outcome == Outcome.UNKNOWN:
                    unknown = self.keys[key].unknown_deletes if value is None else self.keys[key].unknown_puts
                    unknown.append(operation)
        for name, key in self.keys.items():
            key.writes.sort()
            for one, other in zip(key.writes, key.writes[1:], strict=False):
                if one.version == other.version:
                    self._complain(f"{name}: two writes with version {one.version}", one.operation, other.operation)

    # In the order in which things happened

    def _replay(self) -> None:
        moments = [(each.began, 0, index) for index, each in enumerate(self.operations)]
        moments += [(each.ended, 1, index) for index, each in enumerate(self.operations)]
        floors: dict[int, dict[str, Floor]] = {}
        for self._now, is_end, index in sorted(moments):
            operation = self.operations[index]
            if not is_end:
                names = operation.effects.keys() | operation.seen.keys() | operation.conditions.keys()
                floors[index] = {name: self._floors[name] for name in names}
            elif operation.is_write:
                self._end_write(operation, floors.pop(index))
            elif operation.is_scan:
                self._end_scan(operation, floors.pop(index))
            else:
                self._end_read(operation, floors.pop(index))

    def _learn(self, name: str, floor: Floor) -> None:
        known = self._floors[name] | floor
        if known != self._floors[name]:
            self._floors[name] = known
            self._past[name].append((self._now, known))

    def _floor_of_read(self, name: str, now: Floor, operation: Operation) -> Floor:
        """What a read has to show at least, if `now` is what was known when it began."""
        if operation.is_consistent:
            return now
        due = self.keys[name].at(operation.min_version)
        floor = Floor(due.version if due else 0)
        if operation.staleness is not None:
            moment = operation.began - operation.staleness - STALENESS_SLACK_SECONDS
            past = self._past[name]
            index = bisect.bisect_left(past, moment, key=lambda each: each[0])
            if index > 0:
                floor |= past[index - 1][1]
        return floor

    def _end_write(self, operation: Operation, floors: dict[str, Floor]) -> None:
        if operation.outcome == Outcome.REFUSED:
            return
        if operation.outcome == Outcome.FAILED:
            for name, (_, version) in operation.seen.items():
                self._see(name, version, floors[name], operation)
            return
        for name in operation.missing:
            self._see(name, 0, floors[name], operation)
        version = self._versions.get(id(operation))
        if version is None:
            return
        for name in operation.effects:
            if name in operation.missing:
                continue
            if version <= floors[name].version:
                self._complain(f"{name}: a write at {version} began after {floors[name].version} was there", operation)
            if operation.outcome == Outcome.DONE:
                self._learn(name, Floor(version))
        for name, expected in operation.conditions.items():
            self._check_met(name, expected, version, floors[name], operation)
        for name, (_, met) in operation.seen.items():
            self._check_met(name, met, version, floors[name], operation)

    def _check_met(self, name: str, met: int, version: int, floor: Floor, operation: Operation) -> None:
        """A write at `version` found the key with version `met`, or absent."""
        key = self.keys[name]
        if met > 0:
            if between := key.between(met, version):
                self._complain(
                    f"{name}: a write met version {met}, but {between.version} lies between",
                    operation,
                    between.operation,
                )
            there = key.at(met)
            if met >= version or (
                not key.unknown_puts and (there is None or there.version != met or there.value is None)
            ):
                self._complain(f"{name}: a write met version {met}, which nobody wrote", operation)
            if floor == Floor(met, is_gone=True):
                self._complain(f"{name}: a write met version {met}, which had been deleted", operation)
        else:
            there = key.at(version - 1)
            if there is not None and there.value is not None and not key.may_be_deleted_by_unknown(operation.ended):
                self._complain(
                    f"{name}: a write found nothing, but {there.version} was there", operation, there.operation
                )

    def _end_read(self, operation: Operation, floors: dict[str, Floor]) -> None:
        for name, (_, version) in operation.seen.items():
            self._see(name, version, self._floor_of_read(name, floors[name], operation), operation)

    def _see(self, name: str, version: int, floor: Floor, operation: Operation) -> None:
        """Somebody was shown this version (0: nothing), and must be shown the floor or what is above it."""
        key = self.keys[name]
        if version == 0:
            known = key.absence(floor, operation.ended)
            if known is None:
                there = key.at(floor.version)
                self._complain(
                    f"{name} is absent, but {floor.version} was there and nobody has deleted it",
                    operation,
                    *([there.operation] if there else []),
                )
            else:
                self._learn(name, known)
            return
        if version < floor.version:
            newer = key.at(floor.version)
            self._complain(
                f"{name}: version {version} was shown, and {floor.version} was due",
                operation,
                *([newer.operation] if newer else []),
            )
        elif floor == Floor(version, is_gone=True):
            self._complain(f"{name}: version {version} was shown after it had been deleted", operation)
        there = key.at(version)
        if there is not None and there.version == version and there.value is None:
            self._complain(
                f"{name}: version {version} was shown, which is that of a delete", operation, there.operation
            )
        elif (there is None or there.version != version) and not key.unknown_puts:
            self._complain(f"{name}: version {version} was shown, which nobody wrote", operation)
        self._learn(name, Floor(version))

    def _end_scan(self, operation: Operation, floors: dict[str, Floor]) -> None:
        snapshot = operation.version
        if snapshot < operation.min_version:
            self._complain(f"a scan shows the state at {snapshot}, and {operation.min_version} was due", operation)
        for name, (_, version) in operation.seen.items():
            key, floor = self.keys[name], self._floor_of_read(name, floors[name], operation)
            if snapshot < floor.version:
                self._complain(f"{name}: a scan shows the state at {snapshot}, and {floor.version} was due", operation)
            there = key.at(snapshot)
            expected = there.version if there and there.value is not None else 0
            if version != expected and not (version == 0 and key.may_be_deleted_by_unknown(operation.ended)):
                self._complain(
                    f"{name}: a scan at {snapshot} shows version {version}, and {expected} is the one at this place",
                    operation,
                    *([there.operation] if there else []),
                )
            elif version > 0:
                if floor == Floor(version, is_gone=True):
                    self._complain(f"{name}: a scan shows {version} after it had been deleted", operation)
                self._learn(name, Floor(version))
            elif expected > 0:
                self._learn(name, Floor(expected, is_gone=True))
            elif there is not None:
                self._learn(name, Floor(there.version))


def describe(operation: Operation) -> str:
    parts = [f"{operation.client} {operation.kind} [{operation.began:.4f}, {operation.ended:.4f}] {operation.outcome}"]
    for name in ("effects", "conditions", "missing", "version", "seen", "min_version", "staleness", "error"):
        if (value := getattr(operation, name)) not in (None, "", 0, {}, []):
            parts.append(f"{name}={value}")
    return " ".join(parts)


def check(operations: Iterable[Operation]) -> list[str]:
    return Checker(operations).check()


def read_of(seen: dict[str, Seen], names: Iterable[str]) -> dict[str, Seen]:
    """What a scan says of keys that it could have found."""
    return {name: seen.get(name, ABSENT) for name in names}


if __name__ == "__main__":
    found = check(load(Path(sys.argv[1])))
    print("\n".join(found) or "nothing is wrong")
    sys.exit(1 if found else 0)
