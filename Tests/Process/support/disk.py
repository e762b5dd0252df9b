"""A small file system of its own: an ext4 image, mounted through a loop device. Needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoLoopDevice(Exception):
    """This machine does not let us mount an image."""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoLoopDevice(f"{' '.join(command)}: {done.stderr.strip()}")


@contextmanager
def small_disk(directory: Path, size: int) -> Iterator[Path]:
    """A file system of about `size` bytes under `directory`, gone at the end."""
    if os.geteuid() != 0:
        raise NoLoopDevice("mounting needs root")
    image, mount_point = directory / "disk.img", directory / "disk"
    mount_point.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    _run("mount", "-o", "loop", str(image), str(mount_point))
    try:
        yield mount_point
    finally:
        subprocess.run(["umount", "--lazy", str(mount_point)], check=True)
        image.unlink()


def free_bytes(path: Path) -> int:
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def occupy(path: Path, *, leaving: int) -> None:
    """A file that takes all space but `leaving` bytes."""
    with path.open("wb") as file:
        while (missing := free_bytes(path.parent) - leaving) > 0:
            step = min(missing, 8 << 20)
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
            except OSError:
                # What the file system needs for itself.
                if step < 64 << 10:
                    return
                file.write(b"\0" * (step // 2))
