"""Padding of OGG/Opus: the comment header, which may carry binary data behind its comments, over many pages.

Sources: RFC 3533 (pages, lacing, checksum), RFC 7845 section 5.2 (the data, which an editor may discard if its
first bit is 0 and else should keep; either is for a decoder to skip).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.lab.stream import Readable

HEAD = 27
"""Bytes of a page before its lengths."""
SEGMENT = 255
SHORT = HEAD + 1 + SEGMENT
"""Bytes of a page of one full segment: its packet goes on in the next page."""
SEGMENTS = 234
LONG = HEAD + SEGMENTS + SEGMENTS * SEGMENT
"""Bytes of a page of that many."""
SPARE = 700
"""Bytes of the last page, and of a short one if there is one, at least."""
CONTINUED = 1
_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def checksum(data: bytes) -> bytes:
    """The CRC of a page: the polynomial of zlib's, but from the highest bit down and without inversions."""
    mirrored = zlib.crc32(data.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little")


def page_ends(data: bytes) -> Iterator[int]:
    """Where each page of `data` ends."""
    at = 0
    while at < len(data):
        segments = data[at + 26]
        at += HEAD + segments + sum(data[at + HEAD : at + HEAD + segments])
        yield at


def renumbered(pages: bytes, more: int) -> bytes:
    """`pages` with `more` added to the number of each."""
    pieces: list[bytes] = []
    start = 0
    for end in page_ends(pages):
        number = int.from_bytes(pages[start + 18 : start + 22], "little") + more
        head, rest = pages[start : start + 18] + number.to_bytes(4, "little"), pages[start + 26 : end]
        pieces += (head, checksum(head + bytes(4) + rest), rest)
        start = end
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class TagPages:
    """The pages of a comment header, `filling.size` bytes in all: `tags` (at most 255), then what `filling` holds.

    `serial` are 4 bytes, the number of the stream. There are at least `SPARE` bytes. Pages are numbered from 1,
    long ones but the last; a short one comes first where the last page could not have the size that is left,
    27 + 256 n, because its last segment is never full.
    """

    tags: bytes
    serial: bytes
    filling: Readable

    @property
    def size(self) -> int:
        """Bytes of all pages."""
        return self.filling.size

    @property
    def count(self) -> int:
        """How many pages there are."""
        return self._short + self._long + 1

    @property
    def _long(self) -> int:
        return (self.size - SPARE) // LONG

    @property
    def _short(self) -> int:
        return int((self.size - HEAD) % (SEGMENT + 1) == (self._long * LONG) % (SEGMENT + 1))

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""
        end = min(offset + limit, self.size)
        short, last = self._short, self.count - 1
        number = 0 if offset < short * SHORT else min(last, short + (offset - short * SHORT) // LONG)
        pieces = []
        while offset < end:
            longer = max(0, number - short)
            start = min(number, short) * SHORT + longer * LONG
            carried = SEGMENT * (min(number, short) + longer * SEGMENTS)
            page = self._page(number, self.size - start if number == last else 0, carried)
            pieces.append(page[offset - start : end - start])
            offset = start + len(page)
            number += 1
        return b"".join(pieces)

    def _page(self, number: int, last: int, carried: int) -> bytes:
        """Page `number` from 0, of `last` bytes if it is the last, behind `carried` bytes of the packet."""
        if last:
            content = last - HEAD - 1 - (last - HEAD - 1) // (SEGMENT + 1)
            lengths = b"\xff" * (content // SEGMENT) + bytes((content % SEGMENT,))
        else:
            lengths = b"\xff" * (1 if number < self._short else SEGMENTS)
            content = SEGMENT * len(lengths)
        payload = (self.tags if number == 0 else b"")[:content]
        payload += self.filling.read(max(0, carried - len(self.tags)), content - len(payload))
        ended = bytes(8) if last else b"\xff" * 8  # the time at which a packet ends here, for headers 0; none does: -1
        head = b"OggS\0" + bytes((CONTINUED if number else 0,)) + ended + self.serial
        head += (number + 1).to_bytes(4, "little")
        rest = bytes((len(lengths),)) + lengths + payload
        return head + checksum(head + bytes(4) + rest) + rest
