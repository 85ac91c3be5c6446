"""Salts that change: the schedule, what a client is told of it, and clients that live through it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tests.lab.fakes import CHANNEL_ID, connected, make_world, running
from tests.lab.wires import FIRST, wired
from tobs.lab.crypto import AuthKey
from tobs.lab.faults import Faults
from tobs.lab.keys import Client
from tobs.lab.salts import Salts, salt_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CLIENT = Client(AuthKey.of(bytes(range(256))), 2)
HOUR = Salts(3600.0, 1_000.0)


def test_a_salt_holds_for_a_life_and_is_accepted_for_half_of_the_next() -> None:
    first, second, third = (HOUR.current(CLIENT, 1_000.0 + 3600 * n) for n in range(3))
    assert len({first, second, third}) == 3
    assert HOUR.current(CLIENT, 4_599.9) == first
    for now, accepted in ((1_000, {first}), (4_600, {first, second}), (6_399, {first, second}), (6_400, {second})):
        assert {salt for salt in (first, second, third) if HOUR.accepts(CLIENT, salt, now)} == accepted


def test_the_schedule_depends_on_the_key_and_the_number_of_the_epoch_alone() -> None:
    other = Client(AuthKey.of(bytes(256)), 2)
    assert Salts(10.0, 500.0).current(CLIENT, 525.0) == Salts(60.0, 0.0).current(CLIENT, 130.0)
    assert HOUR.current(CLIENT, 5_000.0) != HOUR.current(other, 5_000.0)
    assert salt_of(CLIENT.key.key) == CLIENT.salt == HOUR.current(CLIENT, 0.0)


def test_the_salts_to_come_are_those_that_will_hold() -> None:
    now = 1_000.0 + 2.5 * 3600
    ahead = HOUR.ahead(CLIENT, now, 64)
    assert len(ahead) == 64 == len(HOUR.ahead(CLIENT, now, 1000))
    assert HOUR.ahead(CLIENT, now, 0) == HOUR.ahead(CLIENT, now, -5) == []
    assert ahead[0][2] == HOUR.current(CLIENT, now)
    for since, until, salt in ahead:
        assert HOUR.current(CLIENT, since) == salt
        assert HOUR.accepts(CLIENT, salt, until - 1)
        assert not HOUR.accepts(CLIENT, salt, until)


def test_the_salt_of_the_key_exchange_holds_as_long_as_the_one_beside_it() -> None:
    client = Client(AuthKey.of(bytes(256)), 2, first_salt=5, first_until=HOUR.until(1_200.0))
    assert [HOUR.accepts(client, 5, now) for now in (1_200, 6_399, 6_400)] == [True, True, False]
    client = Client(AuthKey.of(bytes(256)), 2, first_salt=5, first_until=Salts(None, 0.0).until(1_200.0))
    assert Salts(None, 0.0).accepts(client, 5, 1e12)


async def test_a_client_is_told_the_next_salts_and_may_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(faults=Faults(salt_life=40.0))
    async with running(world) as lab, wired(lab) as wire:
        wire.send(bytes(functions.GetFutureSaltsRequest(3)))
        salts = (await wire.read(types.FutureSalts)).salts
        assert len({salt.salt for salt in salts}) == 3
        assert salts[0].salt == wire.state.salt
        wire.state.salt = salts[1].salt
        (early,) = wire.send(bytes(FIRST))
        bad = await wire.read(types.BadServerSalt)
        assert (bad.bad_msg_id, bad.new_server_salt) == (early, salts[0].salt)
        monkeypatch.setattr(Salts, "_epoch", lambda *_: 1)
        (asked,) = wire.send(bytes(FIRST))
        assert isinstance(await wire.result(asked), types.Config)


async def test_telethon_reads_on_while_salts_change_under_it() -> None:
    world = make_world(faults=Faults(salt_life=0.05))
    peer = types.InputPeerChannel(CHANNEL_ID, 21)
    async with running(world) as lab, connected(lab) as client:
        before = lab._service.salt(CLIENT)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            pages = await asyncio.gather(
                *(client(functions.messages.GetHistoryRequest(peer, n, None, 0, 1, 0, 0, 0)) for n in range(2, 12))
            )
            assert all(page.messages for page in pages)
        assert lab._service.salt(CLIENT) != before
        assert lab.counters()["errors"]["bad_server_salt"] > 1


async def test_a_restarted_lab_goes_on_with_its_schedule(tmp_path: Path) -> None:
    world = make_world(faults=Faults(salt_life=3_600.0))
    async with running(world, tmp_path) as lab:
        salts = lab._service.salts
    async with running(world, tmp_path) as lab:
        assert lab._service.salts == salts
