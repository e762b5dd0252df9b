"""A server's wall clock, set by the test. The monotonic clock stays the machine's."""

from __future__ import annotations

import functools
import mmap
import struct
import subprocess
import tempfile
from pathlib import Path

from support.server import Server


class WallClock:
    """`WallClock(server)` before the server starts; `set(3600)` puts its clock an hour ahead, running or not."""

    def __init__(self, server: Server) -> None:
        path = server.directory / "wall-clock"
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._offset = mmap.mmap(file.fileno(), 8)
        server.environment = {"LD_PRELOAD": str(_library()), "WALL_CLOCK_FILE": str(path)}

    def set(self, seconds: int) -> None:
        """How far it is ahead; below zero, behind."""
        self._offset[:] = struct.pack("<q", seconds * 1_000)


@functools.cache
def _library() -> Path:
    source = Path(__file__).with_name("wall_clock.c")
    library = Path(tempfile.mkdtemp(prefix="atlas-clock-")) / "wall_clock.so"
    # The compiler is the toolchain's.
    subprocess.run(["clang", "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    return library
