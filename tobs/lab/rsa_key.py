"""The lab's own RSA key: made fast, printed as PKCS#1 for clients, and both paddings undone.

Source: https://core.telegram.org/mtproto/auth_key.
"""

from __future__ import annotations

import secrets
import struct
from hashlib import sha1, sha256
from math import gcd

import cryptg
import rsa

from tobs.lab.tl import pack_bytes

EXPONENT = 65537


def is_prime(n: int, rounds: int = 8) -> bool:
    """Miller-Rabin with random bases; wrong with a chance below 4**-rounds."""
    if n < 4:
        return n in (2, 3)
    if n % 2 == 0:
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(rounds):
        x = pow(2 + secrets.randbelow(n - 3), odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def _small_primes(limit: int) -> list[int]:
    sieve = bytearray(b"\1") * limit
    for n in range(2, int(limit**0.5) + 1):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(range(n * n, limit, n)))
    return [n for n in range(3, limit) if sieve[n]]


def make_prime(bits: int) -> int:
    """A random prime with its two highest bits set, by sieving an interval first (0.1 s for 1024 bits)."""
    span = 16 * bits
    primes = [p for p in _small_primes(20_000) if p.bit_length() * 2 < bits]
    while True:
        start = secrets.randbits(bits) | (3 << bits - 2) | 1
        odds = bytearray(b"\1") * span
        for p in primes:
            first = -start * pow(2, -1, p) % p
            odds[first::p] = bytes(len(range(first, span, p)))
        for k, candidate in enumerate(odds):
            n = start + 2 * k
            if candidate and n.bit_length() == bits and pow(2, n - 1, n) == 1 and is_prime(n):
                return n


def make_rsa_key() -> rsa.PrivateKey:
    """A fresh RSA-2048 key."""
    while True:
        p, q = make_prime(1024), make_prime(1024)
        order = (p - 1) * (q - 1)
        if p != q and gcd(EXPONENT, order) == 1:
            return rsa.PrivateKey(p * q, EXPONENT, pow(EXPONENT, -1, order), p, q)


def public_pem(key: rsa.PrivateKey) -> str:
    """The public half as PKCS#1 PEM, which `telethon.crypto.rsa.add_key` reads."""
    return rsa.PublicKey(key.n, key.e).save_pkcs1().decode()


def fingerprint(key: rsa.PrivateKey | rsa.PublicKey) -> int:
    """The signed 64-bit fingerprint that names this key in `resPQ`."""
    n = key.n.to_bytes(256, "big")
    e = key.e.to_bytes((key.e.bit_length() + 7) // 8, "big")
    digest = sha1(pack_bytes(n) + pack_bytes(e), usedforsecurity=False).digest()
    return int(struct.unpack("<q", digest[-8:])[0])


def decrypt_inner(key: rsa.PrivateKey, data: bytes) -> list[tuple[bytes, bytes | None]]:
    """What `encrypted_data` may hold, as (inner data and padding, SHA-1 that the inner data alone must have).

    The current padding (RSA_PAD) is checked here, so its hash is None. The old one is always returned too,
    since only the parsed length tells whether it fits. Raises ValueError when `data` cannot be a cipher text.
    """
    number = int.from_bytes(data, "big")
    if len(data) != 256 or number >= key.n:
        raise ValueError("encrypted_data is not smaller than the key")
    block = pow(number, key.d, key.n).to_bytes(256, "big")
    found: list[tuple[bytes, bytes | None]] = []
    hashed = sha256(block[32:]).digest()
    temp_key = bytes(a ^ b for a, b in zip(block[:32], hashed, strict=True))
    plain = cryptg.decrypt_ige(block[32:], temp_key, bytes(32))
    padded = plain[:192][::-1]
    if sha256(temp_key + padded).digest() == plain[192:]:
        found.append((padded, None))
    if block[0] == 0:
        found.append((block[21:], block[1:21]))
    return found
