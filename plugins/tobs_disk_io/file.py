"""One file on disk, as threads see it: opened when it is first needed, written in as few calls as possible."""

from __future__ import annotations

import errno
import logging
import mmap
import os
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

from tobs_disk_io import system

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Chunk = tuple[int, bytes]
    """Bytes and the offset they belong at."""

log = logging.getLogger(__name__)
ALIGNMENT = 4096
"""What offsets, lengths and addresses are multiples of past the page cache; 512 would do for some disks."""
PIECES = 1024
"""Most pieces that one call takes (`IOV_MAX` of Linux)."""
_FLAGS = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_REFUSED = frozenset({errno.EINVAL, errno.EOPNOTSUPP})


class Direct:
    """Writing past the page cache: the aligned buffer of each thread, and whether the file system takes part.

    `fallbacks` counts files that were to be written so and were not.
    """

    def __init__(self, buffer: int) -> None:
        """`buffer` is bytes of each thread's buffer."""
        self._size = -(-buffer // ALIGNMENT) * ALIGNMENT
        self._local = threading.local()
        self._lock = threading.Lock()
        self.fallbacks = 0

    def open(self, path: Path) -> int:
        """A second descriptor of a file, or -1 where it cannot be had."""
        if self.fallbacks or not system.DIRECT:
            self.refused("there is no such way here")
            return -1
        try:
            return os.open(path, os.O_WRONLY | system.DIRECT | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self.refused(str(error))
            return -1

    def refused(self, why: str) -> None:
        """Count, and say the first time."""
        with self._lock:
            self.fallbacks += 1
            first = self.fallbacks == 1
        if first:
            log.info("large files are written through the page cache: %s", why)

    def put(self, fd: int, offset: int, pieces: Sequence[memoryview]) -> int:
        """Write as many whole blocks of some adjacent pieces as can be; returns the bytes. Raises `OSError`."""
        buffer = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = mmap.mmap(-1, self._size)
        with memoryview(buffer) as view:
            done = filled = 0
            for piece in pieces:
                left = piece
                while left:
                    taken = min(len(left), self._size - filled)
                    view[filled : filled + taken] = left[:taken]
                    filled, left = filled + taken, left[taken:]
                    if filled == self._size:
                        written = os.pwrite(fd, view, offset + done)
                        done, filled = done + written, 0
                        if written < self._size:
                            return done - done % ALIGNMENT
            whole = filled - filled % ALIGNMENT
            if whole:
                written = os.pwrite(fd, view[:whole], offset + done)
                done += written - written % ALIGNMENT
        return done


class DiskFile:
    """A file that is made anew, or with `keep` opened as it is. Methods may block, and run in threads.

    No two run at once, but that a sync may beside a write.
    """

    def __init__(self, path: Path, size: int, direct: Direct | None, *, preallocate: bool, keep: bool = False) -> None:
        """`direct` writes whole blocks past the page cache; `preallocate` takes the space of `size` when it opens."""
        self._path = path
        self._size = size
        self._preallocate = preallocate
        self._keep = keep
        self._direct = direct
        self._direct_fd = -1
        self._end = 0
        self.fd = -1
        self.calls = 0
        """Writes that were made."""

    def open(self) -> None:
        """Make the file, empty, and take its space. Raises `OSError`, also where there is not enough."""
        if self.fd >= 0:
            return
        self.fd = os.open(self._path, _FLAGS | (0 if self._keep else os.O_TRUNC), 0o666)
        try:
            self._end = os.fstat(self.fd).st_size
            if self._preallocate:
                self._preallocate = system.allocate(self.fd, self._size)
            if self._direct is not None:
                self._direct_fd = self._direct.open(self._path)
        except BaseException:
            self.close()
            raise

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Write chunks as if one after the other in their order; every byte or an `OSError`."""
        self.open()
        for offset, pieces in joined(chunks):
            size = sum(map(len, pieces))
            self._end = max(self._end, offset + size)
            rest = self._past_cache(offset, pieces) if self._direct_fd >= 0 else (offset, pieces)
            if rest[1]:
                self._put(*rest)
                if self._size > size:
                    system.start_writing(self.fd, offset, size)

    def sync(self) -> None:
        """Wait until everything is on the disk. Raises `OSError`."""
        os.fsync(self.fd)

    def cut(self) -> None:
        """Give back space that was taken and is not needed. Raises `OSError`."""
        if self._preallocate and self._end < self._size:
            os.ftruncate(self.fd, self._end)

    def close(self) -> None:
        """Give up the descriptors. Raises `OSError`. May be called twice."""
        fds, self.fd, self._direct_fd = (self._direct_fd, self.fd), -1, -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    def _put(self, offset: int, pieces: list[memoryview]) -> None:
        while pieces:
            self.calls += 1
            written = _write_at(self.fd, pieces[:PIECES], offset)
            if written <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            offset += written
            pieces = _without(pieces, written)

    def _past_cache(self, offset: int, pieces: list[memoryview]) -> tuple[int, list[memoryview]]:
        """Write what lies in whole blocks; returns what is left."""
        if self._direct is None or offset % ALIGNMENT:
            return offset, pieces
        try:
            done = self._direct.put(self._direct_fd, offset, pieces)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self._direct.refused(str(error))
            os.close(self._direct_fd)
            self._direct_fd = -1
            return offset, pieces
        self.calls += 1
        return offset + done, _without(pieces, done)


def joined(chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[memoryview]]]:
    """Chunks as runs of adjacent ones, by offset; in their own order where any two overlap."""
    ordered = sorted(chunks, key=lambda chunk: chunk[0])
    apart = all(one + len(data) <= other for (one, data), (other, _) in pairwise(ordered))
    run: list[memoryview] = []
    begin = end = 0
    for offset, data in ordered if apart else chunks:
        if not data:
            continue
        if run and (not apart or offset != end):
            yield begin, run
            run = []
        if not run:
            begin = offset
        run.append(memoryview(data))
        end = offset + len(data)
    if run:
        yield begin, run


def _write_at(fd: int, pieces: Sequence[memoryview], offset: int) -> int:
    if hasattr(os, "pwritev"):
        return os.pwritev(fd, pieces, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, b"".join(pieces))


def _without(pieces: list[memoryview], size: int) -> list[memoryview]:
    """Pieces without their first `size` bytes."""
    for number, piece in enumerate(pieces):
        if size < len(piece):
            return [piece[size:], *pieces[number + 1 :]]
        size -= len(piece)
    return []
