"""One connection to one data centre, held against a lab: answers, refusals, losses and ends."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
import weakref
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from telethon.crypto import AuthKey
from telethon.network.mtprotostate import MTProtoState
from telethon.network.requeststate import RequestState
from telethon.tl import types
from telethon.tl.functions.contacts import ResolveUsernameRequest
from telethon.tl.functions.help import GetConfigRequest
from telethon.tl.functions.messages import GetHistoryRequest
from telethon.tl.functions.users import GetUsersRequest

from tests.export.changing import running
from tests.export.labs import main_chat, world_of
from tobs.errors import ConnectError, LostError, RpcError
from tobs.telegram import wire
from tobs.telegram.account import Account, load
from tobs.telegram.sender import TelegramSender, _Loggers, open_sender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tobs.lab.server import Lab

MYSELF = GetUsersRequest([types.InputUserSelf()])


async def opened(account: Account, **changes: Any) -> TelegramSender:
    account = replace(account, **changes)
    sender, config = await open_sender(
        account, account.dc, (account.host, account.port), account.key, GetConfigRequest()
    )
    assert isinstance(config, types.Config)
    return sender


@asynccontextmanager
async def connected(state: Path) -> AsyncIterator[tuple[Lab, TelegramSender]]:
    async with running(world_of("small"), state) as (lab, server):
        sender = await opened(load(server))
        try:
            yield lab, sender
        finally:
            await sender.close()


def history(offset: int, limit: int = 10) -> GetHistoryRequest:
    world = world_of("small")
    channel = world.chats[-main_chat(world) - 10**12]
    return GetHistoryRequest(types.InputPeerChannel(channel.id, channel.access_hash), offset, None, 0, limit, 0, 0, 0)


async def test_many_requests_at_once_each_get_their_answer(tmp_path: Path) -> None:
    world = world_of("small")
    ids = world.histories[main_chat(world)].ids
    offsets = ids[20::9]
    async with connected(tmp_path) as (lab, sender):
        answers = await asyncio.gather(*(sender.send(history(offset)) for offset in offsets))
        assert lab.counters()["connections_opened"] == 1
    for offset, answer in zip(offsets, answers, strict=True):
        place = ids.index(offset)
        assert [message.id for message in answer.messages] == ids[place - 10 : place][::-1]


async def test_a_refusal_keeps_the_connection(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, sender):
        with pytest.raises(RpcError, match="USERNAME_NOT_OCCUPIED"):
            await sender.send(ResolveUsernameRequest("nobody_at_all"))
        (me,) = await sender.send(MYSELF)
        assert me.is_self
        assert not sender.closed


async def test_a_server_that_goes_away_loses_what_is_under_way(tmp_path: Path) -> None:
    async with connected(tmp_path) as (lab, sender):
        waiting = [asyncio.ensure_future(sender.send(MYSELF)) for _ in range(5)]
        await asyncio.sleep(0)
        await lab.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LostError] * 5
        assert "run the same command again" in getattr(outcomes[0], "hint", "")
        assert sender.closed
        with pytest.raises(LostError):
            await sender.send(MYSELF)


async def test_closing_loses_what_is_under_way(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, sender):
        waiting = [asyncio.ensure_future(sender.send(MYSELF)) for _ in range(5)]
        await asyncio.sleep(0)
        await sender.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LostError] * 5
        assert sender.closed
        with pytest.raises(LostError):
            await sender.send(MYSELF)
        await sender.close()


async def test_a_request_that_is_given_up_does_not_disturb_the_others(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, sender):
        given_up = asyncio.ensure_future(sender.send(MYSELF))
        other = asyncio.ensure_future(sender.send(MYSELF))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert (await other)[0].is_self
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await sender.send(MYSELF)
        assert (await sender.send(MYSELF))[0].is_self


async def test_a_new_key_is_nobodys(tmp_path: Path) -> None:
    async with running(world_of("small"), tmp_path) as (lab, server):
        sender = await opened(load(server), key=None)
        try:
            assert lab.counters()["handshakes"] - lab.counters()["short_keys"] == 1
            assert len(sender.auth_key) == 256
            with pytest.raises(ConnectError, match="AUTH_KEY_UNREGISTERED") as told:
                await sender.send(MYSELF)
            assert "tobs login" in told.value.hint
        finally:
            await sender.close()


async def test_a_key_that_the_server_does_not_know(tmp_path: Path) -> None:
    async with running(world_of("small"), tmp_path) as (_, server):
        with pytest.raises(ConnectError, match="does not know this session") as told:
            await opened(load(server), key=bytes(256))
        assert "tobs login" in told.value.hint


async def test_an_address_where_nobody_listens(tmp_path: Path) -> None:
    async with running(world_of("small"), tmp_path) as (_, server):
        account = load(server)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(LostError, match="cannot be reached") as told:
            await opened(account, port=taken.getsockname()[1])
    assert "run the same command again" in told.value.hint


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\x05" * 4096])
async def test_a_server_that_speaks_something_else(tmp_path: Path, said: bytes) -> None:
    async with running(world_of("small"), tmp_path) as (_, server):
        account = load(server)

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    try:
        port = listening.sockets[0].getsockname()[1]
        for key in (account.key, None):
            with pytest.raises((LostError, ConnectError)) as told:
                await opened(account, port=port, key=key)
            assert told.value.hint
    finally:
        listening.close()
        await listening.wait_closed()


async def test_an_acknowledgement_travels_with_the_next_request(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, sender):
        inner: Any = sender._sender
        packets: list[int] = []
        send = inner._connection.send

        async def counted(data: bytes) -> None:
            packets.append(len(data))
            await send(data)

        inner._connection.send = counted
        for _ in range(10):
            await sender.send(MYSELF)
        assert len(packets) == 10
        assert len(inner._pending_ack) <= 1


async def test_an_acknowledgement_that_finds_no_company_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ACK_WITHIN", 0.0)
    packer = wire.Packer(MTProtoState(AuthKey(bytes(256)), loggers=_Loggers()), _Loggers())
    packer.append(RequestState(types.MsgsAck([1])))
    states, data = await packer.get()
    assert [type(state.request) for state in states] == [types.MsgsAck]
    assert data


async def test_requests_take_all_acknowledgements_along() -> None:
    packer = wire.Packer(MTProtoState(AuthKey(bytes(256)), loggers=_Loggers()), _Loggers())
    packer.append(RequestState(types.MsgsAck([1])))
    getting = asyncio.ensure_future(packer.get())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not getting.done()
    packer.append(RequestState(types.MsgsAck([3])))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not getting.done()
    packer.append(RequestState(MYSELF))
    states, _ = await getting
    assert [type(state.request).__name__ for state in states] == ["MsgsAck", "MsgsAck", "GetUsersRequest"]


async def test_a_connection_reads_far_ahead(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, sender):
        inner: Any = sender._sender
        assert inner._connection._reader._limit == wire.READ_AHEAD


async def test_a_connection_that_rests_holds_nothing_of_its_last_answer(tmp_path: Path) -> None:
    """Telethon as it comes keeps the packet, what it decrypts to and the answer until another one comes."""
    async with connected(tmp_path) as (_, sender):
        tracemalloc.start(25)
        try:
            answer = await sender.send(history(0, 100))
            assert len(answer.messages) == 100
            gone = weakref.ref(answer)
            del answer
            await asyncio.sleep(0)  # the step that brought it ends
            gc.collect()
            assert gone() is None
            assert held_by_telethon() == []
        finally:
            tracemalloc.stop()


def held_by_telethon() -> list[int]:
    """Sizes of what is alive of more than 4 KB and was allocated while packets were received."""
    return [
        trace.size
        for trace in tracemalloc.take_snapshot().traces
        if trace.size > 4096 and any("telethon" in frame.filename for frame in trace.traceback)
    ]
