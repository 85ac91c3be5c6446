"""Files that are being fetched just now: an equal one may wait for them rather than be fetched beside them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tobs.api import Attempt, Batch, Page, Settled
    from tobs_hash_dedup.hashes import Hashes

SETTLING = 60.0
"""Seconds in which a file that was fetched is renamed and settled; who waits for it waits no longer."""


class Mover:
    """A file in motion: its hashes, when its bytes are there, and when it is settled or given up."""

    def __init__(self, hashes: Hashes) -> None:
        self.hashes = hashes
        self.fetched = asyncio.Event()
        self.over = asyncio.Event()

    async def settled(self) -> bool:
        """Wait until it is settled or given up; False if that does not follow its last byte in good time."""
        await self.fetched.wait()
        try:
            async with asyncio.timeout(SETTLING):
                await self.over.wait()
        except TimeoutError:
            return False
        return True


class Moving:
    """The files in motion by size. A probe: what core settled moves no more."""

    def __init__(self) -> None:
        self._by_id: dict[int, Mover] = {}
        self._by_size: dict[int, dict[int, Mover]] = {}

    def of_size(self, size: int) -> Sequence[Mover]:
        """Those of exactly this size, the longest in motion first."""
        return list(self._by_size.get(size, {}).values())

    @contextmanager
    def fetching(self, hashes: Hashes) -> Iterator[None]:
        """Around the fetch of a file. If it fails, the file is over at once; else when core has settled it."""
        ref = hashes.ref
        mover = Mover(hashes)
        self._by_id[ref.file_id] = mover
        self._by_size.setdefault(ref.size, {})[ref.file_id] = mover
        try:
            yield
        except BaseException:
            self._end(ref.file_id)
            raise
        finally:
            mover.fetched.set()

    def _end(self, file_id: int) -> None:
        mover = self._by_id.pop(file_id, None)
        if mover is None:
            return
        alike = self._by_size[mover.hashes.ref.size]
        del alike[file_id]
        if not alike:
            del self._by_size[mover.hashes.ref.size]
        mover.fetched.set()
        mover.over.set()

    def file(self, outcome: Settled, seconds: float) -> None:  # noqa: ARG002 - the port
        """A file is settled."""
        self._end(outcome.ref.file_id)

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        """Nothing to learn."""

    def attempt(self, attempt: Attempt) -> None:
        """Nothing to learn."""

    def flood(self, method: str, seconds: float) -> None:
        """Nothing to learn."""
