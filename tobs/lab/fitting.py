"""Real files of an exact size: a template, and padding that its format allows, of seeded bytes.

The padding is the only thing in which two files of one template differ, so at least 16 bytes of it are always
there: below `SMALLEST_ROOM` more than a template's size, no file is made of it. Where it stands:

- MP4, M4A: a `free` box at the end (ISO/IEC 14496-12, 8.1.2); WebM: a Void element at the end of the Segment
  (RFC 8794, 11.3.2); WebP: a chunk of unknown type at the end, so the size is even
  (https://developers.google.com/speed/webp/docs/riff_container).
- JPEG: comments before the end; PNG: ancillary chunks before IEND; FLAC: APPLICATION blocks behind STREAMINFO.
- OGG: behind the comments of the header (`tobs.lab.ogg`).
- MP3: a PRIV frame of ID3 (https://id3.org/id3v2.4.0-frames), so below 200 MB; TGS: an extra field of gzip
  (RFC 1952, 2.3.1.1).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from tobs.lab.ogg import HEAD, SPARE, TagPages, page_ends, renumbered
from tobs.lab.padding import FLAC, JPEG, PNG, Frames
from tobs.lab.stream import Readable, Stream, whole_digest
from tobs.lab.templates import templates

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.lab.templates import Template

Piece = bytes | Readable

SMALLEST_ROOM = {
    "mp4": 24, "m4a": 24, "webm": 25, "webp": 24, "jpg": 20, "png": 28, "flac": 24, "ogg": SPARE, "mp3": 31, "tgs": 22,
}  # fmt: skip
"""Bytes by which a file is larger than its template, at least."""
LARGEST = {"tgs": 64 << 10, "mp3": 200_000_000}
"""Bytes of a file, at most; TGS stickers are that small on Telegram, and the extra field of gzip too."""
LARGEST_STICKER = {"webm": 256 << 10, "webp": 512 << 10}
"""https://core.telegram.org/stickers"""
CHOICE = 3
"""Files are made of templates up to so many times smaller than the largest that fits."""
EVEN = frozenset({"webp"})
"""Forms whose files have an even size."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Pieces one after the other; `name` says what decides the bytes."""

    pieces: tuple[Piece, ...]
    ends: tuple[int, ...]
    name: str

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return self.ends[-1]

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""
        end = min(offset + limit, self.size)
        found = []
        at = bisect_right(self.ends, offset)
        while offset < end:
            piece = self.pieces[at]
            start = self.ends[at - 1] if at else 0
            stop = min(end, self.ends[at])
            found.append(
                piece[offset - start : stop - start]
                if isinstance(piece, bytes)
                else piece.read(offset - start, stop - offset)
            )
            offset = stop
            at += 1
        return found[0] if len(found) == 1 else b"".join(found)

    def sha256(self) -> str:
        """The hash of the whole in hex."""
        return whole_digest(self, self.name)


def join(pieces: tuple[Piece, ...], name: str) -> Joined:
    """The content that `pieces` are together."""
    ends: list[int] = []
    for piece in pieces:
        ends.append((ends[-1] if ends else 0) + (len(piece) if isinstance(piece, bytes) else piece.size))
    return Joined(pieces, tuple(ends), name)


def fits(template: Template, size: int) -> bool:
    """Whether a file of `size` bytes can be made of `template`."""
    form = template.form
    room = size - len(template.data)
    largest = LARGEST_STICKER if template.kind == "sticker" else LARGEST
    return (
        room >= SMALLEST_ROOM[form]
        and size <= min(LARGEST.get(form, size), largest.get(form, size))
        and not (form in EVEN and room % 2)
    )


def choices(kind: str, size: int) -> tuple[Template, ...]:
    """The templates that a file of a kind and size may be made of: those that fit and are not very much smaller."""
    return _choices(kind, bisect_right(_borders(kind), size), size % 2)


@cache
def _borders(kind: str) -> tuple[int, ...]:
    """The sizes at which another template of a kind begins to fit, or no longer does."""
    borders = {len(template.data) + SMALLEST_ROOM[template.form] for template in templates()[kind]}
    borders |= {largest + 1 for largest in (*LARGEST.values(), *LARGEST_STICKER.values())}
    return tuple(sorted(borders))


@cache
def _choices(kind: str, place: int, odd: int) -> tuple[Template, ...]:
    """`choices` between two borders, for even or odd sizes."""
    size = _borders(kind)[place - 1]
    fitting = [template for template in templates()[kind] if fits(template, size + (size + odd) % 2)]
    needed = max(len(template.data) for template in fitting) // CHOICE
    return tuple(template for template in fitting if len(template.data) >= needed)


def fit(data: bytes, form: str, stream: Stream) -> Joined:
    """`data`, in `form`, filled to `stream.size` bytes with what the stream begins with."""
    room = stream.size - len(data)

    def fill(size: int) -> Stream:
        return Stream(stream.seed, stream.key, size, stream.twist)

    name = f"{_digest(data)}-{stream.seed}-{stream.key}-{stream.size}-{stream.twist}"
    return join(_FITS[form](data, room, fill), name)


@cache
def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


@cache
def _cut(data: bytes, *places: int) -> tuple[bytes, ...]:
    """`data` cut at `places`; kept, for many files share them."""
    return tuple(data[start:end] for start, end in zip((0, *places), (*places, len(data)), strict=True))


def _box(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    return data, room.to_bytes(4, "big") + b"free", fill(room - 8)


def _void(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    place = data.index(b"\x18\x53\x80\x67\x01") + 5  # the Segment: its id, and a size of 8 bytes
    head, _, rest = _cut(data, place, place + 7)
    length = len(rest) + room
    return head, length.to_bytes(7, "big"), rest, b"\xec\x01" + (room - 9).to_bytes(7, "big"), fill(room - 9)


def _chunk(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    head, _, rest = _cut(data, 4, 8)
    length = len(data) - 8 + room
    return head, length.to_bytes(4, "little"), rest, b"TOBS" + (room - 8).to_bytes(4, "little"), fill(room - 8)


def _comments(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    head, end = _cut(data, len(data) - 2)
    return head, Frames(JPEG, fill(room)), end


def _chunks(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    head, end = _cut(data, len(data) - 12)
    return head, Frames(PNG, fill(room)), end


def _blocks(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    head, rest = _cut(data, 42)
    return head, Frames(FLAC, fill(room)), rest


def _pages(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    begin, header, sound = _cut(data, *list(page_ends(data))[:2])
    tags = header[HEAD + header[HEAD - 1] :] + b"\x01"  # what follows is to be kept
    pages = TagPages(tags, data[14:18], fill(len(header) + room))
    return begin, pages, renumbered(sound, pages.count - 1)


def _synchsafe(size: int) -> bytes:
    """A number as ID3 writes it: 7 bits a byte."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _frame(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    head, coded, rest = _cut(data, 6, 10)
    length = sum(byte << shift for byte, shift in zip(coded, (21, 14, 7, 0), strict=True)) + room
    private = b"PRIV" + _synchsafe(room - 10) + bytes(2) + b"tobs\0"
    return head, _synchsafe(length), private, fill(room - len(private)), rest


def _extra(data: bytes, room: int, fill: Callable[[int], Stream]) -> tuple[Piece, ...]:
    head, _, times, rest = _cut(data, 3, 4, 10)
    lengths = (room - 2).to_bytes(2, "little") + b"Tb" + (room - 6).to_bytes(2, "little")
    return head, b"\x04", times + lengths, fill(room - 6), rest


_FITS: dict[str, Callable[[bytes, int, Callable[[int], Stream]], tuple[Piece, ...]]] = {
    "mp4": _box,
    "m4a": _box,
    "webm": _void,
    "webp": _chunk,
    "jpg": _comments,
    "png": _chunks,
    "flac": _blocks,
    "ogg": _pages,
    "mp3": _frame,
    "tgs": _extra,
}
