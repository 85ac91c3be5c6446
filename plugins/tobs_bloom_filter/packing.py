"""What is kept between runs: bytes, compressed by zstd with a checksum, as text in a small JSON value."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from importlib.metadata import version
from typing import Any

import zstandard

FORMAT = f"1 {sys.byteorder} {version('tobs')}"
"""A value of another format counts as none: another byte order's, or that of a TOBS that may make other rows."""
LARGEST = 1 << 26
"""Bytes that a value holds at most: far above what a range of the largest size needs."""


def packed(data: bytes, **facts: Any) -> dict[str, Any]:
    """A JSON value with these facts and this data."""
    held = zstandard.ZstdCompressor(level=3, write_checksum=True, write_content_size=True).compress(data)
    return {"format": FORMAT, "data": b64encode(held).decode(), **facts}


def unpacked(value: dict[str, Any]) -> bytes | None:
    """The data of a value; None where there is none, it is damaged, or another format's."""
    if value.get("format") != FORMAT:
        return None
    try:
        held = b64decode(value["data"], validate=True)
        size = zstandard.frame_content_size(held)
        if not 0 <= size <= LARGEST:
            return None
        data = zstandard.ZstdDecompressor().decompress(held)
    except (KeyError, TypeError, ValueError, zstandard.ZstdError):
        return None
    return data if len(data) == size else None
