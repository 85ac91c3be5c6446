"""Whatever a stranger or a broken client sends: the server answers or hangs up, and goes on."""

from __future__ import annotations

import asyncio
import os
import resource
import struct
from contextlib import suppress
from copy import copy
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from telethon.crypto import AuthKey
from telethon.network.mtprotostate import MTProtoState
from telethon.tl import functions, types

from tests.lab import malformed
from tests.lab.fakes import HOME, ME_ID, LogsByName, hang_up, make_world, parse, shared_key
from tests.lab.test_wire_handshake import Exchange, rsa_pad
from tests.lab.wires import FIRST, wired
from tobs.lab import crypto, keys
from tobs.lab.crypto import BadPacketError
from tobs.lab.handshake import DH_PRIME
from tobs.lab.keys import Client
from tobs.lab.obfuscation import streams
from tobs.lab.server import Lab, start
from tobs.lab.service import MAX_SESSIONS, MOST_HELD_BYTES
from tobs.lab.tl import Reader, gzip_packed
from tobs.lab.transport import Abridged, Full, Intermediate, PaddedIntermediate

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND = 30.0
"""Seconds within which a packet is answered or dropped, on a busy machine; it takes milliseconds."""

AT_ONCE = 10
FRAMINGS: list[tuple[bytes, Any]] = [
    (b"", Full),
    (b"\xef", Abridged),
    (b"\xee" * 4, Intermediate),
    (b"\xdd" * 4, PaddedIntermediate),
]


class Victim:
    """A lab, and a key of its account for each connection, so that none of them can shut out the others."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._service = lab._service

    def _state(self) -> tuple[Client, Any]:
        raw = b"\1" + os.urandom(255)
        client = self._service.keys.add(Client(crypto.AuthKey.of(raw), HOME, user_id=ME_ID, layer=229))
        state = MTProtoState(AuthKey(raw), LogsByName())
        state.salt = client.salt
        return client, state

    def _stream(self, random: Random, state: Any) -> bytes:
        """All that one connection sends: a packet or two in a framing, whole or cut, or just bytes."""
        if random.random() < 0.1:
            return random.choice([*(tag for tag, _ in FRAMINGS), os.urandom(64)]) + random.randbytes(
                random.randrange(300)
            )
        tag, framing = random.choice(FRAMINGS)
        make: Callable[[], bytes] = (
            (lambda: malformed.exchange(random)) if random.random() < 0.15 else lambda: malformed.message(random, state)
        )
        sender = framing()
        data = b"".join(b"".join(sender.frame(make())) for _ in range(random.choice([1, 1, 2])))
        if random.random() < 0.05:
            data = data[: random.randrange(len(data))]
        if framing is not Full and random.random() < 0.2:
            return _obfuscated(random, tag, data)
        return tag + data

    async def bear(self, seed: int) -> None:
        """One connection that sends what the seed says and waits for the server to end it."""
        random = Random(seed)
        client, state = self._state()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.lab.ports[HOME])
        with suppress(ConnectionError):
            writer.write(self._stream(random, state))
            writer.write_eof()
            async with asyncio.timeout(BOUND):
                while await reader.read(1 << 16):
                    pass
        await hang_up(writer)
        self._service.keys.forget(client)

    async def bear_all(self, seeds: list[int]) -> None:
        await asyncio.gather(*map(self.bear, seeds))


def _obfuscated(random: Random, tag: bytes, data: bytes) -> bytes:
    init = bytearray(random.randbytes(56) + (tag * 4)[:4] + random.randbytes(4))
    init[0], init[4] = 1, 1
    stream, _ = streams(bytes(init))
    return bytes(init[:56]) + stream.apply(bytes(init))[56:] + stream.apply(data)


def withstand(examples: int) -> None:
    """Send `examples` times AT_ONCE packets that hypothesis draws, and see that the server is as before."""
    troubles: list[dict[str, Any]] = []
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda _loop, context: troubles.append(context))
        with mock.patch.object(keys, "make_rsa_key", shared_key):
            lab = runner.run(start(make_world()))
        victim = Victim(lab)
        runner.run(victim.bear_all(list(range(200))))  # what is made once is made
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.lists(st.integers(0, 2**64 - 1), min_size=AT_ONCE, max_size=AT_ONCE))
        def bears(seeds: list[int]) -> None:
            runner.run(victim.bear_all(seeds))

        bears()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

        async def still_serves() -> None:
            async with wired(lab) as wire:
                (asked,) = wire.send(bytes(FIRST))
                assert isinstance(await wire.result(asked), types.Config)

        runner.run(still_serves())
        counters, service = lab.counters(), lab._service
        assert counters["bad_packets"] > examples
        assert counters["errors"]["bad_msg_notification"] > 0
        assert counters["errors"]["INPUT_FETCH_ERROR"] > 0
        assert "INTERNAL" not in counters["errors"]
        assert len(service.sessions) <= MAX_SESSIONS
        assert 0 <= service.held.total <= MOST_HELD_BYTES
        assert service.held.total == sum(session.held for session in service.sessions.values())
        assert grown < 128 * 1024, f"{grown} kB more"
        runner.run(lab.close())
        assert not lab._opened
        assert set(service.open_connections.values()) == {0}
    assert troubles == []


def test_a_thousand_malformed_packets_neither_take_the_server_down_nor_make_it_hang() -> None:
    withstand(100)


@pytest.mark.campaign
def test_ten_thousand_malformed_packets_neither_take_the_server_down_nor_make_it_hang() -> None:
    withstand(1_000)


@pytest.mark.parametrize(
    "body",
    [
        gzip_packed(bytes(5_000_000)),
        gzip_packed(gzip_packed(bytes(100))),
        b"\x15\xc4\xb5\x1c\xff\xff\xff\x7f",
        b"\x15\xc4\xb5\x1c\x01\0\0\0" * 10_000,
        b"\xdc\xf8\xf1\x73\xff\xff\xff\x7f" + bytes(12) + b"\xf0\xff\xff\xff" + b"\xb5\x75\x72\x99",
        b"\x01\x6d\x5c\xf3" + bytes(12),
    ],
    ids=["bomb", "packed twice", "endless vector", "deep", "container that goes back", "result"],
)
def test_the_codec_is_kept_from_what_would_keep_it_busy(body: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        Reader(body).tgread_object()


def test_packed_data_is_read_inside_of_a_wrapper() -> None:
    inside = gzip_packed(bytes(functions.help.GetConfigRequest()))
    request = Reader(bytes(FIRST)[:8] + inside).tgread_object()
    assert isinstance(request, functions.InvokeWithLayerRequest)
    assert isinstance(request.query, functions.help.GetConfigRequest)


def _spoiled(body: bytes, random: Random) -> bytes:
    spoiled = bytearray(body)
    for _ in range(random.randrange(1, 4)):
        spoiled[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return bytes(spoiled)


@cache
def offered() -> tuple[Exchange, bytes]:
    """An exchange up to the server's offer, and the client's answer to that."""
    exchange = Exchange()
    offer = exchange.offer()
    with mock.patch.object(exchange, "server") as server:
        server.answer.return_value = bytes(types.MsgsAck([])), None
        exchange.finish(pow(offer.g, 1 << 300, DH_PRIME))
    return exchange, server.answer.call_args.args[0]


def test_a_spoiled_step_of_the_key_exchange_is_refused_or_does_no_harm() -> None:
    refused: list[BadPacketError] = []

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 2**32))
    def spoil(seed: int) -> None:
        random = Random(seed)
        (exchange, answer), begun = offered(), Exchange.__new__(Exchange)
        begun.__dict__.update(exchange.__dict__)
        begun.server = copy(exchange.server)
        begun.server._new_nonce = b""  # as before the offer
        for server, step in (
            (begun.server, _spoiled(begun.request(), random)),
            (begun.server, begun.request(lambda data: rsa_pad(_spoiled(data, random)))),
            (copy(exchange.server), _spoiled(answer, random)),
        ):
            try:
                reply, done = server.answer(step)
            except BadPacketError as error:
                refused.append(error)
                continue
            # what was spoiled was padding, or a number that the client chose
            assert isinstance(parse(reply), types.ServerDHParamsOk | types.DhGenOk)
            assert (done is None) == (not isinstance(parse(reply), types.DhGenOk))

    spoil()
    assert len(refused) > 20
