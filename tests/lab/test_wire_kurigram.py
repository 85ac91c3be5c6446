"""kurigram, which keeps its session over connections: it reads on while salts change and connections break."""

from __future__ import annotations

import asyncio
import base64
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pyrogram import Client
from pyrogram.connection import Connection
from pyrogram.raw.functions.messages.get_history import GetHistory
from pyrogram.raw.types.input_peer_channel import InputPeerChannel
from telethon.sessions import StringSession

from tests.lab.fakes import CHANNEL_ID, ME_ID, make_world, running
from tobs.lab.faults import Faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tobs.lab.server import Lab

PEER = InputPeerChannel(channel_id=CHANNEL_ID, access_hash=21)


@asynccontextmanager
async def kurigram(lab: Lab) -> AsyncIterator[Any]:
    """Kurigram with the server file's session."""
    server = lab.server_file
    session = StringSession(server["session"])
    packed = struct.pack(
        ">BI?256sQ?",
        session.dc_id,
        server["api_id"],
        False,  # noqa: FBT003  the format's own order: not of the test servers, no bot
        session.auth_key.key,
        ME_ID,
        False,  # noqa: FBT003
    )

    def connection(*, dc_id: int, server_address: str, port: int, **more: Any) -> Connection:
        del server_address, port
        return Connection(dc_id=dc_id, server_address=server["host"], port=lab.ports[dc_id], **more)

    client = Client(
        "wire",
        server["api_id"],
        server["api_hash"],
        session_string=base64.urlsafe_b64encode(packed).decode().rstrip("="),
        in_memory=True,
        no_updates=True,
        workers=1,
        connection_factory=connection,  # type: ignore[arg-type]  # a function will do
    )
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


def page(offset: int) -> Any:
    return GetHistory(peer=PEER, offset_id=offset, offset_date=0, add_offset=0, limit=1, max_id=0, min_id=0, hash=0)


async def test_kurigram_reads_on_while_salts_change_under_it() -> None:
    async with running(make_world(faults=Faults(salt_life=0.1))) as lab, kurigram(lab) as client:
        for _ in range(5):
            pages = await asyncio.gather(*(client.invoke(page(offset)) for offset in range(2, 30)))
            assert [found.messages[0].id for found in pages] == [n - 1 - ((n - 1) % 5 == 0) for n in range(2, 30)]
            await asyncio.sleep(0.1)
        errors = lab.counters()["errors"]
        assert errors["bad_server_salt"] > 1
        assert "bad_msg_notification" not in errors


async def test_kurigram_gets_after_a_break_what_was_on_its_way() -> None:
    async with running(make_world(connection_rate=20_000.0)) as lab, kurigram(lab) as client:
        await client.invoke(page(2))
        asked = [asyncio.ensure_future(client.session.send(page(offset), timeout=20)) for offset in range(2, 30)]
        asked_for = lab._service.counters.requests
        while asked_for["messages.getHistory"] < 29:  # noqa: ASYNC110  nothing of the client says that they were sent
            await asyncio.sleep(0)
        for connection in list(lab._opened):
            connection.abort()
        pages = await asyncio.gather(*asked)
        assert [found.messages[0].id for found in pages] == [n - 1 - ((n - 1) % 5 == 0) for n in range(2, 30)]
        assert asked_for["messages.getHistory"] == 29
        assert lab.counters()["connections_opened"] > 1
