"""Real JPEG pictures of an exact size in bytes, and Telegram's stripped thumbnails of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image, JpegImagePlugin
from telethon.utils import stripped_photo_to_jpg

from tobs.lab.draws import Draws, seeded_bytes

THUMB_SIDE = 320
STRIPPED_SIDE = 40
SHAPES = ((1280, 960), (960, 1280), (1280, 720))
"""Telegram scales photos down to 1280 pixels."""
QUALITY = 82
GRAINS = ((20, 0.125), (10, 0.185), (6, 0.25), (4, 0.335), (3, 0.405), (2, 0.51))
"""Pixels of one grain of the pattern, and the bytes a pixel that then result (measured at that quality)."""
TABLES = 700
"""Bytes of a JPEG before any pixel."""
FILLED = 0.92
"""The share of the bytes that the picture should take: below 1, so that it is seldom too large."""
COMMENT = 65_533
"""The longest content of one JPEG comment."""
END = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG of exactly the size asked for; `scans`: bytes after which it can be shown, up to all."""

    width: int
    height: int
    data: bytes
    scans: tuple[int, ...]
    image: Image.Image


def draw(size: int, key: str, seed: int) -> Picture:
    """A pattern as a progressive JPEG of exactly `size` bytes (at least 4,000).

    It has as many pixels as these bytes can carry; a JPEG comment fills what is left over.
    """
    draws = Draws("picture", seed, key)
    shape = draws.pick(SHAPES)
    room = FILLED * size - TABLES
    fitting = [grain for grain, density in GRAINS if density * shape[0] * shape[1] <= room]
    grain = fitting[-1] if fitting else GRAINS[0][0]
    ratio = min(1.0, (room / (GRAINS[0][1] * shape[0] * shape[1])) ** 0.5)
    while True:
        width, height = max(16, round(shape[0] * ratio)), max(16, round(shape[1] * ratio))
        columns, rows = max(2, width // grain), max(2, height // grain)
        coarse = Image.frombytes("RGB", (columns, rows), seeded_bytes(columns * rows * 3, "pixels", seed, key))
        image = coarse.resize((width, height), Image.Resampling.BICUBIC)
        data = _encode(image, quality=QUALITY, progressive=True)
        if len(data) + 4 <= size or len(data) == size:
            padded = data[: -len(END)] + _comment(size - len(data)) + END
            return Picture(width, height, padded, (*_scan_ends(data), size), image)
        ratio *= min(0.95, (room / len(data)) ** 0.5)


def reduce(image: Image.Image) -> Image.Image:
    """`image` at most 320 pixels wide and high, as Telegram's preview of size "m" is."""
    ratio = min(1.0, THUMB_SIDE / max(image.size))
    shape = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return image.resize(shape, Image.Resampling.BILINEAR, reducing_gap=1.5)


def encode(image: Image.Image) -> bytes:
    """`image` as a small JPEG."""
    return _encode(image, quality=75)


def _encode(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def _comment(size: int) -> bytes:
    """JPEG comment segments of `size` bytes in all (0, or at least 4)."""
    segments = []
    while size:
        length = min(size, COMMENT + 4)
        if 0 < size - length < 4:
            length -= 4
        segments.append(b"\xff\xfe" + (length - 2).to_bytes(2, "big") + b"\x20" * (length - 4))
        size -= length
    return b"".join(segments)


def _scan_ends(data: bytes) -> list[int]:
    """Where each but the last scan of a progressive JPEG ends: the marker behind its coded data."""
    ends = []
    at = data.find(b"\xff\xda")
    while at >= 0:
        end = at + 2
        while data[end] != 0xFF or data[end + 1] in (0, *range(0xD0, 0xD8)):
            end = data.find(b"\xff", end + 1)
        ends.append(end)
        at = data.find(b"\xff\xda", end)
    return ends[:-1]


@cache
def _stripped_tables() -> dict[int, list[int]]:
    """The quantization tables that every stripped thumbnail is coded with."""
    header = Image.open(io.BytesIO(stripped_photo_to_jpg(b"\x01\x10\x10")))
    if not isinstance(header, JpegImagePlugin.JpegImageFile):
        raise TypeError("the header of stripped thumbnails is no JPEG header")
    return dict(header.quantization)


def strip(image: Image.Image) -> bytes:
    """Telegram's stripped thumbnail: at most 40x40 pixels, coded, without the header that all share."""
    ratio = min(1.0, STRIPPED_SIDE / max(image.size))
    width, height = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.5)
    data = _encode(small, qtables=_stripped_tables(), subsampling="4:2:0")
    start = data.index(b"\xff\xda")
    body = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return bytes((1, height, width)) + data[body : -len(END)]
