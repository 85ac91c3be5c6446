"""The key exchange, step by step, with both paddings of RSA and with what must be refused."""

from __future__ import annotations

import os
from hashlib import sha1, sha256
from typing import Any

import cryptg
import pytest
import rsa
from telethon.crypto import AES, Factorization
from telethon.crypto import rsa as client_rsa
from telethon.tl import functions, types

from tests.lab.fakes import parse
from tobs.lab.crypto import AuthKey, BadPacketError, decrypt, encrypt, nonce_key, wire_size
from tobs.lab.handshake import DH_PRIME, Handshake
from tobs.lab.rsa_key import fingerprint, is_prime, make_prime, make_rsa_key, public_pem
from tobs.lab.tl import gunzip, gzip_packed, pack_bytes, read_bytes

KEY = make_rsa_key()
NONCE, NEW_NONCE = 12_345, 987_654_321


def to_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def rsa_pad(data: bytes) -> bytes:
    """RSA_PAD of the current protocol, as other clients than Telethon use it."""
    padded = data + os.urandom(192 - len(data))
    while True:
        temp_key = os.urandom(32)
        body = cryptg.encrypt_ige(padded[::-1] + sha256(temp_key + padded).digest(), temp_key, bytes(32))
        mask = bytes(a ^ b for a, b in zip(temp_key, sha256(body).digest(), strict=True))
        number = int.from_bytes(mask + body, "big")
        if number < KEY.n:
            return pow(number, KEY.e, KEY.n).to_bytes(256, "big")


def old_pad(data: bytes) -> bytes:
    padded = sha1(data).digest() + data + os.urandom(235 - len(data))
    return pow(int.from_bytes(padded, "big"), KEY.e, KEY.n).to_bytes(256, "big")


class Exchange:
    """A client in the middle of a key exchange."""

    def __init__(self) -> None:
        self.server = Handshake(KEY)
        reply, _ = self.server.answer(bytes(functions.ReqPqMultiRequest(NONCE)))
        self.pq = parse(reply)
        self.p, self.q = Factorization.factorize(int.from_bytes(self.pq.pq, "big"))

    def request(self, pad: Any = rsa_pad, **changes: Any) -> bytes:
        inner = types.PQInnerDataDc(
            self.pq.pq, to_bytes(self.p), to_bytes(self.q), NONCE, self.pq.server_nonce, NEW_NONCE, 2
        )
        fields = {
            "nonce": NONCE,
            "server_nonce": self.pq.server_nonce,
            "p": to_bytes(self.p),
            "q": to_bytes(self.q),
            "public_key_fingerprint": self.pq.server_public_key_fingerprints[0],
            "encrypted_data": pad(bytes(changes.pop("inner", inner))),
        }
        return bytes(functions.ReqDHParamsRequest(**(fields | changes)))

    def offer(self, pad: Any = rsa_pad, **changes: Any) -> Any:
        reply, _ = self.server.answer(self.request(pad, **changes))
        self.secrets = nonce_key(
            NEW_NONCE.to_bytes(32, "little"), self.pq.server_nonce.to_bytes(16, "little", signed=True)
        )
        plain = AES.decrypt_ige(parse(reply).encrypted_answer, *self.secrets)
        return parse(plain[20:])

    def finish(self, g_b: int, *, spoil: bool = False) -> tuple[Any, Any]:
        inner = bytes(types.ClientDHInnerData(NONCE, self.pq.server_nonce, 0, to_bytes(g_b)))
        plain = sha1(inner + (b"!" if spoil else b"")).digest() + inner
        data = AES.encrypt_ige(plain + os.urandom(-len(plain) % 16), *self.secrets)
        reply, done = self.server.answer(bytes(functions.SetClientDHParamsRequest(NONCE, self.pq.server_nonce, data)))
        return parse(reply), done


@pytest.mark.parametrize("pad", [rsa_pad, old_pad])
def test_both_sides_have_the_same_key(pad: Any) -> None:
    exchange = Exchange()
    offer = exchange.offer(pad)
    assert int.from_bytes(offer.dh_prime, "big") == DH_PRIME
    secret = int.from_bytes(os.urandom(256), "big")
    reply, done = exchange.finish(pow(offer.g, secret, DH_PRIME))
    key = pow(int.from_bytes(offer.g_a, "big"), secret, DH_PRIME).to_bytes(256, "big")
    assert isinstance(reply, types.DhGenOk)
    assert done is not None
    assert done.key.key == key
    assert done.key.id == sha1(key).digest()[-8:]


def test_a_public_value_outside_the_safe_range_fails() -> None:
    exchange = Exchange()
    exchange.offer()
    for g_b in (1, DH_PRIME - 1, 1 << 100):
        reply, done = exchange.finish(g_b)
        assert isinstance(reply, types.DhGenFail)
        assert done is None


def test_a_key_that_begins_with_a_zero_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange()
    exchange.offer()
    # 2**2000 is the g_b that a secret of 1 on the server's side leaves as it is: a short key.
    monkeypatch.setattr(exchange.server, "_secret", 1)
    reply, done = exchange.finish(1 << 2000)
    assert isinstance(reply, types.DhGenOk)
    assert done is not None
    assert done.key.key == (1 << 2000).to_bytes(256, "big")
    assert done.key.id == sha1(done.key.key).digest()[-8:]


def test_what_does_not_fit_is_refused() -> None:
    exchange = Exchange()
    inner = types.PQInnerDataDc(
        exchange.pq.pq, to_bytes(exchange.p), to_bytes(exchange.q), NONCE + 1, exchange.pq.server_nonce, NEW_NONCE, 2
    )
    wrong = [
        exchange.request(nonce=1),
        exchange.request(server_nonce=1),
        exchange.request(p=b"\3"),
        exchange.request(public_key_fingerprint=1),
        exchange.request(encrypted_data=os.urandom(255)),
        exchange.request(encrypted_data=b"\xff" * 256),
        exchange.request(encrypted_data=bytes(256)),
        exchange.request(inner=inner),
        bytes(functions.SetClientDHParamsRequest(NONCE, exchange.pq.server_nonce, bytes(32))),
        bytes(functions.help.GetConfigRequest()),
        b"",
    ]
    for request in wrong:
        with pytest.raises(BadPacketError):
            exchange.server.answer(request)
    exchange.offer()
    with pytest.raises(BadPacketError):
        exchange.finish(1 << 2040, spoil=True)
    assert exchange.server.answer(bytes(types.MsgsAck([1]))) == (b"", None)


def test_the_public_key_is_one_that_telethon_finds_by_our_fingerprint() -> None:
    pem = public_pem(KEY)
    assert rsa.PublicKey.load_pkcs1(pem.encode()) == rsa.PublicKey(KEY.n, KEY.e)
    client_rsa.add_key(pem, old=False)
    assert fingerprint(KEY) in client_rsa._server_keys


def test_primes_are_prime() -> None:
    assert [n for n in range(60) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]
    assert not is_prime(3_215_031_751)  # a strong pseudoprime to 2, 3, 5 and 7
    prime = make_prime(128)
    assert prime.bit_length() == 128
    assert is_prime(prime, 20)


@pytest.mark.parametrize("length", [4, 8, 12, 16, 20, 100, 5000])
def test_a_message_has_the_size_that_was_announced(length: int) -> None:
    key = AuthKey.of(os.urandom(256))
    envelope, body = encrypt(key, 1, 2, 5, 1, (b"\1" * length,))
    assert len(envelope) + len(body) == wire_size(length)
    with pytest.raises(BadPacketError):
        decrypt(key, envelope + body)  # it is the server's, not the client's


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 252, 253, 254, 255, 256, 70_000])
def test_bytes_are_packed_as_telethon_packs_them(length: int) -> None:
    data = os.urandom(length)
    packed = pack_bytes(data)
    assert packed == types.upload.File.serialize_bytes(data)
    assert read_bytes(packed + b"more", 0) == (data, len(packed))


def test_packed_data_is_unpacked_up_to_a_limit() -> None:
    packed = gzip_packed(b"a" * 10_000)[4:]
    assert gunzip(packed, 10_000) == b"a" * 10_000
    for data, limit in ((packed, 9_999), (pack_bytes(b"no gzip"), 100), (packed[:20], 10_000), (b"", 10)):
        with pytest.raises(ValueError, match=r"gzip|long|end"):
            gunzip(data, limit)
