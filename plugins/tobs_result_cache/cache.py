"""Derived files by what they were made of, in a folder that any number of processes use at once.

An entry is one file: what it is, the SHA-256 and the length of the content, the content. It is written beside its
name and renamed, so that a name always stands for a whole entry; one that is damaged all the same is removed when it
is read, and made again. When an entry was used last stands in its modification time. No lock is needed: whoever comes
second replaces an entry with an equal one, and an entry that somebody else removed is not found.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tobs.api import Job

log = logging.getLogger(__name__)
MAGIC = b"TOBS derived 1\n\0"
HEAD = len(MAGIC) + 32 + 8
FILL = 0.9
"""Share of the limit that is left filled when room is made, so that it need not be made for every entry."""
BESIDE = ".beside"
ABANDONED = 3600.0
"""Seconds after which a half-written entry has nobody any more who writes it."""


class _Entry(NamedTuple):
    used: int
    path: str
    size: int


def key_of(job: Job) -> str:
    """The name of a job's result: of the content it is made of, the transform, its settings and libraries."""
    made_of = [job.sha256, job.transform, job.settings, job.library]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


class Cache:
    """A folder of at most `limit` bytes, as far as this process knows of what others write. For several threads.

    Trouble with the folder costs work, never a result: it is logged, once, and the entry counts as not there.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._size: int | None = None
        self._making_room = threading.Lock()
        self._told = False

    def fetch(self, key: str, target: Path) -> bool:
        """Copy an entry to `target`; whether there is one."""
        path = self._path(key)
        try:
            whole = path.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as error:
            self._tell("read", error)
            return False
        content = _content(whole)
        if content is None:
            with suppress(OSError):
                path.unlink()
            return False
        target.write_bytes(content)
        with suppress(OSError):
            os.utime(path)
        return True

    def keep(self, key: str, source: Path) -> None:
        """Keep the content of a file as an entry."""
        try:
            content = source.read_bytes()
            size = HEAD + len(content)
            if size > self._limit * FILL:
                return
            path = self._path(key)
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.parent.mkdir(exist_ok=True, mode=0o700)
            beside = path.with_name(f"{key}.{secrets.token_hex(8)}{BESIDE}")
            try:
                handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "wb") as file:
                    file.write(_head(content))
                    file.write(content)
                beside.replace(path)
            except BaseException:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
                raise
        except OSError as error:
            self._tell("written", error)
            return
        with self._making_room:
            self._size = self._measured() if self._size is None else self._size + size
            if self._size > self._limit:
                self._size = self._make_room()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _measured(self) -> int:
        return sum(entry.size for entry in self._entries())

    def _make_room(self) -> int:
        """Remove what was used longest ago until there is some room; the bytes that are left."""
        entries = sorted(self._entries())
        size = sum(entry.size for entry in entries)
        for entry in entries:
            if size <= self._limit * FILL:
                break
            with suppress(OSError):
                os.unlink(entry.path)  # noqa: PTH108 - many, and no Path is wanted of any
            size -= entry.size
        return size

    def _entries(self) -> Iterator[_Entry]:
        """What is there; half-written entries that nobody writes any more are removed."""
        now = time.time()
        with suppress(OSError), os.scandir(self._folder) as shelves:
            for shelf in shelves:
                with suppress(OSError), os.scandir(shelf.path) as files:
                    for file in files:
                        with suppress(OSError):
                            found = file.stat()
                            if not file.name.endswith(BESIDE):
                                yield _Entry(found.st_mtime_ns, file.path, found.st_size)
                            elif now - found.st_mtime > ABANDONED:
                                os.unlink(file.path)  # noqa: PTH108 - as above

    def _tell(self, doing: str, error: OSError) -> None:
        if not self._told:
            self._told = True
            log.warning("the cache in %s cannot be %s: %s", self._folder, doing, error.strerror or error)


def _head(content: bytes) -> bytes:
    return MAGIC + hashlib.sha256(content).digest() + len(content).to_bytes(8, "big")


def _content(whole: bytes) -> bytes | None:
    """What an entry holds; None where it is not whole."""
    content = whole[HEAD:]
    return content if whole[:HEAD] == _head(content) else None
