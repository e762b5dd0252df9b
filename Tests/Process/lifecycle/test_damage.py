"""Damaged data: a torn tail is what a crash leaves and is mended; anything else is refused, and said plainly."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support import segments, store
from support.client import Client
from support.server import Server, binary

FAILURE = 4
SMALL = {"storage.log_segment_size": "1MiB", "limits.max_batch_size": "256KiB", "limits.max_value_size": "64KiB"}
StartServer = Callable[..., Server]


def write(server: Server, count: int, size: int = 100, first: int = 0) -> dict[bytes, int]:
    with server.channel() as channel:
        client = Client(channel)
        return {
            b"%06d" % number: client.put(b"%06d" % number, b"%06d" % number * (size // 6)).version
            for number in range(first, first + count)
        }


def contents(server: Server) -> dict[bytes, int]:
    with server.channel() as channel:
        return {item.key: item.version for item in Client(channel).scan()}


@pytest.fixture
def written(start_server: StartServer) -> tuple[Server, dict[bytes, int]]:
    """A server that was killed with a hundred writes in its log."""
    server = start_server()
    versions = write(server, 100)
    server.kill()
    return server, versions


def refuses(server: Server, *words: str) -> str:
    before = fingerprint(server.data / "log")
    status, output = server.start_expecting_refusal()
    assert status == FAILURE, output
    for word in words:
        assert word in output, output
    assert "Fatal error" not in output and "Stack dump" not in output
    assert fingerprint(server.data / "log") == before, "a refused start has changed the log"
    return output


def fingerprint(directory: Path) -> dict[str, int]:
    """The segments with records, and what is in them."""
    return {
        path.name: hash(path.read_bytes())
        for path in segments.segments(directory.parent)
        if path.read_bytes()[: len(segments.MAGIC)] != segments.MAGIC or segments.records(path)
    }


# Torn tails


def test_half_a_record_at_the_end(written: tuple[Server, dict[bytes, int]]) -> None:
    server, versions = written
    segment = segments.active(server.data)
    last = segments.records(segment)[-1]
    content = segment.read_bytes()[last.offset : last.offset + last.size]
    for length in (1, 8, 40, 64, len(content) - 1):
        segments.overwrite(segment, last.offset + last.size, content[:length])
        server.start()
        assert contents(server) == versions
        more = write(server, 1, first=1_000 + length)
        versions |= more
        server.kill()
        segment = segments.active(server.data)
        last = segments.records(segment)[-1]
    server.start()
    assert contents(server) == versions


def test_garbage_behind_the_end(written: tuple[Server, dict[bytes, int]]) -> None:
    server, versions = written
    segment = segments.active(server.data)
    last = segments.records(segment)[-1]
    segments.overwrite(segment, last.offset + last.size, b"\xa5" * 10_000)
    server.start()
    assert contents(server) == versions


# Damage


@pytest.mark.parametrize("part", ["checksum", "length", "body"])
def test_a_flipped_bit_in_the_middle(written: tuple[Server, dict[bytes, int]], part: str) -> None:
    server, versions = written
    segment = segments.active(server.data)
    victim = segments.records(segment)[50]
    at = victim.offset + {"checksum": 0, "length": 8, "body": 64 + 10}[part]
    segments.flip(segment, at)
    output = refuses(server, "segment", segment.name, f"offset {victim.offset}", "log verify")
    assert "durable" in output or "damaged" in output
    # The command that the message names says the same.
    verify = subprocess.run(
        [binary(), "log", "verify", "--data-dir", str(server.data)],
        capture_output=True, text=True, cwd=server.directory, timeout=60,
    )  # fmt: skip
    assert verify.returncode == FAILURE
    assert str(victim.offset) in verify.stdout + verify.stderr
    # What is damaged is damaged; once it is mended (from a copy, say), nothing is lost.
    segments.flip(segment, at)
    server.start()
    assert contents(server) == versions


def test_a_flipped_bit_in_a_header(written: tuple[Server, dict[bytes, int]]) -> None:
    server, _ = written
    segment = segments.active(server.data)
    segments.flip(segment, 16)
    refuses(server, segment.name)


@pytest.fixture
def several(start_server: StartServer) -> Server:
    """Killed with its records in five segments or more."""
    server = start_server(SMALL)
    write(server, 100, size=60_000)
    server.kill()
    assert sum(1 for each in segments.segments(server.data) if segments.records(each)) >= 5
    return server


def test_a_segment_that_is_missing(several: Server) -> None:
    victim = segments.segments(several.data)[2]
    victim.rename(victim.with_suffix(".away"))
    refuses(several, victim.stem.lstrip("0"))


def test_a_segment_that_is_cut_short(several: Server) -> None:
    victim = segments.segments(several.data)[1]
    with victim.open("r+b") as file:
        file.truncate(100_000)
    refuses(several, victim.name)


def test_the_last_segments_are_missing(several: Server) -> None:
    """The one before them says that they were there."""
    used = [each for each in segments.segments(several.data) if segments.records(each)]
    for each in segments.segments(several.data):
        if each >= used[-2]:
            each.unlink()
    refuses(several)


def test_a_log_that_is_missing(written: tuple[Server, dict[bytes, int]]) -> None:
    server, _ = written
    shutil.rmtree(server.data / "log")
    status, output = server.start_expecting_refusal()
    assert status == FAILURE and "log" in output and "missing" in output, output


def test_a_store_that_is_missing(written: tuple[Server, dict[bytes, int]]) -> None:
    server, _ = written
    shutil.rmtree(server.data / "store")
    refuses(server, "store", "missing")


def test_log_and_store_of_different_nodes(start_server: StartServer) -> None:
    one, other = start_server(), start_server()
    write(one, 5), write(other, 5)
    one.kill(), other.kill()
    shutil.rmtree(one.data / "store")
    shutil.copytree(other.data / "store", one.data / "store")
    refuses(one, "different nodes")


def test_a_newer_format(written: tuple[Server, dict[bytes, int]]) -> None:
    server, versions = written
    segment = segments.active(server.data)
    segments.set_format(segment, 99)
    refuses(server, segment.name, "format 99")
    segments.set_format(segment, 2)
    server.start()
    assert contents(server) == versions


def test_a_newer_format_of_the_store(written: tuple[Server, dict[bytes, int]]) -> None:
    server, versions = written
    store.set_format(server.data, 99)
    refuses(server, "format 99", "format 1", "newer version")
    store.set_format(server.data, 1)
    server.start()
    assert contents(server) == versions
