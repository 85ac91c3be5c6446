"""The server's side of the authorization key exchange, one `Handshake` a connection.

Source: https://core.telegram.org/mtproto/auth_key.
"""

from __future__ import annotations

import os
import secrets
import struct
import time
from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import cryptg
from telethon.tl import functions, types

from tobs.lab.crypto import AuthKey, BadPacketError, nonce_key
from tobs.lab.rsa_key import decrypt_inner, fingerprint, is_prime
from tobs.lab.tl import Reader, read_object

if TYPE_CHECKING:
    import rsa

DH_PRIME = int(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F"
    "48198A0AA7C14058229493D22530F4DBFA336F6E0AC925139543AED44CCE7C37"
    "20FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F64"
    "2477FE96BB2A941D5BCD1D4AC8CC49880708FA9B378E3C4F3A9060BEE67CF9A4"
    "A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754"
    "FD17ED950D5965B4B9DD46582DB1178D169C6BC465B0D6FF9CA3928FEF5B9AE4"
    "E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE9298"
    "51F0D8115F635B105EE2E4E15D04B2454BF6F4FADF034B10403119CD8E3B92FCC5B",
    16,
)
"""Telegram's 2048-bit safe prime, which clients know and need not test."""

G = 3
EXPONENT_BITS = 512
"""Twice the strength of the group is enough for a secret exponent, and 4 times cheaper than 2048 bits."""
_SAFE = 1 << 2048 - 64


@dataclass(frozen=True, slots=True)
class Done:
    """A finished exchange: the key, the salt that holds for it at first, and the seconds that it lives.

    `lives` is None for a permanent key.
    """

    key: AuthKey
    salt: int
    lives: int | None = None


def make_pq() -> tuple[int, int]:
    """Two primes p < q whose product stays below 2**63, since clients read it as signed."""

    def prime() -> int:
        while True:
            n = secrets.randbits(31) | 1 << 30 | 1
            if is_prime(n, 20):
                return n

    p = q = prime()
    while p == q:
        q = prime()
    return min(p, q), max(p, q)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _nonce(number: int, size: int = 16) -> bytes:
    return number.to_bytes(size, "little", signed=True)


class Handshake:
    """Answers the three steps in turn; a client may begin again at any time."""

    def __init__(self, key: rsa.PrivateKey) -> None:
        self._rsa = key
        self._nonce = self._server_nonce = 0
        self._p = self._q = self._secret = 0
        self._new_nonce = b""
        self._lives: int | None = None

    def answer(self, body: bytes) -> tuple[bytes, Done | None]:
        """Answer one unencrypted request (serialized): the serialized reply, and the key once there is one.

        An empty reply means that nothing is to be sent. Raises `BadPacketError` for whatever does not fit.
        """
        try:
            request = read_object(body)
        except Exception as error:  # the codec fails in many ways on hostile bytes
            raise BadPacketError(f"not a request of the key exchange: {error!r}") from error
        if isinstance(request, functions.ReqPqMultiRequest | functions.ReqPqRequest):
            return self._begin(request), None
        if isinstance(request, types.MsgsAck):
            return b"", None
        if not self._server_nonce or (
            getattr(request, "nonce", None) != self._nonce
            or getattr(request, "server_nonce", None) != self._server_nonce
        ):
            raise BadPacketError("a step of the key exchange without its nonces")
        if isinstance(request, functions.ReqDHParamsRequest) and not self._new_nonce:
            return self._offer(request), None
        if isinstance(request, functions.SetClientDHParamsRequest) and self._new_nonce:
            return self._finish(request)
        raise BadPacketError(f"{type(request).__name__} is not the next step of the key exchange")

    def _begin(self, request: Any) -> bytes:
        self._nonce = request.nonce
        self._server_nonce = int.from_bytes(os.urandom(16), "little", signed=True)
        self._new_nonce = b""
        self._p, self._q = make_pq()
        pq = _bytes(self._p * self._q)
        reply = types.ResPQ(self._nonce, self._server_nonce, pq, [fingerprint(self._rsa)])
        return bytes(reply)

    def _inner(self, data: bytes) -> Any:
        try:
            candidates = decrypt_inner(self._rsa, data)
        except ValueError as error:
            raise BadPacketError(str(error)) from error
        for plain, digest in candidates:
            reader = Reader(plain)
            try:
                inner = reader.tgread_object()
            except Exception:  # noqa: BLE001, S112  wrong padding leaves noise, which fails in many ways
                continue
            data_length = reader.tell_position()
            if digest is None or sha1(plain[:data_length], usedforsecurity=False).digest() == digest:
                return inner
        raise BadPacketError("encrypted_data was not made for this key")

    def _offer(self, request: Any) -> bytes:
        if (_number(request.p), _number(request.q)) != (self._p, self._q):
            raise BadPacketError("wrong factors of pq")
        if request.public_key_fingerprint != fingerprint(self._rsa):
            raise BadPacketError("a key that this server does not have")
        inner = self._inner(request.encrypted_data)
        if not isinstance(
            inner, types.PQInnerData | types.PQInnerDataDc | types.PQInnerDataTemp | types.PQInnerDataTempDc
        ):
            raise BadPacketError("encrypted_data holds no inner data")
        if (inner.nonce, inner.server_nonce) != (self._nonce, self._server_nonce):
            raise BadPacketError("nonces differ inside the encrypted data")
        self._new_nonce = _nonce(inner.new_nonce, 32)
        self._lives = getattr(inner, "expires_in", None)
        g_a = 0
        while not _SAFE <= g_a <= DH_PRIME - _SAFE:
            self._secret = secrets.randbits(EXPONENT_BITS)
            g_a = pow(G, self._secret, DH_PRIME)
        answer = bytes(
            types.ServerDHInnerData(self._nonce, self._server_nonce, G, _bytes(DH_PRIME), _bytes(g_a), int(time.time()))
        )
        plain = sha1(answer, usedforsecurity=False).digest() + answer
        plain += os.urandom(-len(plain) % 16)
        encrypted = cryptg.encrypt_ige(plain, *nonce_key(self._new_nonce, _nonce(self._server_nonce)))
        return bytes(types.ServerDHParamsOk(self._nonce, self._server_nonce, encrypted))

    def _finish(self, request: Any) -> tuple[bytes, Done | None]:
        data = request.encrypted_data
        if not data or len(data) % 16:
            raise BadPacketError("encrypted_data is not whole blocks")
        plain = cryptg.decrypt_ige(data, *nonce_key(self._new_nonce, _nonce(self._server_nonce)))
        reader = Reader(plain[20:])
        try:
            inner = reader.tgread_object()
        except Exception as error:  # the codec fails in many ways on hostile bytes
            raise BadPacketError("no inner data of the client") from error
        length = reader.tell_position()
        if sha1(plain[20 : 20 + length], usedforsecurity=False).digest() != plain[:20]:
            raise BadPacketError("inner data of the client does not fit its hash")
        if not isinstance(inner, types.ClientDHInnerData) or (
            (inner.nonce, inner.server_nonce) != (self._nonce, self._server_nonce)
        ):
            raise BadPacketError("nonces differ inside the encrypted data")
        g_b = _number(inner.g_b)
        if not _SAFE <= g_b <= DH_PRIME - _SAFE:
            return self._verdict(types.DhGenFail, 3, bytes(8)), None
        # One key in 256 begins with a zero, which belongs to it. Telethon leaves it out, finds that the hash does not
        # fit, and begins again by itself; kurigram would not understand to be asked for another one.
        key = AuthKey.of(pow(g_b, self._secret, DH_PRIME).to_bytes(256, "big"))
        salt = bytes(a ^ b for a, b in zip(self._new_nonce[:8], _nonce(self._server_nonce)[:8], strict=True))
        reply = self._verdict(types.DhGenOk, 1, key.aux_hash)
        self._server_nonce, self._new_nonce = 0, b""
        return reply, Done(key, int(struct.unpack("<q", salt)[0]), self._lives)

    def _verdict(self, kind: Any, number: int, aux_hash: bytes) -> bytes:
        digest = sha1(self._new_nonce + bytes((number,)) + aux_hash, usedforsecurity=False).digest()
        hashed = int.from_bytes(digest[4:20], "little", signed=True)
        return bytes(kind(self._nonce, self._server_nonce, hashed))
