"""Have the system begin to write what waits in memory, so that the sync at the end of a large file finds little."""

from __future__ import annotations

import ctypes
import sys

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE: begin to write dirty pages, and wait for none of them."""


def _found() -> ctypes._FuncPointer | None:
    if sys.platform != "linux":
        return None  # elsewhere the sync at the end does it all
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return call


_sync_file_range = _found()


def begin_write_back(file: int) -> None:
    """Begin to write the open file `file`. Only a hint: it promises nothing and never fails."""
    if _sync_file_range is not None:
        _sync_file_range(file, 0, 0, _WRITE)
