"""The histories of a big world on disk: composed once, checked whole whenever they are opened.

Layout: magic; for each chat its messages one after the other, oldest first, and then its columns as arrays of
this machine; an index as JSON (`origin`, and of each chat `peer_id`, `kind`, where its messages lie, and where
each column does); the SHA-256 of all before; the length of the index in 8 bytes. A pack that is short, damaged
or of another world fails one of these checks and is made anew. It is written beside its name and renamed, so that
processes which build the same world at once do not meet.

Messages are read with plain reads: the system keeps what is read often, at no memory of this process.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import threading
import weakref
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from telethon.tl import alltlobjects

from tobs.lab.columns import Columns, gather
from tobs.lab.history import History, Kept
from tobs.lab.kept import folder, written_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tobs.lab.dataset import Dataset
    from tobs.lab.history import Entry

MAGIC = b"TOBSMSG1"
CHECKED_AT_ONCE = 1 << 20
Chat: TypeAlias = "tuple[int, str, Iterable[Entry]]"
"""What `History` takes: marked id, kind and entries, oldest first."""

_LENGTH = 8
_HASH = 32


@dataclass(frozen=True, slots=True)
class Origin:
    """What decides a world's messages, hashed: `content` from dataset and seed, `makers` from the code."""

    content: str
    makers: str

    def __str__(self) -> str:
        return f"{self.content}-{self.makers}"


def origin_of(dataset: Dataset, seed: int) -> Origin:
    """The origin of the messages of a dataset."""
    return Origin(hashlib.sha256(repr((seed, dataset)).encode()).hexdigest()[:32], _makers())


@cache
def _makers() -> str:
    """A hash of this room's code and data, and of the libraries that have a part in the bytes."""
    here = Path(__file__).parent
    libraries = (version("telethon"), alltlobjects.LAYER, version("pillow"), zlib.ZLIB_RUNTIME_VERSION, sys.byteorder)
    digest = hashlib.sha256(repr(libraries).encode())
    for path in sorted(here.rglob("*")):
        inside = path.relative_to(here).parts
        if path.is_file() and not {"__pycache__", "methods"} & set(inside):
            digest.update(f"\0{'/'.join(inside)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def packed(origin: Origin, compose: Callable[[], Iterable[Chat]]) -> list[History]:
    """The histories of `compose()`, read from disk: they are composed only where no sound pack is kept.

    Entries are taken once, and those of a chat whole before the next chat is. What is written for other makers of
    the same content is removed then.
    """
    path = folder() / f"messages-{origin}.pack"
    with suppress(OSError, ValueError):
        return _open(path, origin)
    try:
        with written_beside(path) as out:
            _write(out, origin, compose())
    except OSError:  # no place to keep anything: an unnamed file does for this process
        with tempfile.TemporaryFile() as unnamed:
            _write(unnamed, origin, compose())
            return _read(Extent(os.dup(unnamed.fileno())), origin)
    for other in path.parent.glob(f"messages-{origin.content}-*.pack"):
        if other != path:
            with suppress(OSError):
                other.unlink()
    return _open(path, origin)


class _Hashed:
    """Writes, and knows the place and the hash of what was written."""

    def __init__(self, out: BinaryIO | Any) -> None:
        self.place = 0
        self.digest = hashlib.sha256()
        self._out = out

    def write(self, data: bytes) -> None:
        self.place += len(data)
        self.digest.update(data)
        self._out.write(data)


def _write(out: BinaryIO | Any, origin: Origin, chats: Iterable[Chat]) -> None:
    hashed = _Hashed(out)
    hashed.write(MAGIC)
    index: list[dict[str, Any]] = []
    for peer_id, kind, entries in chats:
        start = hashed.place
        columns = gather(entries, hashed.write)
        messages = (start, hashed.place)
        places = {}
        for name, column in columns.all().items():
            start = hashed.place
            hashed.write(column.tobytes())
            places[name] = (start, hashed.place)
        index.append({"peer_id": peer_id, "kind": kind, "messages": messages, "columns": places})
    text = json.dumps({"origin": str(origin), "chats": index}).encode()
    hashed.write(text)
    out.write(hashed.digest.digest() + len(text).to_bytes(_LENGTH, "big"))
    out.flush()


def _open(path: Path, origin: Origin) -> list[History]:
    return _read(Extent(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))), origin)


def _read(pack: Extent, origin: Origin) -> list[History]:
    """The histories in a pack. Raises ValueError or OSError where it is not sound."""
    end = pack.size - _LENGTH - _HASH
    if end < len(MAGIC):
        raise ValueError("the pack is short")
    tail = pack.read(end, pack.size)
    start = end - int.from_bytes(tail[_HASH:], "big")
    if start < len(MAGIC) or pack.read(0, len(MAGIC)) != MAGIC or pack.hashed(end) != tail[:_HASH]:
        raise ValueError("the pack is damaged")
    index = json.loads(pack.read(start, end))
    if index["origin"] != str(origin):
        raise ValueError("the pack is of another world")
    return [_history(pack, entry, index["origin"]) for entry in index["chats"]]


def _history(pack: Extent, entry: dict[str, Any], origin: str) -> History:
    columns = Columns()
    for name, column in columns.all().items():
        del column[:]
        column.frombytes(pack.read(*entry["columns"][name]))
    first = entry["messages"][0]
    kept = Kept(columns, lambda start, end: pack.read(first + start, first + end), origin)
    return History(entry["peer_id"], entry["kind"], kept)


class Extent:
    """An open file, read at any place by any thread; closed when nobody holds it any more."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lock = threading.Lock()
        weakref.finalize(self, os.close, handle)
        self.size = os.fstat(handle).st_size

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end). Raises OSError where the file has become shorter."""
        if hasattr(os, "pread"):
            data = os.pread(self._handle, end - start, start)
        else:  # Windows
            with self._lock:
                os.lseek(self._handle, start, os.SEEK_SET)
                data = os.read(self._handle, end - start)
        if len(data) != end - start:
            raise OSError(f"a pack ends before {end}")
        return data

    def hashed(self, end: int) -> bytes:
        """The SHA-256 of the bytes before `end`."""
        digest = hashlib.sha256()
        for start in range(0, end, CHECKED_AT_ONCE):
            digest.update(self.read(start, min(start + CHECKED_AT_ONCE, end)))
        return digest.digest()
