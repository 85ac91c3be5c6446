"""System calls of Linux that Python does not offer; elsewhere they say that they are not there."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from typing import Any

KEEP_SIZE = 1
"""`FALLOC_FL_KEEP_SIZE`: space is taken, and the file is not longer for it (fallocate(2))."""
START_WRITING = 2
"""`SYNC_FILE_RANGE_WRITE`: begin to write out, and do not wait (sync_file_range(2))."""
REPORTS_FAULTS = (5, 8)
"""Linux since which syncfs(2) reports that bytes could not be written."""
DIRECT: int = getattr(os, "O_DIRECT", 0) if sys.platform == "linux" else 0
"""The flag with which a file is opened to be written past the page cache; 0 where there is none."""
_NOT_HERE = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


@cache
def _libc() -> Any:
    """The C library, or None where its calls are not those of 64-bit Linux."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) < ctypes.sizeof(ctypes.c_int64):
        return None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
        libc.syncfs.argtypes = (ctypes.c_int,)
    except (OSError, AttributeError):
        return None
    return libc


@cache
def _syncs() -> bool:
    release = os.uname().release.split("-")[0].split(".") if _libc() is not None else []
    numbers = tuple(int(piece) for piece in release[:2] if piece.isdigit())
    return numbers >= REPORTS_FAULTS


def allocate(fd: int, size: int) -> bool:
    """Take the space that a file of `size` bytes will need; whether the file system does that.

    Raises `OSError` where it is not to be had: a full disk.
    """
    libc = _libc()
    if libc is None:
        return False
    while libc.fallocate(fd, KEEP_SIZE, 0, size) != 0:
        code = ctypes.get_errno()
        if code in _NOT_HERE:
            return False
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
    return True


def sync_filesystem(fd: int) -> bool:
    """Sync everything on the file system that holds `fd`; whether that is done, and any fault would have been told.

    Raises `OSError`.
    """
    if not _syncs():
        return False
    if _libc().syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return True


def start_writing(fd: int, offset: int, size: int) -> None:
    """Have the system begin to write a range out, so that less is left for the sync. Only a hint: nothing is raised."""
    libc = _libc()
    if libc is not None:
        libc.sync_file_range(fd, offset, size, START_WRITING)
