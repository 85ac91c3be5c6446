"""Files to derive others from, made for a test, and jobs on them."""

from __future__ import annotations

import hashlib
import math
import random
import struct
import wave
import zlib
from array import array
from typing import TYPE_CHECKING

import av
from PIL import Image, ImageFilter, ImageOps

from tobs.archive.transform.recipes import BY_NAME
from tobs.values import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def job(source: Path, transform: str, folder: Path) -> Job:
    """What core asks of a transform for a file; the result goes into a folder."""
    recipe = BY_NAME[transform]
    content = hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else "0" * 64
    return Job(transform, source, content, recipe.written, recipe.library, folder / f"{transform}{recipe.suffix}")


def picture(path: Path, size: tuple[int, int] = (800, 600), mode: str = "RGB", turned: int = 0) -> Path:
    """A gradient; `turned` is an EXIF orientation."""
    image = Image.linear_gradient("L").resize(size).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.new("L", size, 0))
    exif = Image.Exif()
    if turned:
        exif[0x0112] = turned
    image.save(path, exif=exif)
    return path


def giant_png(path: Path, side: int) -> Path:
    """A PNG of `side` times `side` pixels in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" + bytes(side * 3)
    data = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def video(path: Path, size: tuple[int, int] = (640, 360), seconds: int = 8, rate: int = 10) -> Path:
    """A clip that pans slowly over clouds: not every coder gives the same bytes for it each time."""
    count = seconds * rate
    wide = (size[0] + count, size[1])
    noise = Image.frombytes("L", wide, random.Random(7).randbytes(wide[0] * wide[1]))
    clouds = ImageOps.autocontrast(noise.filter(ImageFilter.GaussianBlur(3)))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 4_000_000
        for at in range(count):
            seen = clouds.crop((at, 0, at + size[0], size[1]))
            out.mux(stream.encode(av.VideoFrame.from_image(seen)))  # type: ignore[no-untyped-call]
        out.mux(stream.encode(None))
    return path


def voice(path: Path, loud: Callable[[float], float], seconds: float = 2.0) -> Path:
    """A tone whose loudness is a function of the share of its time."""
    hertz = 8000
    count = round(seconds * hertz)
    tone = array("h", (round(loud(at / count) * 30_000 * math.sin(at)) for at in range(count)))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(hertz)
        out.writeframes(tone.tobytes())
    return path
