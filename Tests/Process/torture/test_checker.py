"""The checker on histories that are right, and on the same with each kind of mistake in them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import pytest

from torture.checker import check
from torture.history import ABSENT, Operation, Outcome, Seen

A, B = "a", "b"


def put(began: float, ended: float, value: str, version: int, key: str = A, **fields: object) -> Operation:
    return Operation("w", "put", began, ended, Outcome.DONE, effects={key: value}, version=version, **fields)


def delete(began: float, ended: float, version: int, key: str = A, **fields: object) -> Operation:
    return Operation("w", "delete", began, ended, Outcome.DONE, effects={key: None}, version=version, **fields)


def lost(began: float, **effects: str | None) -> Operation:
    """A write without an answer."""
    return Operation("w", "write", began, effects=dict(effects))


def get(began: float, ended: float, value: str | None, version: int, key: str = A, **fields: object) -> Operation:
    fields.setdefault("is_consistent", True)
    return Operation("r", "get", began, ended, Outcome.DONE, seen={key: (value, version)}, **fields)


def scan(began: float, ended: float, version: int, seen: dict[str, Seen], **fields: object) -> Operation:
    fields.setdefault("is_consistent", True)
    return Operation(
        "r", "scan", began, ended, Outcome.DONE, version=version, seen={A: ABSENT, B: ABSENT} | seen, **fields
    )


def failed(began: float, ended: float, value: str, expected: int, found: int, key: str = A) -> Operation:
    return Operation(
        "w", "put", began, ended, Outcome.FAILED,
        effects={key: value}, conditions={key: expected}, seen={key: (None, found)},
    )  # fmt: skip


def right(*operations: Operation) -> None:
    assert check(operations) == []


def wrong(what: str, *operations: Operation) -> None:
    found = check(operations)
    assert found, "the checker noticed nothing"
    assert any(what in each for each in found), found


def test_what_was_acknowledged_is_read() -> None:
    right(put(1, 2, "x", 10), get(3, 4, "x", 10), put(5, 6, "y", 20), get(7, 8, "y", 20))
    wrong("was due", put(1, 2, "x", 10), put(3, 4, "y", 20), get(5, 6, "x", 10))
    wrong("nobody has deleted", put(1, 2, "x", 10), get(3, 4, None, 0))


def test_what_happens_at_the_same_time_may_be_read_or_not() -> None:
    right(put(1, 2, "x", 10), put(3, 9, "y", 20), get(4, 5, "x", 10), get(6, 7, "y", 20))
    wrong("was due", put(1, 2, "x", 10), put(3, 9, "y", 20), get(4, 5, "y", 20), get(6, 7, "x", 10))


def test_a_value_that_nobody_wrote() -> None:
    wrong("nobody wrote", put(1, 2, "x", 10), get(3, 4, "z", 10))
    wrong("nobody wrote", put(1, 2, "x", 10, key=B), get(3, 4, "x", 10, key=A))


def test_a_value_from_the_future() -> None:
    wrong("before it began", get(1, 2, "x", 10), put(3, 4, "x", 10))


def test_two_versions_of_one_write() -> None:
    wrong("elsewhere", put(1, 2, "x", 10), get(3, 4, "x", 11))
    wrong("elsewhere", lost(1, a="x"), get(3, 4, "x", 11), get(5, 6, "x", 12))


def test_two_writes_with_one_version() -> None:
    wrong("two writes", put(1, 3, "x", 10), put(2, 4, "y", 10))


def test_versions_against_the_order_of_events() -> None:
    wrong("began after", put(1, 2, "x", 20), put(3, 4, "y", 10))
    wrong("began after", put(1, 2, "x", 20), lost(3, a="y"), get(3, 9, "y", 10))


def test_a_write_of_unknown_outcome_takes_effect_late_or_never() -> None:
    unknown = lost(1, a="y")
    right(unknown, put(2, 3, "x", 10), get(4, 5, "x", 10))
    right(unknown, put(2, 3, "x", 10), get(4, 5, "x", 10), get(6, 7, "y", 20), get(8, 9, "y", 20))
    wrong("was due", unknown, put(2, 3, "x", 10), get(6, 7, "y", 20), get(8, 9, "x", 10))


def test_a_write_that_was_refused_is_not_there() -> None:
    refused = Operation("w", "put", 1, 2, Outcome.REFUSED, effects={A: "x"})
    right(refused, get(3, 4, None, 0))
    wrong("did not take effect", refused, get(3, 4, "x", 10))
    wrong("did not take effect", failed(1, 2, "x", 5, 0), get(3, 4, "x", 10))


def test_deletes() -> None:
    right(put(1, 2, "x", 10), delete(3, 4, 20), get(5, 6, None, 0), put(7, 8, "y", 30), get(9, 10, "y", 30))
    wrong("was due", put(1, 2, "x", 10), delete(3, 4, 20), get(5, 6, "x", 10))
    wrong("nobody has deleted", put(1, 2, "x", 10), delete(3, 4, 20), put(5, 6, "y", 30), get(7, 8, None, 0))
    wrong("that of a delete", put(1, 2, "x", 10), delete(3, 4, 20), failed(5, 6, "y", 10, 20))


def test_deletes_of_unknown_outcome() -> None:
    unknown = lost(3, a=None)
    right(put(1, 2, "x", 10), unknown, get(5, 6, "x", 10), get(7, 8, None, 0))
    wrong("had been deleted", put(1, 2, "x", 10), unknown, get(5, 6, None, 0), get(7, 8, "x", 10))
    wrong("nobody has deleted", put(1, 2, "x", 10), get(1.5, 2.5, None, 0), get(3, 4, "x", 10), get(5, 6, None, 0))


def test_a_delete_that_found_nothing() -> None:
    missing = Operation("w", "delete", 5, 6, Outcome.DONE, effects={A: None}, missing=[A])
    right(missing)
    right(put(1, 2, "x", 10), delete(3, 4, 20), missing)
    wrong("nobody has deleted", put(1, 2, "x", 10), missing)


def test_conditions() -> None:
    right(put(1, 2, "x", 10), put(3, 4, "y", 20, conditions={A: 10}), failed(5, 6, "z", 10, 20))
    right(put(1, 2, "x", 10, conditions={A: 0}), delete(3, 4, 20), put(5, 6, "y", 30, conditions={A: 0}))
    wrong("lies between", put(1, 2, "x", 10), put(2, 9, "y", 20), put(3, 9, "z", 30, conditions={A: 10}))
    wrong("was there", put(1, 2, "x", 10), put(3, 4, "y", 20, conditions={A: 0}))
    wrong("nobody wrote", put(1, 2, "x", 10), put(3, 4, "y", 20, conditions={A: 15}))
    wrong("was due", put(1, 2, "x", 10), put(3, 4, "y", 20), failed(5, 6, "z", 5, 10))
    wrong("nobody wrote", put(1, 2, "x", 10), failed(5, 6, "z", 5, 15))
    wrong("nobody has deleted", put(1, 2, "x", 10), failed(5, 6, "z", 5, 0))


def test_what_a_write_met() -> None:
    right(put(1, 2, "x", 10), put(3, 4, "y", 20, seen={A: ("x", 10)}))
    wrong("lies between", put(1, 2, "x", 10), put(2, 9, "y", 20), put(3, 9, "z", 30, seen={A: ("x", 10)}))
    wrong("was there", put(1, 2, "x", 10), put(3, 4, "y", 20, seen={A: ABSENT}))
    wrong("elsewhere", put(1, 2, "x", 10), put(3, 4, "y", 20, seen={A: ("x", 11)}))


def test_batches_are_whole() -> None:
    batch = Operation("w", "batch", 1, 2, Outcome.DONE, effects={A: "x", B: "y"}, version=10)
    right(batch, get(3, 4, "x", 10), get(3, 4, "y", 10, key=B))
    wrong("was due", put(0, 1, "w", 5, key=B), batch, get(3, 4, "w", 5, key=B))
    torn = lost(1, a="x", b="y")
    right(torn, get(3, 4, "x", 10), get(5, 6, "y", 10, key=B))
    wrong("elsewhere", torn, get(3, 4, "x", 10), get(5, 6, "y", 11, key=B))
    wrong("is the one at this place", torn, scan(3, 4, 20, {A: ("x", 10)}))


def test_weak_reads() -> None:
    history = [put(1, 2, "x", 10), put(3, 4, "y", 20)]
    right(*history, get(5, 6, "x", 10, is_consistent=False), get(5, 6, None, 0, is_consistent=False, staleness=9.0))
    right(*history, get(5, 6, "y", 20, is_consistent=False, min_version=20))
    right(*history, get(5, 6, "x", 10, is_consistent=False, staleness=2.0))
    wrong("was due", *history, get(5, 6, "x", 10, is_consistent=False, min_version=20))
    wrong("was due", *history, get(5, 6, "x", 10, is_consistent=False, staleness=0.5))
    wrong("nobody has deleted", *history, get(5, 6, None, 0, is_consistent=False, min_version=15))
    wrong("nobody wrote", *history, get(5, 6, "z", 30, is_consistent=False))
    # What somebody has seen, others find from then on.
    wrong("was due", *history[:1], lost(3, a="y"), get(5, 6, "y", 20, is_consistent=False), get(7, 8, "x", 10))


def test_scans() -> None:
    history = [put(1, 2, "x", 10), put(3, 4, "y", 20, key=B), put(5, 9, "z", 30)]
    right(*history, scan(6, 7, 25, {A: ("x", 10), B: ("y", 20)}), scan(6, 7, 35, {A: ("z", 30), B: ("y", 20)}))
    right(*history, scan(6, 7, 15, {A: ("x", 10)}, is_consistent=False))
    wrong("was due", *history, scan(6, 7, 15, {A: ("x", 10)}))
    wrong("was due", *history, scan(6, 7, 15, {A: ("x", 10)}, is_consistent=False, min_version=20))
    wrong("was due", *history, scan(6, 7, 15, {A: ("x", 10)}, is_consistent=False, staleness=1.0))
    wrong("at this place", *history, scan(6, 7, 25, {A: ("z", 30), B: ("y", 20)}))
    wrong("at this place", *history, scan(6, 7, 35, {A: ("x", 10), B: ("y", 20)}))
    wrong("at this place", *history, scan(6, 7, 25, {A: ("x", 10)}))
    wrong("at this place", *history, delete(10, 11, 40), scan(12, 13, 45, {A: ("z", 30), B: ("y", 20)}))
    right(*history, lost(6, b=None), scan(6, 7, 25, {A: ("x", 10)}))
    wrong("was due", *history, scan(6, 7, 35, {A: ("z", 30), B: ("y", 20)}), get(8, 8.5, "x", 10))


class Fake:
    """A database in one place: each operation takes effect at one moment between its beginning and its end."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.contents: dict[str, Seen] = {}
        self.version = 0
        self.values = 0

    def make(self, count: int) -> list[Operation]:
        moments = sorted((self.chance.random() * count / 4, number) for number in range(count))
        return [self.operation(moment) for moment, _ in moments]

    def operation(self, moment: float) -> Operation:
        key = self.chance.choice([A, B])
        spans = [self.chance.random() * 2 for _ in range(2)]
        operation = Operation("f", "?", moment - spans[0], moment + spans[1], Outcome.DONE)
        operation.kind = self.chance.choice(["put", "put", "delete", "batch", "get", "get", "scan", "condition"])
        self.version += 10
        found = self.contents.get(key, ABSENT)
        match operation.kind:
            case "get":
                operation.seen, operation.is_consistent = {key: found}, True
            case "scan":
                operation.seen, operation.is_consistent = {A: ABSENT, B: ABSENT} | self.contents, True
                operation.version = self.version
            case "delete" if found == ABSENT:
                operation.effects, operation.missing = {key: None}, [key]
            case "condition" if self.chance.random() < 0.5:
                self.values += 1
                operation.effects, operation.conditions = {key: f"{self.values}"}, {key: self.version + 1}
                operation.outcome, operation.seen = Outcome.FAILED, {key: (None, found[1])}
            case _:
                self.write(operation, key, found)
        return operation

    def write(self, operation: Operation, key: str, found: Seen) -> None:
        if operation.kind == "delete":
            operation.effects = {key: None}
        else:
            for name in [A, B] if operation.kind == "batch" else [key]:
                self.values += 1
                operation.effects[name] = f"{self.values}"
        if operation.kind == "condition":
            operation.conditions = {key: found[1]}
        operation.version = self.version
        for name, value in operation.effects.items():
            self.contents[name] = (value, self.version)
            if value is None:
                del self.contents[name]
        if self.chance.random() < 0.2:
            operation.outcome, operation.version, operation.ended = Outcome.UNKNOWN, 0, float("inf")


@pytest.mark.parametrize("seed", range(40))
def test_histories_of_a_database_that_is_right(seed: int) -> None:
    right(*Fake(seed).make(200))


def acknowledged(history: list[Operation]) -> list[Operation]:
    return [each for each in history if each.is_write and each.version and not each.missing]


def shows_something(history: list[Operation]) -> list[Operation]:
    return [each for each in history if not each.is_write and any(version for _, version in each.seen.values())]


def lose_a_write(history: list[Operation], chance: random.Random) -> None:
    """The database forgets what it has acknowledged: what others have seen of it comes from nowhere."""
    seen = {value for each in history for value, _ in each.seen.values()}
    candidates = [each for each in acknowledged(history) if seen & set(each.effects.values()) - {None}]
    chance.choice(candidates).outcome = Outcome.REFUSED


def show_another_version(history: list[Operation], chance: random.Random) -> None:
    """Of a write that was acknowledged: of others, one reader alone may be right."""
    known = {value for each in acknowledged(history) for value in each.effects.values()} | {None}
    candidates = [each for each in shows_something(history) if {value for value, _ in each.seen.values()} <= known]
    victim = chance.choice(candidates)
    victim.seen = {key: (value, version + 1 if version else 0) for key, (value, version) in victim.seen.items()}


def show_nothing(history: list[Operation], chance: random.Random) -> None:
    """A scan, as single reads may be covered by a delete of unknown outcome."""
    for each in history:
        for key in [key for key, value in each.effects.items() if value is None and each.outcome == Outcome.UNKNOWN]:
            del each.effects[key]
    victim = chance.choice([each for each in shows_something(history) if each.is_scan])
    victim.seen = dict.fromkeys(victim.seen, ABSENT)


def swap_versions(history: list[Operation], chance: random.Random) -> None:
    """Two writes to one key, one after the other, in the wrong order."""
    writes = [each for each in acknowledged(history) if A in each.effects]
    one, other = chance.choice([(a, b) for a in writes for b in writes if a.ended < b.began])
    one.version, other.version = other.version, one.version


def read_the_past(history: list[Operation], chance: random.Random) -> None:
    """A read is moved behind everything, where something newer is due."""
    newest = max(each.version for each in acknowledged(history) if A in each.effects)
    old = [each for each in shows_something(history) if each.kind == "get" and 0 < each.seen.get(A, ABSENT)[1] < newest]
    victim = chance.choice(old)
    victim.began, victim.ended = 1e6, 1e6 + 1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "damage",
    [lose_a_write, show_another_version, show_nothing, swap_versions, read_the_past],
    ids=lambda each: each.__name__,
)
def test_a_damaged_history_is_noticed(damage: Callable[[list[Operation], random.Random], None], seed: int) -> None:
    history = copy.deepcopy(Fake(seed).make(200))
    damage(history, random.Random(seed))
    assert check(history), "the checker noticed nothing"
