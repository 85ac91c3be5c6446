"""A small world for the lab's server, made by hand, and the clients that the tests send to it."""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from telethon import TelegramClient
from telethon.crypto import AuthKey, rsa
from telethon.extensions import BinaryReader
from telethon.network import ConnectionTcpFull
from telethon.network.mtprotostate import MTProtoState
from telethon.sessions import StringSession
from telethon.tl import types

from tobs.lab import keys
from tobs.lab.chats import Ties
from tobs.lab.faults import FAULTLESS, Faults
from tobs.lab.history import History, entry_of
from tobs.lab.references import reference
from tobs.lab.rsa_key import make_rsa_key
from tobs.lab.scenario import Bucket, DataCentre, Limits, Network
from tobs.lab.server import Lab, start

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tobs.lab.changes import Change
    from tobs.lab.world import World

HOME, AWAY = 2, 4
CHANNEL_ID, GROUP_ID, FRIEND_ID, ME_ID, STRANGER_ID = 5000, 7000, 1001, 1000, 1002
CHANNEL = -(10**12) - CHANNEL_ID
NEAR_FILE, FAR_FILE, PHOTO = 9001, 9002, 9003
START = 1_700_000_000


@dataclass(frozen=True, slots=True)
class FakeFile:
    id: int
    dc: int
    size: int
    kind: str = "document"
    access_hash: int = 77
    file_reference: bytes = reference("fake")

    def read(self, offset: int, limit: int) -> bytes:
        return Random(self.id).randbytes(self.size)[offset : offset + limit]


@dataclass(frozen=True, slots=True)
class FakeScenario:
    network: Network
    limits: Limits = field(default_factory=lambda: Limits(None, None, None))
    faults: Faults = FAULTLESS
    seed: int = 1
    name: str = "fake"


FILES = {
    NEAR_FILE: FakeFile(NEAR_FILE, HOME, 300_000),
    FAR_FILE: FakeFile(FAR_FILE, AWAY, 2_500_000),
    PHOTO: FakeFile(PHOTO, AWAY, 70_001, "photo"),
}


@dataclass(frozen=True, slots=True)
class FakeWorld:
    scenario: FakeScenario
    me: Any
    users: dict[int, Any]
    chats: dict[int, Any]
    histories: dict[int, History]
    phone: str = "+99966 2 1234"
    code: str = "12345"
    password: str = "correct horse"
    changes: tuple[Change, ...] = ()
    ties: Ties = field(
        default_factory=lambda: Ties(members={CHANNEL: (ME_ID, FRIEND_ID), -GROUP_ID: (ME_ID, FRIEND_ID)})
    )
    usernames: dict[str, int] = field(default_factory=lambda: {"fakes": CHANNEL, "friend": FRIEND_ID})

    def file(self, file_id: int, thumb: str = "") -> FakeFile | None:
        return FILES.get(file_id) if thumb in {"", "y"} else None

    def dialogs(self) -> list[int]:
        return sorted(self.histories, key=lambda mark: self.histories[mark].newest, reverse=True)


def _document(spec: FakeFile) -> Any:
    name = types.DocumentAttributeFilename(f"{spec.id}.bin")
    document = types.Document(
        spec.id, spec.access_hash, spec.file_reference, datetime.fromtimestamp(START, UTC), "application/x", spec.size,
        spec.dc, [name],
    )  # fmt: skip
    return types.MessageMediaDocument(document=document)


def _photo(spec: FakeFile) -> Any:
    sizes = [types.PhotoSize("y", 100, 100, spec.size)]
    taken = datetime.fromtimestamp(START, UTC)
    return types.MessageMediaPhoto(
        photo=types.Photo(spec.id, spec.access_hash, spec.file_reference, taken, sizes, spec.dc)
    )


def _history(mark: int, kind: str, peer: Any, ids: list[int], media: dict[int, Any]) -> History:
    entries = []
    for number in ids:
        date = START + 60 * number
        message = types.Message(
            id=number,
            peer_id=peer,
            from_id=types.PeerUser(FRIEND_ID),
            date=datetime.fromtimestamp(date, UTC),
            message=f"message {number} 🚀",
            media=media.get(number),
        )
        chats = () if kind == "user" else (CHANNEL_ID if kind == "channel" else GROUP_ID,)
        entries.append(entry_of(message, date, (FRIEND_ID,), chats, 0))
    return History(mark, kind, entries)


def network(**changes: Any) -> Network:
    """Two data centres without delay or limit, but for `changes`."""
    centres = (DataCentre(HOME, 0.0, 0.0), DataCentre(AWAY, 0.0, 0.0))
    return replace(Network(HOME, centres, None, None, None), **changes)


def make_world(
    *, history: Bucket | None = None, limits: Limits | None = None, faults: Faults = FAULTLESS, **changes: Any
) -> World:
    """A channel of 250 messages (every fifth id is missing), a group and a private chat; three files."""
    me = types.User(ME_ID, is_self=True, access_hash=11, first_name="Me", phone="99966 2 1234")
    friend = types.User(FRIEND_ID, access_hash=12, first_name="Friend", username="friend")
    stranger = types.User(STRANGER_ID, access_hash=13, first_name="Stranger")
    made = datetime.fromtimestamp(START, UTC)
    channel = types.Channel(
        CHANNEL_ID, "Fakes", types.ChatPhotoEmpty(), made, access_hash=21, username="fakes", megagroup=True
    )
    group = types.Chat(GROUP_ID, "Group", types.ChatPhotoEmpty(), 2, made, 1)
    media = {3: _document(FILES[NEAR_FILE]), 4: _document(FILES[FAR_FILE]), 7: _photo(FILES[PHOTO])}
    ids = [number for number in range(1, 313) if number % 5][:250]
    world = FakeWorld(
        scenario=FakeScenario(network(**changes), limits or Limits(history, None, None), faults),
        me=me,
        users={ME_ID: me, FRIEND_ID: friend, STRANGER_ID: stranger},
        chats={CHANNEL_ID: channel, GROUP_ID: group},
        histories={
            CHANNEL: _history(CHANNEL, "channel", types.PeerChannel(CHANNEL_ID), ids, media),
            -GROUP_ID: _history(-GROUP_ID, "chat", types.PeerChat(GROUP_ID), [2, 4], {}),
            FRIEND_ID: _history(FRIEND_ID, "user", types.PeerUser(FRIEND_ID), [1, 3, 5], {}),
        },
    )
    return cast("World", world)


@cache
def shared_key() -> Any:
    """One RSA key for all labs of the tests, since making one takes half a second."""
    return make_rsa_key()


@asynccontextmanager
async def running(world: World | None = None, state: Path | None = None) -> AsyncIterator[Lab]:
    """A lab on this loop."""
    with mock.patch.object(keys, "make_rsa_key", shared_key):
        lab = await start(world or make_world(), state=state)
    try:
        yield lab
    finally:
        await lab.close()


@asynccontextmanager
async def connected(
    lab: Lab, session: str | None = None, *, dc: int = HOME, connection: Any = ConnectionTcpFull
) -> AsyncIterator[Any]:
    """An unmodified Telethon client: with the server file's session, or with `session` ("" begins anew at `dc`)."""
    server = lab.server_file
    rsa.add_key(server["public_key"], old=False)
    TelegramClient._config = None  # kept for the whole class, but of another lab's ports
    client = TelegramClient(
        StringSession(server["session"] if session is None else session),
        server["api_id"],
        server["api_hash"],
        connection=connection,
        flood_sleep_threshold=0,
        request_retries=1,
        connection_retries=1,
        retry_delay=0,
    )
    if session == "":
        client.session.set_dc(dc, server["host"], lab.ports[dc])
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


class LogsByName(defaultdict[str, logging.Logger]):
    def __missing__(self, key: str) -> logging.Logger:
        return logging.getLogger(key)


def make_state(lab: Lab, *, salt: int | None = None) -> Any:
    """Telethon's own encryption with the server file's key, for packets made by hand; `salt` None: the right one."""
    key = AuthKey(StringSession(lab.server_file["session"]).auth_key.key)
    state = MTProtoState(key, LogsByName())
    client = lab._service.keys.find(HOME, key.key_id.to_bytes(8, "little"))
    assert client is not None
    state.salt = client.salt if salt is None else salt
    return state


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection that the server may have closed already."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def parse(data: bytes) -> Any:
    """One TL object."""
    return BinaryReader(data).tgread_object()
