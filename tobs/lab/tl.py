"""Pieces of the TL wire format, for answers whose messages and file bytes are bytes already, and a safe reader.

Source: https://core.telegram.org/mtproto/serialize. Everything is little endian and aligned to 4 bytes.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

from telethon.extensions import BinaryReader

if TYPE_CHECKING:
    from collections.abc import Sequence

VECTOR = b"\x15\xc4\xb5\x1c"
GZIP_PACKED = 0x3072CFA1
CONTAINER = 0x73F1F8DC
RPC_RESULT = 0xF35C6D01
_PIECES = frozenset((GZIP_PACKED, CONTAINER, RPC_RESULT))
MOST_NESTED = 32
MOST_UNPACKED = 1 << 20
Chunks = tuple[bytes, ...]
"""One serialized object in pieces, joined once when it is encrypted."""


def vector(items: Sequence[bytes]) -> bytes:
    """Serialize `Vector t` from its boxed items."""
    return b"".join((VECTOR, struct.pack("<i", len(items)), *items))


def bytes_head(length: int) -> bytes:
    """The length prefix of a TL `bytes` of `length` bytes (below 2**24)."""
    if length < 254:
        return bytes((length,))
    return struct.pack("<I", 254 | length << 8)


def bytes_tail(length: int) -> bytes:
    """The zeros that align a TL `bytes` of `length` bytes to 4."""
    return bytes(-(length + (1 if length < 254 else 4)) % 4)


def pack_bytes(data: bytes) -> bytes:
    """Serialize a TL `bytes`."""
    return b"".join((bytes_head(len(data)), data, bytes_tail(len(data))))


def gzip_packed(data: bytes, level: int = 3) -> bytes:
    """Serialize `gzip_packed` around a serialized object."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    packed = packer.compress(data) + packer.flush()
    return struct.pack("<I", GZIP_PACKED) + pack_bytes(packed)


def read_bytes(data: bytes | memoryview, at: int) -> tuple[bytes, int]:
    """Read a TL `bytes` at `at`: its content and the place after it. ValueError when it is cut short."""
    if at >= len(data):
        raise ValueError("no bytes at the end of the data")
    length = data[at]
    start = at + 1
    if length == 254:
        length = int.from_bytes(data[at + 1 : at + 4], "little")
        start = at + 4
    end = start + length
    if end > len(data):
        raise ValueError("bytes run past the end of the data")
    return bytes(data[start:end]), end + (at - end) % 4


def gunzip(data: bytes, limit: int) -> bytes:
    """Unpack the body of a `gzip_packed` (after its constructor); ValueError beyond `limit` bytes."""
    return unpack(read_bytes(data, 0)[0], limit)


def unpack(packed: bytes, limit: int) -> bytes:
    """Unpack a gzip stream; ValueError beyond `limit` bytes."""
    unpacker = zlib.decompressobj(31)
    try:
        result = unpacker.decompress(packed, limit)
    except zlib.error as error:
        raise ValueError(f"not gzip: {error}") from error
    if not unpacker.eof:
        raise ValueError("packed data is too long or cut short")
    return result


class Reader(BinaryReader):  # type: ignore[misc]
    """The codec's reader for what a stranger wrote.

    Objects are nested at most MOST_NESTED deep, packed data unpacks to at most MOST_UNPACKED bytes and holds no
    packed data, and what only the protocol itself may hold (containers, results) is no object.
    """

    def __init__(self, data: bytes, *, depth: int = 0, packed: bool = False) -> None:
        super().__init__(data)
        self._depth = depth
        self._packed = packed

    def tgread_object(self) -> Any:
        """Read one object. ValueError for what is said above; the codec raises whatever else does not fit."""
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise ValueError("nested too deep")
        at = self.position
        constructor = int.from_bytes(self.stream[at : at + 4], "little")
        found = self._piece(constructor) if constructor in _PIECES else super().tgread_object()
        self._depth -= 1
        return found

    def _piece(self, constructor: int) -> Any:
        if constructor != GZIP_PACKED:
            raise ValueError("no object, but a piece of the protocol")
        if self._packed:
            raise ValueError("packed data in packed data")
        self.read_int()
        return Reader(unpack(self.tgread_bytes(), MOST_UNPACKED), depth=self._depth, packed=True).tgread_object()


def read_object(data: bytes) -> Any:
    """Read one object that a stranger wrote; fails in many ways when it is none."""
    return Reader(data).tgread_object()
