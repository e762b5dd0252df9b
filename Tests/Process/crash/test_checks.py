"""The checks of the crash test can fail: each way in which a database may break its word is noticed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from crash.main import run
from crash.model import Contents, Item, Violation
from crash.workload import Knowledge, Writer, check_counter

OLD, NEW = b"old", b"new"


def item(*keys: bytes, version: int = 10) -> Item:
    """Written with OLD at a version."""
    written = Item(list(keys))
    written.begin(b"1", dict.fromkeys(keys, OLD), known=0)
    written.acknowledge(version)
    return written


def under_way(*keys: bytes) -> Item:
    """As `item`, and a write of NEW has not been answered."""
    written = item(*keys)
    written.begin(b"2", dict.fromkeys(keys, NEW), known=15)
    return written


def test_what_was_acknowledged_must_be_there() -> None:
    item(b"k").observe({b"k": (OLD, 10)})
    for contents in ({}, {b"k": (NEW, 10)}, {b"k": (OLD, 9)}, {b"k": (OLD, 11)}):
        with pytest.raises(Violation):
            item(b"k").observe(contents)


def test_a_delete_that_was_acknowledged_must_hold() -> None:
    written = item(b"k")
    written.begin(b"2", {b"k": None}, known=10)
    written.acknowledge(12)
    written.observe({})
    with pytest.raises(Violation):
        written.observe({b"k": (OLD, 10)})


def test_an_unanswered_write_is_there_or_not() -> None:
    under_way(b"k").observe({b"k": (OLD, 10)})
    under_way(b"k").observe({b"k": (NEW, 16)})
    for contents in ({}, {b"k": (b"other", 16)}, {b"k": (NEW, 15)}, {b"k": (NEW, 10)}):
        with pytest.raises(Violation):
            under_way(b"k").observe(contents)


def test_once_there_it_stays() -> None:
    written = under_way(b"k")
    written.observe({b"k": (NEW, 16)})
    for contents in ({b"k": (OLD, 10)}, {b"k": (NEW, 17)}, {}):
        with pytest.raises(Violation):
            written.observe(contents)


def test_a_torn_batch() -> None:
    torn: list[Contents] = [
        {b"a": (NEW, 16), b"b": (OLD, 10)},
        {b"a": (OLD, 10), b"b": (NEW, 16)},
        {b"a": (NEW, 16)},
        {b"a": (NEW, 16), b"b": (NEW, 17)},
    ]
    for contents in torn:
        with pytest.raises(Violation):
            under_way(b"a", b"b").observe(contents)
    under_way(b"a", b"b").observe({b"a": (NEW, 16), b"b": (NEW, 16)})


def test_a_retry_that_takes_effect_twice() -> None:
    written = under_way(b"k")
    written.observe({b"k": (NEW, 16)})
    with pytest.raises(Violation):
        written.acknowledge(17)


@pytest.mark.parametrize("version", [0, 10, 15])
def test_a_version_that_goes_back(version: int) -> None:
    with pytest.raises(Violation):
        under_way(b"k").acknowledge(version)


def test_a_write_that_nobody_asks_for_again() -> None:
    for contents, value in (({b"k": (OLD, 10)}, OLD), ({b"k": (NEW, 16)}, NEW)):
        written = under_way(b"k")
        written.settle(contents)
        assert written.pending is None and written.values == {b"k": value}
        written.observe(contents)


def test_a_counter_that_lost_an_increment_or_counted_twice() -> None:
    writers = [Writer(f"w{number}", "seed", Knowledge()) for number in range(2)]
    writers[0].increments, writers[1].increments = [1, 3], [2]
    check_counter(writers, {b"counter": (b"3", 9)})
    for value in (b"2", b"4", b"0"):
        with pytest.raises(Violation):
            check_counter(writers, {b"counter": (value, 9)})
    writers[1].increment = (b"id", 4, 9)
    check_counter(writers, {b"counter": (b"4", 10)})
    writers[1].increments = [2, 3]
    with pytest.raises(Violation):
        check_counter(writers, {b"counter": (b"3", 9)})


def test_a_database_that_forgets_everything_is_caught(tmp_path: Path) -> None:
    """A real server, and a disk that loses all: the whole chain notices."""
    with pytest.raises(Violation, match="acknowledged"):
        asyncio.run(run(rounds=1, seed=1, directory=tmp_path, sabotage_round=0))
