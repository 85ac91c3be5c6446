"""Files of any size that exist nowhere: their bytes are made where they are read, at memory speed.

A file is cut into blocks of 1 MiB. Each block is a window into a seeded random field, at a place that depends
on file and block, behind a stamp of 64 bytes that no other block has. So no two blocks are alike, nothing
compresses, and a read costs one copy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from tobs.lab.draws import key_digest, seeded_bytes
from tobs.lab.kept import keep_digest, kept_digest

BLOCK = 1 << 20
FIELD = 4 << 20
STAMP = 64
VERSION = 1
"""Raised whenever a stream's bytes become others."""


@lru_cache(maxsize=2)
def _field(seed: int) -> bytes:
    """The random field of a seed, with its first block again at the end, so that every window lies inside."""
    field = seeded_bytes(FIELD, "field", seed)
    return field + field[:BLOCK]


@dataclass(frozen=True, slots=True)
class Stream:
    """The bytes of one made-up file: `seed` of the scenario, `key` of the file, `size` in bytes."""

    seed: int
    key: str
    size: int

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""
        end = min(offset + limit, self.size)
        pieces = []
        while offset < end:
            number, start = divmod(offset, BLOCK)
            stop = min(BLOCK, start + end - offset)
            pieces.append(self._piece(number, start, stop))
            offset += stop - start
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, number: int, start: int, stop: int) -> bytes:
        """The bytes [start, stop) of block `number`."""
        stamp = hashlib.blake2b(number.to_bytes(8, "big"), key=key_digest("stream", self.seed, self.key)).digest()
        window = int.from_bytes(stamp[:4], "big") % FIELD
        field = _field(self.seed)
        if start >= STAMP:
            return field[window + start : window + stop]
        return stamp[start : min(stop, STAMP)] + field[window + STAMP : window + max(stop, STAMP)]

    def sha256(self) -> str:
        """The hash of the whole file in hex: a second for each 1 GB, once, for it is kept in the cache."""
        name = f"{VERSION}-{self.seed}-{self.key}-{self.size}"
        known = kept_digest(name)
        if known is not None:
            return known
        digest = hashlib.sha256()
        for offset in range(0, self.size, BLOCK):
            digest.update(self.read(offset, BLOCK))
        keep_digest(name, digest.hexdigest())
        return digest.hexdigest()
