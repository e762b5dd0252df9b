"""The files of the log, as far as tests damage them: a header of 4096 bytes, then records of 64 bytes and a body."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import xxhash

HEADER_SIZE = 4096
RECORD_HEADER_SIZE = 64
MAGIC = b"ATLASLOG"


@dataclass
class Record:
    offset: int
    size: int


def segments(data: Path) -> list[Path]:
    """Those of a data directory in order, prepared ones included."""
    return sorted((data / "log").glob("*.log"))


def records(segment: Path) -> list[Record]:
    """Those of a segment that has not been used before: behind the last one there are zeros."""
    content = segment.read_bytes()
    assert content[:8] == MAGIC, "not a log segment"
    found, offset = [], HEADER_SIZE
    while offset + RECORD_HEADER_SIZE <= len(content):
        body = struct.unpack_from("<I", content, offset + 8)[0]
        if content[offset : offset + 8] == bytes(8):
            break
        size = (RECORD_HEADER_SIZE + body + 7) & ~7
        found.append(Record(offset, size))
        offset += size
    return found


def active(data: Path) -> Path:
    """The last segment with records."""
    return [each for each in segments(data) if records(each)][-1]


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def flip(path: Path, offset: int) -> None:
    overwrite(path, offset, bytes([path.read_bytes()[offset] ^ 0x10]))


def set_format(path: Path, version: int) -> None:
    """As a newer version would write it: the number, and a checksum that is right."""
    header = bytearray(path.read_bytes()[:HEADER_SIZE])
    struct.pack_into("<I", header, 8, version)
    struct.pack_into("<Q", header, HEADER_SIZE - 8, xxhash.xxh3_64_intdigest(bytes(header[:-8])))
    overwrite(path, 0, bytes(header))
