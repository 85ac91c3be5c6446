"""The key exchange against the one that Telegram publishes: https://core.telegram.org/mtproto/samples-auth_key.

What the page leaves out cannot be checked: the server's private key, so what is inside `encrypted_data`, and its
secret exponent, so the way from it to `g_a`. For the encryption of messages nothing is published; Telethon's and
kurigram's code stand for it in the other tests.
"""

from __future__ import annotations

import builtins
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import cryptg
import rsa
from pyrogram.crypto.rsa import server_public_keys as known_keys
from telethon.crypto import Factorization
from telethon.tl import functions, types

from tests.lab import samples
from tests.lab.fakes import parse
from tests.lab.test_wire_handshake import KEY
from tobs.lab import handshake
from tobs.lab.crypto import AuthKey, nonce_key
from tobs.lab.handshake import DH_PRIME, G, Handshake
from tobs.lab.rsa_key import fingerprint, is_prime

if TYPE_CHECKING:
    import pytest


def little(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def test_the_keys_of_the_exchange_are_derived_as_published() -> None:
    assert nonce_key(samples.NEW_NONCE, samples.SERVER_NONCE) == (samples.TMP_AES_KEY, samples.TMP_AES_IV)


def test_aes_ige_gives_the_published_plain_and_cipher_text() -> None:
    plain = cryptg.decrypt_ige(samples.ENCRYPTED_ANSWER, samples.TMP_AES_KEY, samples.TMP_AES_IV)
    answer = plain[20 : -len(samples.ANSWER_PADDING)]
    assert plain == samples.ANSWER_HASH + answer + samples.ANSWER_PADDING
    assert sha1(answer).digest() == samples.ANSWER_HASH
    inner = parse(answer)
    assert (inner.g, big(inner.dh_prime), inner.g_a) == (G, DH_PRIME, samples.G_A)
    assert bytes(inner) == answer
    assert cryptg.encrypt_ige(plain, samples.TMP_AES_KEY, samples.TMP_AES_IV) == samples.ENCRYPTED_ANSWER


def test_the_group_is_the_published_one() -> None:
    assert pow(G, big(samples.B), DH_PRIME) == big(samples.G_B)
    assert pow(big(samples.G_A), big(samples.B), DH_PRIME) == big(samples.AUTH_KEY)


def test_the_published_product_is_one_that_this_server_could_have_made() -> None:
    assert samples.P * samples.Q == samples.PQ < 2**63
    assert is_prime(samples.P)
    assert is_prime(samples.Q)
    assert Factorization.factorize(samples.PQ) == (samples.P, samples.Q)


def test_fingerprints_are_those_of_the_published_exchange() -> None:
    """Two of the three keys that the page's server offers are public, in kurigram among others."""
    published = parse(samples.RES_PQ).server_public_key_fingerprints
    keys = {number: known_keys[number] for number in published if number in known_keys}
    assert len(keys) == 2
    for number, key in keys.items():
        assert fingerprint(rsa.PublicKey(key.m, key.e)) == number


def test_the_published_exchange_is_answered_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "make_pq", lambda: (samples.P, samples.Q))
    monkeypatch.setattr(handshake, "fingerprint", lambda _key: little(samples.FINGERPRINT))
    monkeypatch.setattr(handshake, "decrypt_inner", lambda *_: [(samples.P_Q_INNER_DATA + bytes(91), None)])
    monkeypatch.setattr("os.urandom", lambda size: samples.SERVER_NONCE[:size])

    def power(base: int, exponent: int, modulus: int) -> int:
        """The two powers of the server's secret, which only the page's server knows."""
        return {G: big(samples.G_A), big(samples.G_B): big(samples.AUTH_KEY)}.get(base) or builtins.pow(
            base, exponent, modulus
        )

    monkeypatch.setattr(handshake, "pow", power, raising=False)
    server = Handshake(KEY)
    reply, _ = server.answer(samples.REQ_PQ_MULTI)
    published: Any = parse(samples.RES_PQ)
    published.server_public_key_fingerprints = [little(samples.FINGERPRINT)]  # this server has one key, not three
    assert reply == bytes(published)

    nonces = little(samples.NONCE), little(samples.SERVER_NONCE)
    p, q = samples.P.to_bytes(4, "big"), samples.Q.to_bytes(4, "big")
    request = functions.ReqDHParamsRequest(*nonces, p, q, little(samples.FINGERPRINT), bytes(256))
    offer = parse(server.answer(bytes(request))[0])
    plain = cryptg.decrypt_ige(offer.encrypted_answer, samples.TMP_AES_KEY, samples.TMP_AES_IV)
    assert isinstance(offer, types.ServerDHParamsOk)
    assert parse(plain[20:]).g_a == samples.G_A

    client = functions.SetClientDHParamsRequest(*nonces, samples.CLIENT_ENCRYPTED_DATA)
    reply, done = server.answer(bytes(client))
    assert reply == samples.DH_GEN_OK
    assert done is not None
    assert done.key == AuthKey.of(samples.AUTH_KEY)
    mixed = int.from_bytes(samples.NEW_NONCE[:8], "little") ^ int.from_bytes(samples.SERVER_NONCE[:8], "little")
    assert done.salt == little(mixed.to_bytes(8, "little"))
