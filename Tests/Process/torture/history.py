"""What clients did and what they were told."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    DONE = "done"
    # A condition did not hold: nothing was changed, and `seen` says what was there instead.
    FAILED = "failed"
    # Nothing was changed, as the database says, or nothing was read.
    REFUSED = "refused"
    # It may take effect at any later time, or never.
    UNKNOWN = "unknown"


# The value and version of a key; (None, 0) where it is absent.
Seen = tuple[str | None, int]
ABSENT: Seen = (None, 0)


@dataclass
class Operation:
    """Times are seconds of one monotonic clock. Every value that is written is written once only."""

    client: str
    # For people; the fields below say what it is.
    kind: str
    began: float
    ended: float = math.inf
    outcome: Outcome = Outcome.UNKNOWN
    error: str = ""

    # Of a write: what it leaves, None where it deletes; all of it at one version.
    effects: dict[str, str | None] = field(default_factory=dict)
    # The version that a key must have, 0 if it must be absent.
    conditions: dict[str, int] = field(default_factory=dict)
    # Keys that were to be deleted, and of which the answer says that there was nothing to delete.
    missing: list[str] = field(default_factory=list)
    # Of a write that took effect, 0 if it changed nothing; of a scan, that of the state that it shows.
    version: int = 0

    # Of a read, a scan (all keys that it could have found), or a condition that failed (versions alone count). Of a
    # write that took effect: what it met.
    seen: dict[str, Seen] = field(default_factory=dict)
    is_consistent: bool = False
    min_version: int = 0
    # Of a weak read: how far it lies behind at most, in seconds, as its receipt says; None where nobody says.
    staleness: float | None = None

    @property
    def is_write(self) -> bool:
        return bool(self.effects)

    @property
    def is_scan(self) -> bool:
        return not self.effects and self.version > 0


def save(operations: Iterable[Operation], path: Path) -> None:
    """As lines of JSON."""
    with path.open("w") as file:
        for operation in operations:
            fields = dataclasses.asdict(operation)
            if math.isinf(operation.ended):
                fields["ended"] = None
            file.write(json.dumps(fields) + "\n")


def load(path: Path) -> list[Operation]:
    return [_from_json(json.loads(line)) for line in path.read_text().splitlines()]


def _from_json(fields: dict[str, Any]) -> Operation:
    fields["ended"] = math.inf if fields["ended"] is None else fields["ended"]
    fields["outcome"] = Outcome(fields["outcome"])
    fields["seen"] = {key: (value, version) for key, (value, version) in fields["seen"].items()}
    return Operation(**fields)
