"""Padding that formats allow only in frames of limited length: comments, chunks, blocks, pages.

The frames are made where they are read, of seeded bytes, so that a gigabyte of them costs no memory.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.lab.stream import Readable


@dataclass(frozen=True, slots=True)
class Framing:
    """How a format frames padding: at most `largest` bytes a frame, `around` of which are header and trailer.

    `wrap` gives the frame of a size with a content.
    """

    largest: int
    around: int
    wrap: Callable[[int, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Frames:
    """`filling.size` bytes of frames about as long as each other, which carry the beginning of `filling`."""

    framing: Framing
    filling: Readable

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return self.filling.size

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""
        end = min(offset + limit, self.size)
        if offset >= end:
            return b""
        framing = self.framing
        count = -(-self.size // framing.largest)
        short, longer = divmod(self.size, count)  # the first `longer` frames have one byte more
        number = max(offset // (short + 1), (offset - longer) // short) if longer else offset // short
        pieces = []
        while offset < end:
            size = short + (number < longer)
            start = number * short + min(number, longer)
            content = self.filling.read(start - number * framing.around, size - framing.around)
            pieces.append(framing.wrap(size, content)[offset - start : end - start])
            offset = start + size
            number += 1
        return b"".join(pieces)


def _jpeg(size: int, content: bytes) -> bytes:
    return b"\xff\xfe" + (size - 2).to_bytes(2, "big") + content


def _png(size: int, content: bytes) -> bytes:
    named = b"tbLb" + content  # ancillary, private, safe to copy
    return (size - 12).to_bytes(4, "big") + named + zlib.crc32(named).to_bytes(4, "big")


def _flac(size: int, content: bytes) -> bytes:
    return b"\x02" + (size - 4).to_bytes(3, "big") + b"tobs" + content  # an APPLICATION block, not the last one


JPEG = Framing(65_537, 4, _jpeg)
"""Comment segments: marker, length, content."""
PNG = Framing(65_536, 12, _png)
"""Chunks of an ancillary type: length, type, content, CRC (https://www.w3.org/TR/png-3/#5Chunk-layout)."""
FLAC = Framing(65_536, 8, _flac)
"""Metadata blocks of an application (https://www.rfc-editor.org/rfc/rfc9639#section-8.4)."""
