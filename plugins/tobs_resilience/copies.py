"""What is known of the bytes of files in motion: SHA-256 by block, of what was last written."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tobs.api import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.api import Sink

BLOCK = 131_072
"""Bytes of a block, as Telegram hashes them (upload.getFileHashes)."""
OPEN = 64
"""Blocks that may be there in part at once; of more than these the oldest is forgotten, and is asked for again."""


class Copy:
    """The blocks of one file that were written whole, with their SHA-256."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.blocks: dict[int, bytes] = {}
        self._pieces: dict[int, dict[int, bytes]] = {}

    def length(self, block: int) -> int:
        """Bytes of a block: the last one may be shorter."""
        return min(BLOCK, self.size - block * BLOCK)

    def wrote(self, offset: int, data: bytes) -> list[int]:
        """Some bytes were written. Returns the blocks that are whole by that."""
        view, done = memoryview(data), []
        for block, low, high in _blocks(offset, len(data), self.size):
            piece = view[low - offset : high - offset]
            if len(piece) == self.length(block):
                self._pieces.pop(block, None)
                self.blocks[block] = hashlib.sha256(piece).digest()
                done.append(block)
            elif self._joined(block, low - block * BLOCK, bytes(piece)):
                done.append(block)
        return done

    def stretches(self) -> list[Part]:
        """The whole blocks as stretches of the file, in order, adjacent ones as one."""
        found: list[Part] = []
        for block in sorted(self.blocks):
            offset, limit = block * BLOCK, self.length(block)
            if found and found[-1].offset + found[-1].limit == offset:
                offset, limit = found[-1].offset, found[-1].limit + limit
                found.pop()
            found.append(Part(offset, limit))
        return found

    def _joined(self, block: int, at: int, piece: bytes) -> bool:
        """Keep a piece of a block; whether the block is whole by that. One that was whole before is so no more."""
        self.blocks.pop(block, None)
        pieces = self._pieces.setdefault(block, {})
        pieces[at] = piece
        end = 0
        for start in sorted(pieces):
            if start > end:
                break
            end = max(end, start + len(pieces[start]))
        if end == self.length(block):
            whole = bytearray(end)
            for start, one in pieces.items():  # the piece that came last counts
                whole[start : start + len(one)] = one
            self.blocks[block] = hashlib.sha256(whole).digest()
            del self._pieces[block]
            return True
        if len(self._pieces) > OPEN:
            del self._pieces[next(iter(self._pieces))]
        return False


def _blocks(offset: int, size: int, whole: int) -> Iterator[tuple[int, int, int]]:
    """The blocks that some bytes touch, and from where to where they do."""
    at, end = offset, min(offset + size, whole)
    while at < end:
        block = at // BLOCK
        upto = min(end, (block + 1) * BLOCK)
        yield block, at, upto
        at = upto


class Copies:
    """The files in motion, by id."""

    def __init__(self) -> None:
        self._copies: dict[int, Copy] = {}

    def begin(self, file_id: int, copy: Copy) -> None:
        """A file begins to move."""
        self._copies[file_id] = copy

    def of(self, file_id: int) -> Copy | None:
        """The file, if it moves."""
        return self._copies.get(file_id)

    def end(self, file_id: int) -> None:
        """It moves no longer."""
        self._copies.pop(file_id, None)


class Watching:
    """A sink whose writes a copy learns of."""

    def __init__(self, sink: Sink, copy: Copy) -> None:
        self._sink = sink
        self._copy = copy

    async def write(self, offset: int, data: bytes) -> None:
        """Write, then remember."""
        await self._sink.write(offset, data)
        self._copy.wrote(offset, data)

    async def close(self) -> None:
        """Close the sink below."""
        await self._sink.close()
