"""kurigram, which keeps its session over connections: it reads on while salts change and connections break."""

from __future__ import annotations

import asyncio
from typing import Any

from pyrogram.raw.functions.messages.get_history import GetHistory
from pyrogram.raw.types.input_peer_channel import InputPeerChannel

from tests.lab.clients import kurigram_client
from tests.lab.fakes import CHANNEL_ID, make_world, running
from tobs.lab.faults import Faults

PEER = InputPeerChannel(channel_id=CHANNEL_ID, access_hash=21)


def page(offset: int) -> Any:
    return GetHistory(peer=PEER, offset_id=offset, offset_date=0, add_offset=0, limit=1, max_id=0, min_id=0, hash=0)


async def test_kurigram_reads_on_while_salts_change_under_it() -> None:
    async with running(make_world(faults=Faults(salt_life=0.1))) as lab, kurigram_client(lab) as client:
        for _ in range(3):
            pages = await asyncio.gather(*(client.invoke(page(offset)) for offset in range(2, 30)))
            assert [found.messages[0].id for found in pages] == [n - 1 - ((n - 1) % 5 == 0) for n in range(2, 30)]
            await asyncio.sleep(0.1)
        errors = lab.counters()["errors"]
        assert errors["bad_server_salt"] > 1
        assert "bad_msg_notification" not in errors


async def test_kurigram_gets_after_a_break_what_was_on_its_way() -> None:
    async with running(make_world(connection_rate=20_000.0)) as lab, kurigram_client(lab) as client:
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
