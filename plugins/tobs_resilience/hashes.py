"""What the server says of one file's blocks, asked for beside the file, and the reference to ask with."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tobs.api import LostError, RpcError, together
from tobs_resilience.copies import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tobs.api import BlockHash, Context, MediaRef

log = logging.getLogger(__name__)
AHEAD = 4
"""Requests for one file's hashes at once, eight blocks each."""
DIGEST = 32


class Hashes:
    """The hashes of one file. `ref` is the reference to ask with, `renewed` how often it had to be fetched anew."""

    def __init__(self, ctx: Context, ref: MediaRef) -> None:
        self.ref = ref
        self.renewed = 0
        self._ctx = ctx
        self._renewing = asyncio.Lock()

    async def all(self) -> dict[int, bytes]:
        """SHA-256 by number of the block, of those that the server knows and will name; none means unknown.

        Whatever keeps hashes from being had is no fault of the file.
        """
        known: dict[int, bytes] = {}
        try:
            first = await self._page(0)
            known |= sound(first, self.ref.size)
            step = sum(block.limit for block in first)
            offsets = range(step, self.ref.size, step) if step else range(0)
            for at in range(0, len(offsets), AHEAD):
                pages = await together(self._page(offset) for offset in offsets[at : at + AHEAD])
                for page in pages:
                    known |= sound(page, self.ref.size)
        except (RpcError, LostError) as error:
            log.info("hashes of file %d cannot be had: %s", self.ref.file_id, error)
        return known

    async def renew(self, used: MediaRef) -> bool:
        """Fetch a fresh reference unless somebody has since `used`; whether there is another one than `used`."""
        async with self._renewing:
            if self.ref is used:
                fresh = (await self._ctx.refresh([used])).get((used.message_id, used.file_id))
                if fresh is None or fresh.reference == used.reference:
                    return False
                self.ref = fresh
                self.renewed += 1
        return True

    async def _page(self, offset: int) -> list[BlockHash]:
        used = self.ref
        try:
            return await self._ctx.file_hashes(used, offset, used.dc)
        except RpcError as error:
            if not error.is_stale or not await self.renew(used):
                raise
        return await self._ctx.file_hashes(self.ref, offset, used.dc)


def sound(page: Iterable[BlockHash], size: int) -> dict[int, bytes]:
    """Those hashes that are of blocks as they should be: on their grid, whole, inside the file."""
    return {
        block.offset // BLOCK: block.sha256
        for block in page
        if block.offset % BLOCK == 0
        and 0 <= block.offset < size
        and block.limit == min(BLOCK, size - block.offset)
        and len(block.sha256) == DIGEST
    }
