"""The obfuscated transport: any framing under AES-256-CTR, both ways, with keys from the first 64 bytes.

Source: https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation. Only what clients use on a
direct connection is spoken here; the secret of a proxy is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cryptg

if TYPE_CHECKING:
    from tobs.lab.transport import Packet, Transport

INIT = 64
"""Bytes that open an obfuscated connection."""

_BLOCK = 16
_COUNTERS = 1 << 128
_NO_CHAIN = bytes(32)


class Stream:
    """AES-256-CTR from a 32-byte key and a 16-byte first counter; the same call encrypts and decrypts.

    cryptg has no counter mode: one block of AES-IGE with an IV of zeros is the bare block cipher (about 30 MB/s).
    """

    __slots__ = ("_counter", "_key", "_left")

    def __init__(self, key: bytes, counter: bytes) -> None:
        self._key = key
        self._counter = int.from_bytes(counter, "big")
        self._left = b""

    def apply(self, data: bytes | bytearray) -> bytes:
        """`data` under the next bytes of the key stream."""
        size = len(data)
        blocks = -(-(size - len(self._left)) // _BLOCK)
        if blocks > 0:
            cipher, key, first = cryptg.encrypt_ige, self._key, self._counter
            counters = range(first, first + blocks)
            self._left += b"".join([cipher((n % _COUNTERS).to_bytes(_BLOCK, "big"), key, _NO_CHAIN) for n in counters])
            self._counter = (first + blocks) % _COUNTERS
        used, self._left = self._left[:size], self._left[size:]
        return (int.from_bytes(data, "big") ^ int.from_bytes(used, "big")).to_bytes(size, "big")


def streams(init: bytes) -> tuple[Stream, Stream]:
    """The key streams of the client and of the server that a client's 64 bytes stand for, both at their start."""
    turned = init[::-1]
    return Stream(init[8:40], init[40:56]), Stream(turned[8:40], turned[40:56])


class Obfuscated:
    """A framing inside of both key streams."""

    def __init__(self, inside: Transport, received: Stream, sent: Stream) -> None:
        self._inside = inside
        self._received, self._sent = received, sent
        self._plain = bytearray()

    def split(self, stream: bytearray) -> Packet | None:
        """Take what is there off `stream`, and one packet off what it says: see `Transport`."""
        if stream:
            self._plain += self._received.apply(stream)
            stream.clear()
        return self._inside.split(self._plain)

    def frame(self, *parts: bytes) -> tuple[bytes, ...]:
        """The pieces to write for one packet that is made of `parts`."""
        return (self._sent.apply(b"".join(self._inside.frame(*parts))),)

    def token(self, token: bytes) -> tuple[bytes, ...]:
        """The pieces to write for a quick acknowledgement."""
        return (self._sent.apply(b"".join(self._inside.token(token))),)
