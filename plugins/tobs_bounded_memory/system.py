"""What the system says of memory and takes back; each call does nothing where the system has no such thing."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STATM = Path("/proc/self/statm")


def resident(statm: Path = STATM) -> int | None:
    """Bytes of this process that are in memory, or None where the system does not say.

    The second number of `statm` of Linux, in pages (https://docs.kernel.org/filesystems/proc.html, table 1-3).
    """
    if sys.platform != "linux":
        return None
    try:
        return int(statm.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _found() -> ctypes._FuncPointer | None:
    if sys.platform != "linux":
        return None
    call = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if call is not None:
        call.argtypes = (ctypes.c_size_t,)
        call.restype = ctypes.c_int
    return call


_malloc_trim = _found()


def trim() -> None:
    """Give what the C library's allocator keeps free back to the system (`malloc_trim(3)`)."""
    if _malloc_trim is not None:
        _malloc_trim(0)


@contextmanager
def database_bounded(size: int) -> Iterator[None]:
    """Have SQLite hold `size` bytes at most, in all connections of the process, as far as it can.

    It then uses pages of its cache again instead of taking more (https://www.sqlite.org/c3ref/hard_heap_limit64.html).
    A lower bound that is set already stays; afterwards the one before holds again.
    """
    with closing(sqlite3.connect(":memory:")) as db:
        found = db.execute("PRAGMA soft_heap_limit").fetchone()
        before = int(found[0]) if found else 0  # a library that was built without it answers nothing
        db.execute(f"PRAGMA soft_heap_limit = {min(before or size, size)}")
        try:
            yield
        finally:
            db.execute(f"PRAGMA soft_heap_limit = {before}")
