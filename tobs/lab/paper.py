"""Small real documents of an exact size in bytes: PDF and ZIP."""

from __future__ import annotations

import io
import zipfile

from tobs.lab.draws import seeded_bytes


def pdf(size: int, key: str, seed: int) -> bytes:
    """A PDF of one page that names its key, filled to `size` bytes (at least 1,000) by a random stream."""
    page = f"BT /F1 24 Tf 72 720 Td ({key}) Tj ET".encode()
    filling = 0
    while True:  # the numbers in the cross-reference table depend on the filling: twice round is enough
        data = _pdf(page, seeded_bytes(filling, "pdf", seed, key))
        if len(data) == size:
            return data
        filling += size - len(data)


def _pdf(page: bytes, filling: bytes) -> bytes:
    parts = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R"
            b" /Resources << /Font << /F1 4 0 R >> >> >>"
        ),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %010d >>\nstream\n%b\nendstream" % (len(page), page),
        b"<< /Length %010d >>\nstream\n%b\nendstream" % (len(filling), filling),
    )
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%010d\n%%%%EOF\n" % (len(parts) + 1, table)
    return bytes(out)


def zipped(size: int, key: str, seed: int) -> bytes:
    """A ZIP of one stored file, `size` bytes in all (at least 1,000)."""
    empty = len(_zip(b"", key))
    return _zip(seeded_bytes(size - empty, "zip", seed, key), key)


def _zip(content: bytes, key: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo(f"{key}.bin", date_time=(2024, 1, 31, 12, 0, 0))
        entry.create_system = 3  # else it differs between operating systems
        archive.writestr(entry, content)
    return out.getvalue()
