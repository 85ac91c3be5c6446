"""MTProto 2.0 encryption of whole messages, seen from the server.

Source: https://core.telegram.org/mtproto/description. cryptg does AES-IGE; hashlib the rest.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from typing import TYPE_CHECKING

import cryptg

if TYPE_CHECKING:
    from tobs.lab.tl import Chunks

HEADER = struct.Struct("<qqqii")
"""Salt, session id, message id, sequence number, length of the body: the start of an encrypted message."""

ENVELOPE = 24
"""Bytes of key id and message key before the encrypted part."""


@dataclass(frozen=True, slots=True)
class AuthKey:
    """An authorization key of 256 bytes, its 8-byte id as on the wire, and the slices that are hashed."""

    key: bytes = field(repr=False)
    id: bytes
    aux_hash: bytes
    from_client: tuple[bytes, bytes, bytes] = field(repr=False)
    from_server: tuple[bytes, bytes, bytes] = field(repr=False)

    @staticmethod
    def of(key: bytes) -> AuthKey:
        """Wrap raw key bytes; the id is the lower 64 bits of their SHA-1, the auxiliary hash the upper."""
        if len(key) != 256:
            raise ValueError(f"an authorization key has 256 bytes, not {len(key)}")
        digest = sha1(key, usedforsecurity=False).digest()
        return AuthKey(
            key,
            digest[12:20],
            digest[:8],
            (key[88:120], key[0:36], key[40:76]),
            (key[96:128], key[8:44], key[48:84]),
        )


class BadPacketError(Exception):
    """What came over the wire is not a packet of this protocol or key; the connection has to be closed."""


def _aes(msg_key: bytes, a: bytes, b: bytes) -> tuple[bytes, bytes]:
    x = sha256(msg_key + a).digest()
    y = sha256(b + msg_key).digest()
    return x[:8] + y[8:24] + x[24:], y[:8] + x[8:24] + y[24:]


def encrypt(key: AuthKey, salt: int, session: int, msg_id: int, seq: int, body: Chunks) -> tuple[bytes, bytes]:
    """Encrypt one message to the client: the 24-byte envelope and the cipher text that follows it."""
    length = sum(map(len, body))
    padding = os.urandom(12 + -(length + HEADER.size + 12) % 16)
    plain = b"".join((HEADER.pack(salt, session, msg_id, seq, length), *body, padding))
    checked, a, b = key.from_server
    digest = sha256(checked)
    digest.update(plain)
    msg_key = digest.digest()[8:24]
    return key.id + msg_key, cryptg.encrypt_ige(plain, *_aes(msg_key, a, b))


def decrypt(key: AuthKey, packet: bytes) -> tuple[bytes, bytes]:
    """Decrypt one packet of the client (envelope and cipher text).

    Returns header, body and padding, checked, and the token of 4 bytes that acknowledges the packet quickly.

    Raises `BadPacketError` when it was not made with this key or is malformed.
    """
    if len(packet) < ENVELOPE + HEADER.size or (len(packet) - ENVELOPE) % 16:
        raise BadPacketError("the encrypted part is not whole blocks")
    msg_key = packet[8:24]
    checked, a, b = key.from_client
    plain: bytes = cryptg.decrypt_ige(packet[24:], *_aes(msg_key, a, b))
    digest = sha256(checked + plain).digest()
    if digest[8:24] != msg_key:
        raise BadPacketError("the message key does not fit the message")
    length = HEADER.unpack_from(plain)[4]
    padding = len(plain) - HEADER.size - length
    if length < 4 or length % 4 or not 12 <= padding <= 1024:
        raise BadPacketError("the length of the message does not fit its padding")
    return plain, digest[:3] + bytes((digest[3] | 0x80,))


def wire_size(body_length: int) -> int:
    """Bytes that a message with a body of `body_length` takes, transport framing left out."""
    plain = HEADER.size + body_length + 12
    return ENVELOPE + plain + -plain % 16


def nonce_key(new_nonce: bytes, server_nonce: bytes) -> tuple[bytes, bytes]:
    """AES key and IV of the key exchange, from its two nonces (32 and 16 bytes)."""
    a = sha1(new_nonce + server_nonce, usedforsecurity=False).digest()
    b = sha1(server_nonce + new_nonce, usedforsecurity=False).digest()
    c = sha1(new_nonce + new_nonce, usedforsecurity=False).digest()
    return a + b[:12], b[12:] + c + new_nonce[:4]
