"""Logging in: codes, passwords by SRP, and authorizations on their way to another data centre.

Source: https://core.telegram.org/api/srp, https://core.telegram.org/api/auth.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from hashlib import pbkdf2_hmac, sha256

from telethon.tl import types

from tobs.lab.handshake import DH_PRIME, G

MAX_WAITING = 1024
_P = DH_PRIME.to_bytes(256, "big")
_G = G.to_bytes(256, "big")
_K = int.from_bytes(sha256(_P + _G).digest(), "big")


def _hash(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def _wide(number: int) -> bytes:
    return number.to_bytes(256, "big")


class Logins:
    """What was handed out and may come back once: code hashes, SRP challenges, exported authorizations."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._salts = secrets.token_bytes(24), secrets.token_bytes(16)
        self._verifier: int | None = None
        self._codes: OrderedDict[str, str] = OrderedDict()
        self._challenges: OrderedDict[int, int] = OrderedDict()
        self._exported: OrderedDict[bytes, tuple[int, int, int]] = OrderedDict()

    def send_code(self, phone: str) -> str:
        """Note that a code was sent to a phone; the hash that has to come back with it."""
        code_hash = secrets.token_hex(9)
        self._codes[code_hash] = phone
        while len(self._codes) > MAX_WAITING:
            self._codes.popitem(last=False)
        return code_hash

    def phone_of(self, code_hash: str) -> str | None:
        """The phone a code hash was made for."""
        return self._codes.get(code_hash)

    def spend_code(self, code_hash: str) -> None:
        """The code was right: it cannot be used again."""
        self._codes.pop(code_hash, None)

    def export(self, user_id: int, dc: int, login: int) -> bytes:
        """Hand out bytes that take a user's login to another data centre, once."""
        token = secrets.token_bytes(96)
        self._exported[token] = (user_id, dc, login)
        while len(self._exported) > MAX_WAITING:
            self._exported.popitem(last=False)
        return token

    def redeem(self, user_id: int, dc: int, token: bytes) -> int | None:
        """The login that was exported in these bytes for this user and data centre; they are spent by asking."""
        owner, where, login = self._exported.pop(token, (None, None, None))
        return login if (owner, where) == (user_id, dc) else None

    def forget(self, login: int) -> None:
        """What was exported of a login that is no more logs nobody in."""
        self._exported = OrderedDict((token, given) for token, given in self._exported.items() if given[2] != login)

    @property
    def _algo(self) -> types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow:
        return types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(*self._salts, G, _P)

    def challenge(self) -> types.account.Password:
        """`account.password`, with an SRP challenge when there is a password."""
        new = {
            "new_algo": self._algo,
            "new_secure_algo": types.SecurePasswordKdfAlgoUnknown(),
            "secure_random": secrets.token_bytes(256),
        }
        if not self._password:
            return types.account.Password(**new)
        if self._verifier is None:
            first, second = self._salts
            inner = _hash(second, _hash(first, self._password, first), second)
            x = _hash(second, pbkdf2_hmac("sha512", inner, first, 100_000), second)
            self._verifier = pow(G, int.from_bytes(x, "big"), DH_PRIME)
        srp_id, secret = secrets.randbits(62), secrets.randbits(2048)
        self._challenges[srp_id] = secret
        while len(self._challenges) > MAX_WAITING:
            self._challenges.popitem(last=False)
        b = (_K * self._verifier + pow(G, secret, DH_PRIME)) % DH_PRIME
        return types.account.Password(
            **new, has_password=True, current_algo=self._algo, srp_B=_wide(b), srp_id=srp_id, hint="lab"
        )

    def check(self, srp_id: int, a: bytes, proof: bytes) -> bool | None:
        """Whether the proof (M1) fits challenge and password; None for a challenge nobody was given."""
        secret = self._challenges.pop(srp_id, None)
        if secret is None or self._verifier is None:
            return None
        number = int.from_bytes(a, "big")
        if len(a) > 256 or not 1 < number < DH_PRIME - 1:
            return False
        wide_a = _wide(number)
        wide_b = _wide((_K * self._verifier + pow(G, secret, DH_PRIME)) % DH_PRIME)
        u = int.from_bytes(_hash(wide_a, wide_b), "big")
        shared = pow(number * pow(self._verifier, u, DH_PRIME), secret, DH_PRIME)
        mixed = bytes(x ^ y for x, y in zip(_hash(_P), _hash(_G), strict=True))
        first, second = self._salts
        return secrets.compare_digest(
            proof, _hash(mixed, _hash(first), _hash(second), wide_a, wide_b, _hash(_wide(shared)))
        )
