"""Decoders that tell whether a file of the lab is what it is called."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import av
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tobs.lab.stream import Readable
    from tobs.lab.templates import Template


class Seekable(io.RawIOBase):
    """A content as a file, so that a decoder may jump about in gigabytes."""

    def __init__(self, content: Readable) -> None:
        self.content = content
        self.place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = (0, self.place, self.content.size)[whence] + offset
        return self.place

    def readinto(self, buffer: Any) -> int:
        data = self.content.read(self.place, len(buffer))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


def decode(content: Readable) -> tuple[float, Counter[str], tuple[int, int]]:
    """Seconds, frames by kind and shape of a clip, every frame of which was decoded."""
    file: Any = Seekable(content)
    with av.open(file) as container:
        counts = Counter(type(frame).__name__ for frame in container.decode())
        shape = next(((stream.width, stream.height) for stream in container.streams.video), (0, 0))
        assert container.duration is not None
        return container.duration / 1_000_000, counts, shape


def check(content: Readable, form: str, template: Template | None = None) -> None:
    """Decode a file of `form` whole; it shows what its template says."""
    if form in ("jpg", "png", "webp"):
        with Image.open(io.BytesIO(content.read(0, content.size))) as image:
            image.load()
            assert image.format == {"jpg": "JPEG"}.get(form, form.upper())
            assert not template or image.size == template.shape
    elif form == "tgs":
        animation = json.loads(gzip.decompress(content.read(0, content.size)))
        assert (animation["w"], animation["h"], animation["tgs"]) == (512, 512, 1)
    elif form == "zip":
        with zipfile.ZipFile(io.BytesIO(content.read(0, content.size))) as archive:
            assert archive.testzip() is None
    elif form == "pdf":
        check_pdf(content.read(0, content.size))
    elif template:
        seconds, counts, shape = decode(content)
        assert seconds == pytest.approx(template.seconds, abs=0.01)
        assert shape == template.shape
        assert (counts["VideoFrame"] > 1) == (template.kind in ("video", "round", "animation", "sticker"))
        assert (counts["AudioFrame"] > 1) == (template.kind in ("video", "round", "voice", "audio"))


def check_pdf(data: bytes) -> None:
    assert data.endswith(b"%%EOF\n")
    table = int(data[data.rindex(b"startxref\n") + 10 :].split()[0])
    places = [int(row.split()[0]) for row in data[table:].split(b"\n")[3:9]]
    for number, place in enumerate(places, 1):
        assert data[place:].startswith(b"%d 0 obj" % number)
    start = data.rindex(b"stream\n", 0, data.rindex(b"\nendstream")) + 7
    length = int(data[data.rindex(b"/Length ", 0, start) + 8 :].split()[0])
    assert data[start + length :].startswith(b"\nendstream\nendobj\nxref")
