"""MTProto transports: how packets are told apart in the byte stream of a connection.

Source: https://core.telegram.org/mtproto/mtproto-transports. A client's first bytes say which one it speaks.
"""

from __future__ import annotations

import struct
from typing import Protocol
from zlib import crc32

from tobs.lab.crypto import BadPacketError

MAX_PACKET = 2_000_000
"""A client's packet holds at most a container of 1 MB; anything near this is not MTProto."""

MIN_PACKET = 8


class Transport(Protocol):
    """One framing, with the state it needs for one connection."""

    def split(self, stream: bytearray) -> bytes | None:
        """Take one packet off the front of `stream`, or None when it is not whole yet.

        Raises `BadPacketError` when it cannot become one.
        """

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        """The pieces to write for one packet that is made of `parts`."""


def _checked(length: int) -> int:
    if not MIN_PACKET <= length <= MAX_PACKET:
        raise BadPacketError(f"a packet of {length} bytes")
    return length


class Full:
    """Length, a counter from 0, payload, CRC-32; the only transport without a tag of its own."""

    def __init__(self) -> None:
        self._received = self._sent = 0

    def split(self, stream: bytearray) -> bytes | None:
        if len(stream) < 8:
            return None
        length, number = struct.unpack_from("<Ii", stream)
        _checked(length - 12)
        if number != self._received:
            raise BadPacketError(f"packet {number} where {self._received} was next")
        if len(stream) < length:
            return None
        with memoryview(stream) as view:
            checksum = crc32(view[: length - 4])
            packet = bytes(view[8 : length - 4])
        if checksum != struct.unpack_from("<I", stream, length - 4)[0]:
            raise BadPacketError("wrong CRC")
        del stream[:length]
        self._received += 1
        return packet

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        head = struct.pack("<Ii", sum(map(len, parts)) + 12, self._sent)
        self._sent += 1
        checksum = crc32(head)
        for part in parts:
            checksum = crc32(part, checksum)
        return (head, *parts, struct.pack("<I", checksum))


class Abridged:
    """One byte of length in words, or 0x7f and three; tag 0xef."""

    def split(self, stream: bytearray) -> bytes | None:
        if not stream:
            return None
        words, start = stream[0] & 0x7F, 1  # the high bit asks for a quick acknowledgement, which is optional
        if words == 0x7F:
            if len(stream) < 4:
                return None
            words, start = int.from_bytes(stream[1:4], "little"), 4
        end = start + _checked(words * 4)
        if len(stream) < end:
            return None
        packet = bytes(stream[start:end])
        del stream[:end]
        return packet

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        words = sum(map(len, parts)) >> 2
        head = bytes((words,)) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")
        return (head, *parts)


class Intermediate:
    """Four bytes of length; tag 0xeeeeeeee."""

    def split(self, stream: bytearray) -> bytes | None:
        if len(stream) < 4:
            return None
        # the high bit asks for a quick acknowledgement, which is optional
        end = 4 + _checked(int.from_bytes(stream[:4], "little") & 0x7FFFFFFF)
        if len(stream) < end:
            return None
        packet = bytes(stream[4:end])
        del stream[:end]
        return packet

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        return (struct.pack("<I", sum(map(len, parts))), *parts)


def detect(stream: bytearray) -> Transport | None:
    """Tell the transport by the first bytes, taking its tag off; None when more of them are needed."""
    if not stream:
        return None
    if stream[0] == 0xEF:
        del stream[:1]
        return Abridged()
    if len(stream) < 4:
        return None
    if stream[:4] == b"\xee\xee\xee\xee":
        del stream[:4]
        return Intermediate()
    return Full()
