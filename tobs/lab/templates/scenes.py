"""Pictures drawn with Pillow: what the templates of photos, stickers and clips show."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, JpegImagePlugin
from telethon.utils import stripped_photo_to_jpg

from tobs.lab.draws import Draws, seeded_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

THUMB_SIDE = 320
STRIPPED_SIDE = 40
QUALITY = 82
END = b"\xff\xd9"
BACKGROUNDS = ((32, 92, 160), (184, 84, 60), (46, 120, 82), (120, 70, 150), (60, 60, 68))


def pattern(width: int, height: int, grain: int, key: str) -> Image.Image:
    """Soft coloured noise with grains of `grain` pixels: the finer, the more bytes it takes."""
    columns, rows = max(2, width // grain), max(2, height // grain)
    coarse = Image.frombytes("RGB", (columns, rows), seeded_bytes(columns * rows * 3, "pattern", key))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def emblem(side: int, number: int, turn: float = 0.0) -> Image.Image:
    """A face on nothing, `side` pixels square; `turn` (0 to 1) moves its mouth: a sticker."""
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    colour = BACKGROUNDS[number % len(BACKGROUNDS)]
    unit = side / 16
    pen.ellipse((unit, unit, 15 * unit, 15 * unit), fill=(*colour, 255), outline=(255, 255, 255, 255), width=side // 40)
    for eye in (5.5, 10.5):
        pen.ellipse(((eye - 1) * unit, 5 * unit, (eye + 1) * unit, 7 * unit), fill=(255, 255, 255, 255))
    wide = 30 + 100 * abs(0.5 - turn)
    pen.arc(
        (4 * unit, 5 * unit, 12 * unit, 12 * unit), 90 - wide, 90 + wide, fill=(255, 255, 255, 255), width=side // 20
    )
    return image


def film(width: int, height: int, frames: int, number: int) -> Iterator[Image.Image]:
    """`frames` pictures of a disc that crosses a coloured field."""
    ground = Image.linear_gradient("L").resize((width, height))
    colour = BACKGROUNDS[number % len(BACKGROUNDS)]
    field = Image.merge("RGB", [ground.point(lambda value, part=part: (value + part) // 2) for part in colour])
    radius = min(width, height) // 6
    for frame in range(frames):
        image = field.copy()
        way = (frame + 1) / (frames + 1)
        x = round(radius + way * (width - 2 * radius))
        y = round(height / 2 + (height / 3) * (way - 0.5) * (-1) ** number)
        ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 220, 120))
        yield image


def jpeg(image: Image.Image, **options: Any) -> bytes:
    """`image` as JPEG."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", **({"quality": QUALITY} | options))
    return out.getvalue()


def photo(size: int, shape: tuple[int, int], key: str) -> tuple[Image.Image, bytes]:
    """A progressive JPEG of about `size` bytes, at most that; as many pixels of `shape` as these can carry."""
    draws = Draws("photo", key)
    grain = draws.pick((14, 20, 28))
    ratio = 1.0
    while True:
        width, height = max(16, round(shape[0] * ratio)), max(16, round(shape[1] * ratio))
        image = pattern(width, height, grain, key)
        data = jpeg(image, progressive=True)
        if len(data) <= size:
            return image, data
        ratio *= min(0.97, (size / len(data)) ** 0.5)


def scan_ends(data: bytes) -> list[int]:
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


def reduce(image: Image.Image, side: int = THUMB_SIDE) -> Image.Image:
    """`image` at most `side` pixels wide and high, as Telegram's preview of size "m" is."""
    ratio = min(1.0, side / max(image.size))
    shape = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return image.resize(shape, Image.Resampling.BILINEAR)


def strip(image: Image.Image) -> bytes:
    """Telegram's stripped thumbnail: at most 40x40 pixels, coded, without the header that all share."""
    small = reduce(image.convert("RGB"), STRIPPED_SIDE)
    header = Image.open(io.BytesIO(stripped_photo_to_jpg(b"\x01\x10\x10")))
    if not isinstance(header, JpegImagePlugin.JpegImageFile):
        raise TypeError("the header of stripped thumbnails is no JPEG header")
    out = io.BytesIO()
    small.save(out, "JPEG", qtables=dict(header.quantization), subsampling="4:2:0")
    data = out.getvalue()
    start = data.index(b"\xff\xda")
    body = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return bytes((1, small.height, small.width)) + data[body : -len(END)]
