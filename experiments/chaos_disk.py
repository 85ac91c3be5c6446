"""A small disk of its own for each chaotic run, where this user may mount one."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DISK = 64
"""MB of the disk that a run has."""


def fill(filler: Path) -> None:
    """Take all space that is left."""
    block = bytes(1 << 16)
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(block) == len(block):
            pass


@contextmanager
def mounted(disk: Path, *, mounts: bool) -> Iterator[None]:
    """A disk of its own, if that may be."""
    disk.mkdir()
    if not mounts:
        yield
        return
    mount(disk)
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=False, capture_output=True)


def mount(disk: Path) -> bool:
    """Mount a small tmpfs; whether this user may."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", str(disk)]
    try:
        return subprocess.run(words, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def may_mount(folder: Path) -> bool:
    """Whether this user may mount."""
    disk = folder / "probe"
    disk.mkdir()
    found = mount(disk)
    if found:
        subprocess.run(["umount", str(disk)], check=False, capture_output=True)
    return found
