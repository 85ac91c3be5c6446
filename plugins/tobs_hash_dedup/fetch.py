"""The layer around a file: it is fetched only if it is not here already, under whatever id."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tobs.api import Bytes, LostError, Same
from tobs_hash_dedup.hashes import Hashes
from tobs_hash_dedup.proof import Proving
from tobs_hash_dedup.stored_blocks import are_equal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tobs.api import Context, Fetch, MediaRef, Part, Sink
    from tobs_hash_dedup.moving import Mover, Moving
    from tobs_hash_dedup.stored_blocks import Heads

log = logging.getLogger(__name__)
CANDIDATES = 256
"""Stored files of one size that a file is compared with at most."""


class Spared:
    """Implements `Fetch` around another. Files of fewer bytes than `smallest` are fetched without a question."""

    def __init__(
        self, inner: Fetch, ctx: Context, heads: Heads, moving: Moving, *, smallest: int, ahead: int, waiting: int
    ) -> None:
        self._inner = inner
        self._ctx = ctx
        self._heads = heads
        self._moving = moving
        self._smallest = smallest
        self._ahead = ahead
        self._places = waiting
        self.files = 0
        self.size = 0
        """Files that were here under another id, and their bytes."""

    async def __call__(self, ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
        """`Same` if a stored file has all of the file's blocks, else what the fetch below brings."""
        if ref.size < self._smallest:
            return await self._inner(ref, sink, have)
        hashes = Hashes(self._ctx, ref)
        equal = await self._look(hashes)
        if equal is not None:
            self.files += 1
            self.size += ref.size
            return Same(equal)
        with self._moving.fetching(hashes):
            return await self._fetch(hashes, sink, have)

    async def _look(self, hashes: Hashes) -> int | None:
        """The stored file that is equal, perhaps after a wait for one in motion.

        When it returns None nothing has been awaited since the last look at what is stored and what moves.
        """
        compared: set[Path] = set()
        passed: set[Mover] = set()
        while True:
            candidates = [one for one in self._ctx.stored(hashes.ref.size, CANDIDATES) if one.path not in compared]
            for stored in candidates:
                compared.add(stored.path)
                if await are_equal(stored, hashes, self._heads, self._ctx.pool, self._ahead):
                    return stored.file_id
            if candidates:
                continue
            mover = next((one for one in self._moving.of_size(hashes.ref.size) if one not in passed), None)
            if mover is None:
                return None
            if not await self._waited(mover, hashes):
                passed.add(mover)

    async def _waited(self, mover: Mover, hashes: Hashes) -> bool:
        """Wait until a file in motion is stored or given up; False if it begins otherwise or should not be waited for.

        Files in motion are compared by what the server says of both. What is stored then is compared from the disk.
        """
        first = await hashes.first()
        if not first or list(first) != list(await mover.hashes.first()) or not self._places:
            return False
        self._places -= 1
        try:
            return await mover.settled()
        finally:
            self._places += 1

    async def _fetch(self, hashes: Hashes, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
        """Fetch the file, and hold it against the hashes that were asked for anyway.

        A block that differs is a fault: the file is fetched again. If the block comes the same once more, the server
        means these bytes, and they are kept. Raises `LostError` if it is yet another.
        """
        known = hashes.known
        if not known:
            return await self._inner(hashes.ref, sink, have)
        once = Proving(sink, known)
        got = await self._inner(hashes.ref, once, have)
        if not once.wrong:
            return got
        again = Proving(sink, known)
        got = await self._inner(hashes.ref, again, ())
        if not again.wrong.items() <= once.wrong.items():
            raise LostError(f"file {hashes.ref.file_id}: blocks came other than their hashes say, twice")
        if again.wrong:
            log.warning("file %d came twice alike and other than its hashes say: it is kept", hashes.ref.file_id)
        return got
