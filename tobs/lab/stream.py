"""Files of any size that exist nowhere: their bytes are made where they are read, at memory speed.

A file is cut into blocks of 1 MiB. Each block is a window into a seeded random field, at a place that depends
on file and block, behind a stamp of 64 bytes that no other block has. So no two blocks are alike, nothing
compresses, and a read costs one copy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from tobs.lab.draws import key_digest, seeded_bytes
from tobs.lab.kept import keep_digest, kept_digest

BLOCK = 1 << 20
FIELD = 4 << 20
STAMP = 64
VERSION = 2
"""Raised whenever the bytes of a stream, or of what is made with one, become others."""


class Readable(Protocol):
    """Bytes of a known size, made where they are read."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, limit: int, /) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""


class Content(Protocol):
    """A whole file."""

    def read(self, offset: int, limit: int, /) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""

    def sha256(self) -> str:
        """The hash of the whole in hex."""


@lru_cache(maxsize=2)
def _field(seed: int) -> bytes:
    """The random field of a seed, with its first block again at the end, so that every window lies inside."""
    field = seeded_bytes(FIELD, "field", seed)
    return field + field[:BLOCK]


@dataclass(frozen=True, slots=True)
class Stream:
    """The bytes of one made-up file: `seed` of the scenario, `key` of the file, `size` in bytes.

    A `twist` changes 64 bytes in the middle: two twists of one key, or one and none, differ there alone.
    """

    seed: int
    key: str
    size: int
    twist: str = ""

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""
        start = offset
        end = min(offset + limit, self.size)
        pieces = []
        while offset < end:
            number, inside = divmod(offset, BLOCK)
            stop = min(BLOCK, inside + end - offset)
            pieces.append(self._piece(number, inside, stop))
            offset += stop - inside
        found = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._twisted(found, start) if self.twist else found

    def _piece(self, number: int, start: int, stop: int) -> bytes:
        """The bytes [start, stop) of block `number`."""
        stamp = hashlib.blake2b(number.to_bytes(8, "big"), key=key_digest("stream", self.seed, self.key)).digest()
        window = int.from_bytes(stamp[:4], "big") % FIELD
        field = _field(self.seed)
        if start >= STAMP:
            return field[window + start : window + stop]
        return stamp[start : min(stop, STAMP)] + field[window + STAMP : window + max(stop, STAMP)]

    def _twisted(self, data: bytes, offset: int) -> bytes:
        """`data`, read from `offset`, with what `twist` says of the middle."""
        middle = self.size // 2 - offset
        patch = seeded_bytes(STAMP, "twist", self.seed, self.key, self.twist)[max(0, -middle) :]
        middle = max(0, middle)
        patch = patch[: max(0, len(data) - middle)]
        return data[:middle] + patch + data[middle + len(patch) :] if patch else data

    def sha256(self) -> str:
        """The hash of the whole file in hex."""
        return whole_digest(self, f"{self.seed}-{self.key}-{self.size}-{self.twist}")


def whole_digest(content: Readable, name: str) -> str:
    """The SHA-256 of all of `content` in hex: a second for each 1.5 GB.

    That of more than a block is kept in the cache under `name`, which has to say what decides the bytes.
    """
    name = f"{VERSION}-{name}"
    known = kept_digest(name) if content.size > BLOCK else None
    if known is not None:
        return known
    digest = hashlib.sha256()
    for offset in range(0, content.size, BLOCK):
        digest.update(content.read(offset, BLOCK))
    if content.size > BLOCK:
        keep_digest(name, digest.hexdigest())
    return digest.hexdigest()
