"""Turns what SQLite and the file system raise into `ArchiveError`s that say what to do."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tobs.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT}) if hasattr(errno, "EDQUOT") else frozenset({errno.ENOSPC})


@contextmanager
def guard(folder: Path) -> Iterator[None]:
    """Translate `sqlite3.Error` and `OSError` raised inside into `ArchiveError` about `folder`."""
    try:
        yield
    except sqlite3.Error as fault:
        raise _from_sqlite(fault, folder) from fault
    except OSError as fault:
        raise _from_system(fault, folder) from fault


def full(folder: Path) -> ArchiveError:
    """The error for a disk without space."""
    return ArchiveError(
        f"no space is left for {folder}",
        hint="Free some space and run the same command again: it goes on where it stopped.",
    )


def _from_system(fault: OSError, folder: Path) -> ArchiveError:
    if fault.errno in _FULL:
        return full(folder)
    what = fault.strerror or str(fault)
    return ArchiveError(
        f"{fault.filename or folder}: {what}",
        hint="Check that the folder exists, is yours and can be written to, or choose another with -o.",
    )


def _from_sqlite(fault: sqlite3.Error, folder: Path) -> ArchiveError:
    text = str(fault)
    path = folder / "tobs.sqlite"
    if "disk is full" in text:
        return full(folder)
    if "not a database" in text or "malformed" in text or "disk I/O error" in text:
        return ArchiveError(
            f"{path} is damaged: {text}",
            hint=(
                "Restore it from a backup, or rescue what is in it with `sqlite3 tobs.sqlite .recover`, "
                "or export into a new folder with -o. The files in media/ are whole."
            ),
        )
    if "locked" in text or "busy" in text:
        return ArchiveError(
            f"{path} is held by another program: {text}",
            hint="Close what has it open for writing (a database browser?) and run the command again.",
        )
    if "unable to open" in text or "readonly" in text:
        return ArchiveError(
            f"{path} cannot be opened for this: {text}",
            hint="Check that the folder exists, is yours and can be written to, or choose another with -o.",
        )
    return ArchiveError(f"{path}: {text}", hint="Nothing of this step was kept; the archive is as it was before.")
