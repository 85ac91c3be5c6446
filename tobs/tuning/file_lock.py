"""The lock of a journal file that several processes write to, and what a killed one of them leaves undone."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from optuna.storages.journal import JournalFileOpenLock

if TYPE_CHECKING:
    from pathlib import Path

GUARD, LOCK = ".guard", ".lock"
"""Ends of the names of the two files beside a journal: the system's lock, and Optuna's."""


class JournalLock(JournalFileOpenLock):
    """Optuna's lock file, which other programs respect, taken under a lock of the operating system.

    The system lets go when a holder dies. So whoever has its lock knows that a lock file which bears the mark of a
    process of TOBS on this machine is a dead one's, and removes it at once. One of somebody else, or on another
    machine, has half a minute, as with Optuna. Where the system has no such lock, Optuna's stands alone.

    Who holds both mends the file: half a line at its end is a dead writer's, since no other one can be at it.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(str(file))
        self._file = file
        self._guard = file.with_name(file.name + GUARD)
        self._marked = file.with_name(file.name + LOCK)
        self._mark = f"tobs on {socket.gethostname()}"
        self._inner = JournalFileOpenLock(str(file))
        self._handle = -1

    def acquire(self) -> bool:
        """Wait for the lock, take it, and mend the file."""
        self._handle = os.open(self._guard, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if _taken(self._handle) and _text(self._marked) == self._mark:
                self._marked.unlink(missing_ok=True)
            self._inner.acquire()
            self._marked.write_text(self._mark, encoding="utf-8")
            _mend(self._file)
        except BaseException:
            self._close()
            raise
        return True

    def release(self) -> None:
        """Let go of both."""
        try:
            self._inner.release()
        finally:
            self._close()

    def _close(self) -> None:
        os.close(self._handle)
        self._handle = -1


if sys.platform == "win32":

    def _taken(_: int) -> bool:
        return False

else:
    import fcntl

    def _taken(handle: int) -> bool:
        """Wait for the system's lock; False where there is none, as on some network file systems."""
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            return True
        return False


def _text(file: Path) -> str:
    with suppress(OSError, ValueError):
        return file.read_text(encoding="utf-8")
    return ""


def _mend(file: Path) -> None:
    """Undo half a line at the end."""
    with suppress(FileNotFoundError), file.open("r+b") as journal:
        size = journal.seek(0, os.SEEK_END)
        if not size:
            return
        journal.seek(-1, os.SEEK_END)
        if journal.read() != b"\n":
            journal.seek(0)
            journal.truncate(journal.read().rfind(b"\n") + 1)
