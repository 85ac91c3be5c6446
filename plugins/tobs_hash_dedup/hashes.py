"""What the server says of one file's blocks: asked for where it is needed, once, and looked through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from tobs.api import LostError, RpcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.api import BlockHash, Context, MediaRef

    Blocks: TypeAlias = Sequence[BlockHash]

LARGEST = 1 << 20
"""Bytes of the largest block that is taken for one: Telegram's have 128 KB."""
DIGEST = 32


class Hashes:
    """The hashes of one file, by the place where a page of them begins. No hashes means that nothing is known.

    `ref` is the reference to fetch the file with: where its own had expired, the fresh one.
    """

    def __init__(self, ctx: Context, ref: MediaRef) -> None:
        self.ref = ref
        self._ctx = ctx
        self._pages: dict[int, Blocks] = {}
        self._first = asyncio.Lock()
        self._renewing = asyncio.Lock()

    @property
    def known(self) -> list[BlockHash]:
        """All blocks that were asked for."""
        return [block for blocks in self._pages.values() for block in blocks]

    async def first(self) -> Blocks:
        """The page at the beginning of the file; whoever asks meanwhile waits for the same answer."""
        async with self._first:
            return await self.page(0)

    async def page(self, offset: int) -> Blocks:
        """Blocks from `offset` on without a gap, none of them past the file's end; empty if they are not to be had."""
        if offset not in self._pages:
            try:
                found = await self._ask(offset)
            except (RpcError, LostError):
                found = []  # whatever it is, fetching the file meets it too and says so
            self._pages[offset] = found if are_sound(found, offset, self.ref.size) else ()
        return self._pages[offset]

    async def _ask(self, offset: int) -> Blocks:
        used = self.ref
        dc = used.dc if self._pages else None  # the first question finds the way as the file itself would
        try:
            return await self._ctx.file_hashes(used, offset, dc)
        except RpcError as error:
            if not error.is_stale:
                raise
            await self._renew(used)
            if self.ref is used:
                raise
        return await self._ctx.file_hashes(self.ref, offset, dc)

    async def _renew(self, used: MediaRef) -> None:
        async with self._renewing:
            if self.ref is used:
                fresh = await self._ctx.refresh([used])
                self.ref = fresh.get((used.message_id, used.file_id), used)


def are_sound(blocks: Blocks, offset: int, size: int) -> bool:
    """Whether these are blocks of a file of `size`, one after another from `offset` on."""
    at = offset
    for block in blocks:
        if block.offset != at or not 0 < block.limit <= LARGEST or len(block.sha256) != DIGEST:
            return False
        at += block.limit
    return at <= size
