"""Bytes that were fetched although hashes were asked for: held against these hashes on their way to the disk."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.api import Sink
    from tobs_hash_dedup.hashes import Blocks


class Proving:
    """A sink that compares each known block which one write holds whole; `wrong` are SHA-256 found, by offset."""

    def __init__(self, sink: Sink, blocks: Blocks) -> None:
        self._sink = sink
        self._blocks = sorted(blocks, key=lambda block: block.offset)
        self._offsets = [block.offset for block in self._blocks]
        self.wrong: dict[int, bytes] = {}

    async def write(self, offset: int, data: bytes) -> None:
        """Compare and pass on. A block that is written again counts as it came last."""
        view, end = memoryview(data), offset + len(data)
        for block in self._blocks[bisect_left(self._offsets, offset) :]:
            if block.offset + block.limit > end:
                break
            start = block.offset - offset
            digest = hashlib.sha256(view[start : start + block.limit]).digest()
            self.wrong.pop(block.offset, None)
            if digest != block.sha256:
                self.wrong[block.offset] = digest
        await self._sink.write(offset, data)

    async def close(self) -> None:
        """Close the sink below."""
        await self._sink.close()
