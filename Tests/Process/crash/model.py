"""What clients know about the state of the database, and what that allows a reader to see.

Each item has one writer, which makes one write at a time. So at any moment the item is as the last acknowledged write
left it, or as the one write whose answer did not come would leave it: nothing else is right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


class Violation(Exception):
    """The database broke its word."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise Violation(what)


# What a reader sees: for each key its value and version. Keys that are absent are not in it.
Contents = dict[bytes, tuple[bytes, int]]
# What a write leaves: for each key its value, None where it is deleted.
Effect = dict[bytes, bytes | None]


@dataclass
class Pending:
    """A write that was sent and whose outcome is not known."""

    request_id: bytes
    effect: Effect
    # The highest version that was known when the write was sent first.
    known: int
    # The version it took effect with, once somebody has seen that it did.
    seen: int | None = None


@dataclass
class Item:
    """Keys that are written together: one key, or those of a batch."""

    keys: list[bytes]
    values: Effect = field(default_factory=dict)
    # Of the last write that is known to have happened; 0: none.
    version: int = 0
    pending: Pending | None = None
    acknowledged: int = 0
    recovered: int = 0

    def __post_init__(self) -> None:
        self.values = dict.fromkeys(self.keys)

    def begin(self, request_id: bytes, effect: Effect, known: int) -> None:
        assert self.pending is None, "one write at a time"
        assert set(effect) == set(self.keys)
        self.pending = Pending(request_id, effect, known)

    def acknowledge(self, version: int) -> None:
        """The answer of the pending write has come: it took effect with this version."""
        pending = self._take()
        require(
            version > pending.known,
            f"{self.keys[0]!r}: written with version {version} although {pending.known} was there before",
        )
        if pending.seen is None:
            require(version > self.version, f"{self.keys[0]!r}: version {version} after {self.version}")
        else:
            require(
                version == pending.seen,
                f"{self.keys[0]!r}: a retry answered version {version}, but it had taken effect with {pending.seen}",
            )
        self.values, self.version = pending.effect, version
        self.acknowledged += 1

    def abandon(self) -> None:
        """Nobody will ask again what became of the pending write; the next look at the state decides."""
        self._take()

    def observe(self, contents: Contents) -> None:
        """Compares with what a reader has seen after a restart, while nobody writes."""
        if self._shows(contents, self.values, self._is_version):
            require(
                self.pending is None or self.pending.seen is None,
                f"{self.keys[0]!r}: a write that had taken effect is gone again",
            )
            return
        pending = self.pending
        require(pending is not None, self._difference(contents))
        assert pending is not None
        require(
            self._shows(contents, pending.effect, lambda version: version > pending.known), self._difference(contents)
        )
        versions = {contents[key][1] for key in self.keys if key in contents}
        require(len(versions) <= 1, f"{self.keys[0]!r}: one write has the versions {versions}")
        if versions:
            (version,) = versions
            require(pending.seen in (None, version), f"{self.keys[0]!r}: version {version} was {pending.seen} before")
            if pending.seen is None:
                self.recovered += 1
            pending.seen = version

    def settle(self, contents: Contents) -> None:
        """As `observe`, and what a pending write has come to is final: its writer does not retry."""
        self.observe(contents)
        pending = self.pending
        if pending is None:
            return
        applied = not self._shows(contents, self.values, self._is_version)
        self.abandon()
        if applied:
            self.values = pending.effect
            self.version = pending.seen or self.version

    def _take(self) -> Pending:
        assert self.pending is not None, "no write is pending"
        pending, self.pending = self.pending, None
        return pending

    def _is_version(self, version: int) -> bool:
        return version == self.version

    def _shows(self, contents: Contents, values: Effect, fits: Callable[[int], bool]) -> bool:
        for key in self.keys:
            found, expected = contents.get(key), values[key]
            if (found is None) != (expected is None):
                return False
            if found is not None and (found[0] != expected or not fits(found[1])):
                return False
        return True

    def _difference(self, contents: Contents) -> str:
        def text(value: bytes | None) -> str:
            return "absent" if value is None else f"{value[:40]!r} ({len(value)} bytes)"

        lines = [f"item {self.keys[0]!r}, acknowledged at version {self.version}:"]
        for key in self.keys:
            value, version = contents.get(key, (None, 0))
            lines.append(f"  {key!r}: {text(value)} at {version}; acknowledged was {text(self.values[key])}")
            if self.pending:
                lines.append(f"    under way (known {self.pending.known}): {text(self.pending.effect[key])}")
        return "\n".join(lines)
