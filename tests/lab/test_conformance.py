"""What the lab serves is what two independent clients read, each in its own way. Both pass the same tests.

Telethon lends the lab its codec, so agreeing with it proves little about the lab; kurigram shares nothing with it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyrogram.connection import transport as kurigrams
from telethon import network as telethons

from tests.lab.clients import Client, Read, RefusedError, kurigram, plain, telethon
from tests.lab.fakes import parse, running
from tobs.lab.scenario import Bucket, DataCentre, load
from tobs.lab.server_file import main_chat
from tobs.lab.world import World, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    Connect = Callable[..., AbstractAsyncContextManager[Client]]

SCENARIO = Path(__file__).parent / "scenarios" / "conformance.toml"
USERNAME = "tobs_conformance"


@pytest.fixture(params=[telethon, kurigram], ids=lambda client: client.__name__)
def connect(request: pytest.FixtureRequest) -> Connect:
    found: Connect = request.param
    return found


@cache
def world() -> World:
    return build(load(SCENARIO))


def limited(**limits: Any) -> World:
    scenario = world().scenario
    return replace(world(), scenario=replace(scenario, limits=replace(scenario.limits, **limits)))


def chat() -> int:
    return main_chat(world())


@cache
def held() -> tuple[Read, ...]:
    """The main chat's messages, newest first, as their bytes say."""
    found = []
    for data in list(world().histories[chat()].serialized())[::-1]:
        message = parse(data)
        text = None if getattr(message, "action", None) else message.message
        entities = len(getattr(message, "entities", None) or ())
        found.append(Read(message.id, int(message.date.timestamp()), text, entities))
    return tuple(found)


def holders() -> dict[str, tuple[int, int]]:
    """A message with a file for each kind and data centre, "photo 4" for example, and that file's id."""
    found: dict[str, tuple[int, int]] = {}
    for data in world().histories[chat()].serialized():
        message = parse(data)
        media = getattr(message, "media", None)
        file = getattr(media, "photo", None) or getattr(media, "document", None)
        if file is not None:
            spec = world().shelf.specs[file.id]
            found.setdefault(f"{spec.kind} {spec.dc}", (message.id, file.id))
    return found


async def test_a_new_key_logs_in_by_code_and_password(connect: Connect) -> None:
    async with running(world()) as lab, connect(lab, new=True) as client:
        server = lab.server_file
        await client.ask_code()
        with pytest.raises(RefusedError, match="PhoneCodeInvalid"):
            await client.give_code("00000")
        with pytest.raises(RefusedError, match="SessionPasswordNeeded"):
            await client.give_code(server["code"])
        with pytest.raises(RefusedError, match="PasswordHashInvalid"):
            await client.give_password("wrong")
        assert await client.give_password(server["password"]) == world().me.id
        assert await client.me() == world().me.id
        assert lab.counters()["handshakes"] == 1


async def test_a_phone_is_sent_home(connect: Connect) -> None:
    scenario = world().scenario
    elsewhere = replace(world(), scenario=replace(scenario, network=replace(scenario.network, home=4)))
    async with running(elsewhere) as lab, connect(lab, new=True) as client:
        await client.ask_code()
        assert lab.counters()["errors"]["PHONE_MIGRATE_4"] == 1
        with pytest.raises(RefusedError, match="SessionPasswordNeeded"):
            await client.give_code(lab.server_file["code"])


async def test_whoever_begins_far_from_home_is_sent_on(connect: Connect) -> None:
    """NETWORK_MIGRATE to the nearest data centre, and from there PHONE_MIGRATE home."""
    scenario = world().scenario
    centres = (*scenario.network.dcs, DataCentre(5, 0.0, 0.0))
    network = replace(scenario.network, dcs=centres, home=5, nearest=4)
    elsewhere = replace(world(), scenario=replace(scenario, network=network))
    async with running(elsewhere) as lab, connect(lab, new=True) as client:
        await client.ask_code()
        refused = lab.counters()["errors"]
        assert (refused["NETWORK_MIGRATE_4"], refused["PHONE_MIGRATE_5"]) == (1, 1)


async def test_the_server_files_session_is_logged_in_until_it_logs_out(connect: Connect) -> None:
    async with running(world()) as lab, connect(lab) as client:
        assert await client.me() == world().me.id
        await client.log_out()
    assert lab.counters()["requests"]["auth.logOut"] == 1


async def test_chats_are_listed_and_found(connect: Connect) -> None:
    async with running(world()) as lab, connect(lab) as client:
        assert await client.dialogs() == world().dialogs()
        assert await client.resolve(USERNAME) == chat()
        with pytest.raises(RefusedError, match="UsernameNotOccupied"):
            await client.resolve("nobody_has_this")


async def test_a_history_is_read_whole(connect: Connect) -> None:
    async with running(world()) as lab, connect(lab) as client:
        await client.dialogs()
        assert tuple(await client.history(chat())) == held()
        for side in set(world().histories) - {chat()}:
            read = [message.id for message in await client.history(side)]
            assert read == world().histories[side].ids[::-1]


async def test_every_message_means_the_same_to_a_clients_own_codec(connect: Connect) -> None:
    async with running(world()) as lab, connect(lab) as client:
        await client.dialogs()
        for mark, history in world().histories.items():
            read: list[dict[str, Any]] = []
            while page := await client.page(mark, read[-1]["id"] if read else 0):
                read += page
            assert read == [plain(parse(data).to_dict()) for data in history.serialized()][::-1]


async def test_messages_are_found_by_id(connect: Connect) -> None:
    ids = world().histories[chat()].ids
    gone = next(number for number in range(1, ids[-1]) if number not in ids)
    async with running(world()) as lab, connect(lab) as client:
        await client.dialogs()
        found = await client.messages(chat(), [ids[5], gone, ids[0]])
        by_id = {message.id: message for message in held()}
        assert found == [by_id[ids[5]], None, by_id[ids[0]]]


@pytest.mark.parametrize("media_only", [False, True])
async def test_files_are_fetched_from_every_data_centre(connect: Connect, media_only: bool) -> None:
    chosen = holders()
    assert {name.split()[1] for name in chosen} == {"2", "4"}
    assert len({name.split()[0] for name in chosen}) == 4
    scenario = world().scenario
    network = replace(scenario.network, media_only=media_only)
    served = replace(world(), scenario=replace(scenario, network=network))
    async with running(served) as lab, connect(lab) as client:
        await client.dialogs()
        for number, file_id in chosen.values():
            data = await client.download(chat(), number)
            assert sha256(data).hexdigest() == world().shelf.specs[file_id].sha256()
        counters = lab.counters()
        assert counters["requests"]["auth.exportAuthorization"] >= 1
        assert counters["requests"]["auth.importAuthorization"] >= 1


async def test_a_flood_wait_is_waited_out(connect: Connect) -> None:
    slow = limited(history=Bucket(burst=1, refill=1.0, wait=(1, 1)))
    async with running(slow) as lab, connect(lab) as client:
        await client.dialogs()
        first = await client.page(chat())
        assert await client.page(chat()) == first
        counters = lab.counters()
        assert counters["floods"] == 1
        assert counters["requests_during_flood"] == 0


async def test_a_wrong_salt_is_put_right(connect: Connect) -> None:
    async with running(world()) as lab, connect(lab) as client:
        assert await client.me() == world().me.id
        assert lab.counters()["errors"]["bad_server_salt"] >= 1  # neither client keeps salts


async def test_a_dropped_connection_is_made_anew(connect: Connect) -> None:
    async with running(world()) as lab, connect(lab) as client:
        await client.dialogs()
        first = await client.page(chat())
        opened = lab.counters()["connections_opened"]
        for connection in list(lab._opened):
            connection.abort()
        while lab.counters()["connections_opened"] == opened:  # noqa: ASYNC110  the lab calls nobody back
            await asyncio.sleep(0.01)
        assert await client.page(chat()) == first


TRANSPORTS = [
    (telethon, telethons.ConnectionTcpFull),
    (telethon, telethons.ConnectionTcpAbridged),
    (telethon, telethons.ConnectionTcpIntermediate),
    (telethon, telethons.ConnectionTcpObfuscated),
    (kurigram, kurigrams.TCPFull),
    (kurigram, kurigrams.TCPAbridged),
    (kurigram, kurigrams.TCPAbridgedO),
    (kurigram, kurigrams.TCPIntermediate),
    (kurigram, kurigrams.TCPIntermediateO),
    (kurigram, kurigrams.TCPIntermediatePadded),
]


@pytest.mark.parametrize(
    ("client", "transport"), TRANSPORTS, ids=[f"{client.__name__}-{kind.__name__}" for client, kind in TRANSPORTS]
)
async def test_every_transport_of_a_client_is_understood(client: Connect, transport: Any) -> None:
    async with running(world()) as lab, client(lab, transport=transport) as talking:
        await talking.dialogs()
        assert len(await talking.page(chat(), limit=20)) == 20
