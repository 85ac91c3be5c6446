"""How a sender comes to be: keys that are made, shared, given and refused."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from telethon.tl.functions.updates import GetStateRequest

from tests.export.changing import forget, running
from tests.export.labs import world_of
from tobs.engine.graph import CoreSettings, Line, bare_line
from tobs.engine.state import MemoryState
from tobs.errors import KeyUnknownError, LostError
from tobs.telegram.account import load
from tobs.telegram.service import TelegramService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

AWAY = 4


@asynccontextmanager
async def served(state: Path) -> AsyncIterator[tuple[Any, TelegramService, Line]]:
    async with running(world_of("small"), state) as (lab, server):
        service = TelegramService(load(server))
        line = bare_line(service, MemoryState(), CoreSettings())
        try:
            yield lab, service, line
        finally:
            await line.close()


async def test_one_key_serves_all_first_senders_of_a_data_centre(tmp_path: Path) -> None:
    async with served(tmp_path) as (lab, service, line):
        senders = await asyncio.gather(*(service.dial(AWAY, line.invoke) for _ in range(3)))
        assert lab.counters()["handshakes"] == 1
        assert len({sender.auth_key for sender in senders}) == 1
        for sender in senders:
            await sender.ping()
            await sender.close()


async def test_a_key_of_an_earlier_run_needs_no_handshake(tmp_path: Path) -> None:
    async with served(tmp_path) as (lab, service, line):
        first = await service.dial(AWAY, line.invoke)
        key = first.auth_key
        await first.close()
        later = TelegramService(service.account)
        unused = bare_line(later, MemoryState(), CoreSettings())
        home = await later.dial(None, unused.invoke)  # which names the addresses
        again = await later.dial(AWAY, unused.invoke, key)
        await again.ping()
        assert again.auth_key == key
        assert lab.counters()["handshakes"] == 1
        assert lab.counters()["requests"]["auth.exportAuthorization"] == 1
        for sender in (home, again):
            await sender.close()


async def test_a_key_whose_authorization_is_gone_binds_nobody(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, service, line):
        first = await service.dial(AWAY, line.invoke)
        key = first.auth_key
        await first.close()
    forget(tmp_path, AWAY, keys=False)
    async with served(tmp_path) as (lab, service, line):
        await (await service.dial(None, line.invoke)).close()
        stranger = await service.dial(AWAY, line.invoke, key)
        with pytest.raises(KeyUnknownError):
            await stranger.send(GetStateRequest())
        following = await service.dial(AWAY, line.invoke)
        assert following.auth_key != key
        await following.send(GetStateRequest())
        assert lab.counters()["handshakes"] == 1
        for sender in (stranger, following):
            await sender.close()


async def test_a_key_that_is_not_taken_spoils_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, service, line):
        await (await service.dial(None, line.invoke)).close()
        with pytest.raises(KeyUnknownError):
            await service.dial(AWAY, line.invoke, bytes(range(256)))
        sender = await service.dial(AWAY, line.invoke)
        await sender.ping()
        await sender.close()


async def test_a_closed_connection_answers_no_ping(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, service, line):
        sender = await service.dial(None, line.invoke)
        await sender.close()
        with pytest.raises(LostError):
            await sender.ping()
