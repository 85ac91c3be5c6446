"""Real documents of an exact size in bytes around given bytes: PDF and ZIP."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from tobs.lab.stream import Stream

SMALLEST = 1_000
"""Bytes that a document has at least."""


def pdf(stream: Stream) -> tuple[bytes, Stream, bytes]:
    """A PDF of one page that names the stream's key and holds its beginning, `stream.size` bytes in all."""
    page = f"BT /F1 24 Tf 72 720 Td ({stream.key}) Tj ET".encode()
    filling = 0
    while True:  # how long a number of the cross-reference table is depends on the filling: twice round is enough
        head, tail = _pdf(page, filling)
        rest = stream.size - len(head) - filling - len(tail)
        if not rest:
            return head, Stream(stream.seed, stream.key, filling, stream.twist), tail
        filling += rest


def _pdf(page: bytes, filling: int) -> tuple[bytes, bytes]:
    """What is before and behind `filling` bytes."""
    parts = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R"
            b" /Resources << /Font << /F1 4 0 R >> >> >>"
        ),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %010d >>\nstream\n%b\nendstream" % (len(page), page),
        b"<< /Length %010d >>\nstream\n" % filling,
    )
    head = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, part in enumerate(parts, 1):
        places.append(len(head))
        head += b"%d 0 obj\n%b" % (number, part)
        if number < len(parts):
            head += b"\nendobj\n"
    tail = bytearray(b"\nendstream\nendobj\n")
    table = len(head) + filling + len(tail)
    tail += b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    tail += b"".join(b"%010d 00000 n \n" % place for place in places)
    tail += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%010d\n%%%%EOF\n" % (len(parts) + 1, table)
    return bytes(head), bytes(tail)


@dataclass(frozen=True, slots=True)
class Zipped:
    """A ZIP of one stored file, which holds the beginning of `stream`: `stream.size` bytes in all.

    It is made whole when it is read, for the checksum of a ZIP stands before what it is of; a few are kept.
    """

    stream: Stream

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return self.stream.size

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; fewer at the end, none behind it."""
        return _zipped(self.stream)[offset : offset + limit]

    def sha256(self) -> str:
        """The hash of the whole in hex."""
        return sha256(_zipped(self.stream)).hexdigest()


@lru_cache(maxsize=8)
def _zipped(stream: Stream) -> bytes:
    empty = len(_zip(b"", stream.key))
    return _zip(stream.read(0, stream.size)[: stream.size - empty], stream.key)


def _zip(content: bytes, key: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo(f"{key}.bin", date_time=(2024, 1, 31, 12, 0, 0))
        entry.create_system = 3  # else it differs between operating systems
        archive.writestr(entry, content)
    return out.getvalue()
