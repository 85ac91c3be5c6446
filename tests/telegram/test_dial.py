"""How a sender comes to be: keys that are made, shared, given and refused."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from telethon.network import MTProtoSender
from telethon.tl.functions.updates import GetStateRequest

from tests.export.changing import forget, running
from tests.export.labs import world_of
from tobs.engine.graph import CoreSettings, Line, bare_line
from tobs.engine.state import MemoryState
from tobs.errors import KeyUnknownError, LostError, RpcError, UnreachableError
from tobs.telegram.account import load
from tobs.telegram.sender import connect_sender, open_sender
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
        assert lab.counters()["handshakes"] - lab.counters()["short_keys"] == 1
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
        assert lab.counters()["handshakes"] - lab.counters()["short_keys"] == 1
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
        assert lab.counters()["handshakes"] - lab.counters()["short_keys"] == 1
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


async def test_the_salt_is_told_once_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = 0
    handle = MTProtoSender._handle_bad_server_salt

    async def counted(self: MTProtoSender, message: Any) -> None:
        nonlocal told
        told += 1
        await handle(self, message)

    monkeypatch.setattr(MTProtoSender, "_handle_bad_server_salt", counted)
    async with served(tmp_path) as (_, service, line):
        await line.pool.warm(service.home, 1)
        assert told == 1
        for dc, so_far in ((service.home, 1), (AWAY, 2), (AWAY, 2)):
            sender = await service.dial(dc, line.invoke)
            assert told == so_far
            await sender.close()  # what a closed one knew is good for the next, too
        stranger = await open_sender(
            service.account, AWAY, service._addresses[AWAY], sender.auth_key, GetStateRequest(), salt=1
        )
        assert told == 3, "a wrong one is put right"
        await stranger[0].close()


@pytest.mark.parametrize("lives", [True, False])
async def test_the_key_is_made_while_home_exports_the_authorization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lives: bool
) -> None:
    """Also where the export takes so long that the connection is gone by then."""
    made = asyncio.Event()

    async def connect(*given: Any) -> Any:
        sender = await connect_sender(*given)
        if not made.is_set() and not lives:
            await sender.close()
        made.set()
        return sender

    async with served(tmp_path) as (lab, service, line):

        async def slowly(call: Any) -> Any:
            await made.wait()
            return await line.invoke(call)

        await line.pool.warm(service.home, 1)
        monkeypatch.setattr("tobs.telegram.service.connect_sender", connect)
        sender = await service.dial(AWAY, slowly)
        await sender.send(GetStateRequest())
        await sender.close()
        assert (
            lab.counters()["handshakes"] - lab.counters()["short_keys"]
            == lab.counters()["requests"]["auth.exportAuthorization"]
            == 1
        )
        assert lab.counters()["connections_opened"] == (2 if lives else 3)


@pytest.mark.parametrize("refused", [True, False])
async def test_a_first_sender_that_cannot_be_had_leaves_nothing_behind(tmp_path: Path, *, refused: bool) -> None:
    async def refuse(_: Any) -> Any:
        raise RpcError(400, "DC_ID_INVALID")

    async def never(_: Any) -> Any:
        await asyncio.Event().wait()

    async with served(tmp_path) as (lab, service, line):
        await line.pool.warm(service.home, 1)
        if not refused:
            service._addresses[AWAY] = ("127.0.0.1", 1)
        before = asyncio.all_tasks()
        with pytest.raises(RpcError if refused else UnreachableError):
            await service.dial(AWAY, refuse if refused else never)
        assert asyncio.all_tasks() == before
        assert lab.counters()["requests"].get("auth.importAuthorization", 0) == 0
