"""MTProto transports: how packets are told apart in the byte stream of a connection.

Source: https://core.telegram.org/mtproto/mtproto-transports. A client's first bytes say which one it speaks.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple, Protocol
from zlib import crc32

from tobs.lab.crypto import ENVELOPE, BadPacketError
from tobs.lab.obfuscation import INIT, Obfuscated, streams

MAX_PACKET = 2_000_000
"""A client's packet holds at most a container of 1 MB; anything near this is not MTProto."""

MIN_PACKET = 8


QUICK_ACK = 0x80000000
MOST_PADDING = 15
MOST_TOKEN_PADDING = 8


class Packet(NamedTuple):
    """One packet of a client, and whether it asks for a quick acknowledgement."""

    data: bytes
    wants_token: bool = False


class Transport(Protocol):
    """One framing, with the state it needs for one connection."""

    def split(self, stream: bytearray) -> Packet | None:
        """Take one packet off the front of `stream`, or None when it is not whole yet.

        Raises `BadPacketError` when it cannot become one.
        """

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        """The pieces to write for one packet that is made of `parts`."""

    def token(self, token: bytes) -> tuple[bytes, ...]:
        """The pieces to write for a quick acknowledgement of 4 bytes."""


def _checked(length: int) -> int:
    if not MIN_PACKET <= length <= MAX_PACKET:
        raise BadPacketError(f"a packet of {length} bytes")
    return length


class Full:
    """Length, a counter from 0, payload, CRC-32; the only transport without a tag of its own."""

    def __init__(self) -> None:
        self._received = self._sent = 0

    def split(self, stream: bytearray) -> Packet | None:
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
        return Packet(packet)

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        head = struct.pack("<Ii", sum(map(len, parts)) + 12, self._sent)
        self._sent += 1
        checksum = crc32(head)
        for part in parts:
            checksum = crc32(part, checksum)
        return (head, *parts, struct.pack("<I", checksum))

    def token(self, token: bytes) -> tuple[bytes, ...]:
        raise BadPacketError(f"{token!r} cannot be sent: this transport has no quick acknowledgements")


class Abridged:
    """One byte of length in words, or 0x7f and three; tag 0xef."""

    def split(self, stream: bytearray) -> Packet | None:
        if not stream:
            return None
        wants_token, words, start = stream[0] > 0x7F, stream[0] & 0x7F, 1
        if words == 0x7F:
            if len(stream) < 4:
                return None
            words, start = int.from_bytes(stream[1:4], "little"), 4
        end = start + _checked(words * 4)
        if len(stream) < end:
            return None
        packet = bytes(stream[start:end])
        del stream[:end]
        return Packet(packet, wants_token)

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        words = sum(map(len, parts)) >> 2
        head = bytes((words,)) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")
        return (head, *parts)

    def token(self, token: bytes) -> tuple[bytes, ...]:
        return (token[::-1],)  # its set bit comes first, where a length would have none


class Intermediate:
    """Four bytes of length; tag 0xeeeeeeee."""

    def split(self, stream: bytearray) -> Packet | None:
        if len(stream) < 4:
            return None
        length = int.from_bytes(stream[:4], "little")
        end = 4 + _checked(length & ~QUICK_ACK)
        if len(stream) < end:
            return None
        packet = bytes(stream[4:end])
        del stream[:end]
        return Packet(packet, length >= QUICK_ACK)

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        return (struct.pack("<I", sum(map(len, parts))), *parts)

    def token(self, token: bytes) -> tuple[bytes, ...]:
        return (token,)


def _padding(most: int) -> bytes:
    return os.urandom(os.urandom(1)[0] % (most + 1))


class PaddedIntermediate(Intermediate):
    """As intermediate, with 0 to 15 random bytes after each packet, which its length includes; tag 0xdddddddd."""

    def split(self, stream: bytearray) -> Packet | None:
        packet = super().split(stream)
        if packet is None or packet.data[:8] == bytes(8):  # an unencrypted message says its own length
            return packet
        data = packet.data
        return packet._replace(data=data[: len(data) - (len(data) - ENVELOPE) % 16])

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        return super().frame(*parts, _padding(MOST_PADDING))

    def token(self, token: bytes) -> tuple[bytes, ...]:
        return super().frame(b"\xff\xff\xff\xff", token, _padding(MOST_TOKEN_PADDING))


_TAGS: dict[bytes, type[Abridged | Intermediate]] = {
    b"\xef\xef\xef\xef": Abridged,
    b"\xee\xee\xee\xee": Intermediate,
    b"\xdd\xdd\xdd\xdd": PaddedIntermediate,
}
_HTTP = (b"HEAD", b"POST", b"GET ", b"OPTI")


def detect(stream: bytearray) -> Transport | None:
    """Tell the transport by the first bytes, taking its tag off; None when more of them are needed.

    The first packet of the full transport has the number 0 in its second word, which the 64 bytes that open an
    obfuscated connection never have. Raises `BadPacketError` for what is no transport of this server.
    """
    if not stream:
        return None
    if stream[0] == 0xEF:
        del stream[:1]
        return Abridged()
    if len(stream) < 4:
        return None
    first = bytes(stream[:4])
    if first in _TAGS:
        del stream[:4]
        return _TAGS[first]()
    if first in _HTTP:
        raise BadPacketError("this server does not speak HTTP")
    if len(stream) < 8:
        return None
    return Full() if stream[4:8] == bytes(4) else _obfuscated(stream)


def _obfuscated(stream: bytearray) -> Transport | None:
    if len(stream) < INIT:
        return None
    init = bytes(stream[:INIT])
    received, sent = streams(init)
    tag = received.apply(init)[56:60]
    if tag not in _TAGS:
        raise BadPacketError("obfuscated, but no transport")
    del stream[:INIT]
    return Obfuscated(_TAGS[tag](), received, sent)
