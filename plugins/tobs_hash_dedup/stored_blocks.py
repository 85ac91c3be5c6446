"""A stored file held against hashes: block by block, from the disk, in a thread."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from typing import TYPE_CHECKING

from tobs.api import together

if TYPE_CHECKING:
    from tobs.api import Pool, State, Stored
    from tobs_hash_dedup.hashes import Blocks, Hashes

KEY = "heads"
KEPT = 4096
"""Stored files whose first block's hash is remembered: some 100 bytes each in the archive's state."""


class Heads:
    """Hashes of stored files' first blocks beside their ids, bounded, kept in the archive's state.

    They only rule out; that two files are equal is never said without reading the disk.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: OrderedDict[int, tuple[int, str]] = OrderedDict()
        self._new = False
        for name, value in state.get(KEY).items():
            if len(self._known) < KEPT and _is_head(name, value):
                self._known[int(name)] = (value[0], value[1])

    def differ(self, stored: Stored, blocks: Blocks) -> bool:
        """Whether the file is known to begin otherwise."""
        known = self._known.get(stored.file_id)
        return known is not None and known[0] == blocks[0].limit and known[1] != blocks[0].sha256.hex()

    def learn(self, stored: Stored, limit: int, digest: bytes) -> None:
        """The first `limit` bytes of the file have this SHA-256. The one learned first makes room."""
        self._known[stored.file_id] = (limit, digest.hex())
        self._new = True
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def save(self) -> None:
        """Keep them for the next run."""
        if self._new:
            self._state.put(KEY, {str(file_id): list(head) for file_id, head in self._known.items()})
            self._new = False


async def are_equal(stored: Stored, hashes: Hashes, heads: Heads, pool: Pool, ahead: int) -> bool:
    """Whether every block of the stored file, as it lies on the disk, has the hash that the server names.

    The first page rules most out. The rest is asked for in windows of `ahead` requests or as many as the pool has room
    for, and given up at the first difference or gap.
    """
    first = await hashes.first()
    if not first or heads.differ(stored, first):
        return False
    equal, digest = await asyncio.to_thread(compare, stored, first)
    if digest:
        heads.learn(stored, first[0].limit, digest)
    if not equal:
        return False
    step = first[-1].offset + first[-1].limit
    offsets = range(step, stored.size, step)
    at = 0
    while at < len(offsets):
        window = offsets[at : at + max(1, min(ahead, pool.room(hashes.ref.dc)))]
        pages = await together(hashes.page(offset) for offset in window)
        blocks = [block for page in pages for block in page]
        if sum(block.limit for block in blocks) != min(window[-1] + step, stored.size) - window[0]:
            return False
        equal, _ = await asyncio.to_thread(compare, stored, blocks)
        if not equal:
            return False
        at += len(window)
    return True


def compare(stored: Stored, blocks: Blocks) -> tuple[bool, bytes]:
    """Whether the file has the stored size and these blocks, and the SHA-256 of the first of them, if it was read."""
    found = b""
    try:
        with stored.path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != stored.size:
                return False, b""
            for block in blocks:
                file.seek(block.offset)
                data = file.read(block.limit)
                digest = hashlib.sha256(data).digest()
                found = found or digest
                if len(data) != block.limit or digest != block.sha256:
                    return False, found
    except OSError:
        return False, b""
    return True, found


def _is_head(name: str, value: object) -> bool:
    """Whether a kept value is one of ours: a damaged state is no reason to fail."""
    numeric = name.removeprefix("-").isascii() and name.removeprefix("-").isdigit()
    return (
        numeric
        and isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], int)
        and isinstance(value[1], str)
    )
