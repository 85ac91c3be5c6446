"""Free space of the disk that holds, or will hold, an archive."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tobs.archive.faults import guard
from tobs.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

MARGIN = 50_000_000
"""Bytes that stay free whatever is exported: the database's log, and the rest of the machine."""
SHARE = 0.02
"""Share of the need that comes on top of it: file systems round up, rows and indexes take their place."""


def free_space(folder: Path) -> int:
    """Bytes that may still be written to the disk of `folder`, which need not exist yet."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    with guard(folder):
        return shutil.disk_usage(place).free


def require_space(folder: Path, need: int) -> None:
    """Raise `ArchiveError` unless `need` bytes and a margin fit onto the disk of `folder`."""
    free = free_space(folder)
    wanted = need + round(need * SHARE) + MARGIN
    if free < wanted:
        raise ArchiveError(
            f"{folder} needs {_say(wanted)} (with a margin of 50 MB + 2 %), and {_say(free)} are free",
            hint=f"Free {_say(wanted - free)}, or choose a folder on another disk with -o.",
        )


def _say(size: int) -> str:
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
