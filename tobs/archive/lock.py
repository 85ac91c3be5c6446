"""One writer at a time: `tobs.lock` is held with a lock of the operating system and names its holder.

The system lets go when the holder ends in whatever way: a lock file that is left behind is in nobody's way.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tobs.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "tobs.lock"
_HELD = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK, getattr(errno, "EDEADLOCK", errno.EDEADLK)})
"""How the systems say that somebody has the lock; anything else (a disk that knows no locks) is another trouble."""
_FAR = 1 << 30
"""Windows locks bytes and then refuses to read them, so the locked byte lies far behind the text."""

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)

else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """The right to write into an archive folder, from construction to `release`."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises `ArchiveError` naming the holder where somebody has it, `OSError` for what the system refuses.
        """
        self._path = folder / FILE
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(self._handle)
        except OSError as fault:
            os.close(self._handle)
            if fault.errno not in _HELD:
                raise
            raise ArchiveError(
                f"{folder} is being written to by {_holder(self._path)}",
                hint="Wait until that export has ended, or stop it; or use another folder (-o).",
            ) from fault
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(self._handle, 0)
        os.write(self._handle, json.dumps(facts).encode())

    @property
    def held(self) -> bool:
        """Whether the right is still ours."""
        return self._handle >= 0

    def release(self) -> None:
        """Let go. The file stays, empty: removing it could take it from under the next holder."""
        if self._handle >= 0:
            with suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        facts = json.loads(path.read_text())
        return f"process {facts['pid']} on {facts['host']} since {facts['since']}"
    return "another process"
