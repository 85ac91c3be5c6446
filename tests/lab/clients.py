"""Two clients that know nothing of each other, Telethon and kurigram, behind one set of words.

Both are unmodified. What they are told is where the lab is and which RSA key it has, in the way each offers.
Ids of chats are marked, as both have them.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from hashlib import sha1
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import rsa
from pyrogram import Client as Pyrogram
from pyrogram import raw
from pyrogram.connection import Connection as PyrogramConnection
from pyrogram.connection.transport import TCPAbridged
from pyrogram.crypto import rsa as pyrogram_keys
from pyrogram.enums import MessagesFilter
from pyrogram.errors.rpc_error import RPCError as PyrogramRefusal
from pyrogram.raw.core import TLObject
from pyrogram.raw.functions.auth.log_out import LogOut
from pyrogram.raw.functions.messages.get_history import GetHistory
from telethon import TelegramClient, errors, functions, types
from telethon.crypto import rsa as telethon_keys
from telethon.network import ConnectionTcpFull
from telethon.sessions import StringSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tobs.lab.server import Lab


BEGIN = 2
"""The data centre that both clients know from the start."""


class Read(NamedTuple):
    """A message as a client tells it: `text` is None for a service message, `entities` their number."""

    id: int
    date: int
    text: str | None
    entities: int


def plain(value: Any) -> Any:
    """A TL object of kurigram's, or the dictionary of one of Telethon's, in the same plain values.

    What is None, False or empty is left out, since the two differ in what an absent field becomes.
    """
    if isinstance(value, list):  # kurigram's lists are TL objects too
        return [plain(inner) for inner in value]
    if isinstance(value, TLObject):
        value = {"_": value.QUALNAME.rpartition(".")[2], **{name: getattr(value, name) for name in value.__slots__}}
    if isinstance(value, dict):
        inside = {name: plain(inner) for name, inner in value.items()}
        return {
            name: inner for name, inner in inside.items() if inner is not None and inner is not False and inner != []
        }
    return int(value.timestamp()) if isinstance(value, datetime) else value


class RefusedError(Exception):
    """The server refused a request; the text is the client's own name for it, PhoneCodeInvalid for example."""


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except (errors.RPCError, PyrogramRefusal) as error:
        raise RefusedError(type(error).__name__.removesuffix("Error")) from error


class Client(Protocol):
    """What the conformance tests ask of a client."""

    async def ask_code(self) -> None:
        """Have a code sent to the lab's phone."""

    async def give_code(self, code: str) -> int:
        """Log in with this code; the account's id. Raises `RefusedError`."""

    async def give_password(self, password: str) -> int:
        """Give this password after a right code; the account's id. Raises `RefusedError`."""

    async def me(self) -> int: ...

    async def dialogs(self) -> list[int]: ...

    async def resolve(self, username: str) -> int: ...

    async def history(self, chat: int) -> list[Read]:
        """The whole history, newest first, in the client's own way of reading one."""

    async def page(self, chat: int, offset_id: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """One page of messages, each as the client's own codec understands it, in plain values."""

    async def messages(self, chat: int, numbers: list[int]) -> list[Read | None]:
        """Messages by their ids, None where there is none."""

    async def download(self, chat: int, number: int) -> bytes:
        """The file of a message."""

    async def members(self, chat: int) -> set[int]: ...

    async def topics(self, chat: int) -> list[tuple[int, str]]:
        """Id and title of a forum's topics, in the order of their coming."""

    async def thread(self, chat: int, root: int) -> list[int]:
        """The ids of the messages in a topic, or of the comments on a post, newest first."""

    async def search(self, chat: int, query: str) -> list[int]:
        """The ids of the messages that hold a word, newest first."""

    async def pinned(self, chat: int) -> list[int]:
        """The ids of the pinned messages, newest first."""

    async def photos(self, user: int) -> int:
        """The number of a user's profile photos."""

    async def log_out(self) -> None: ...


class _Telethon:
    def __init__(self, client: Any, server: dict[str, Any]) -> None:
        self._client = client
        self._server = server

    async def ask_code(self) -> None:
        await self._client.send_code_request(self._server["phone"])

    async def give_code(self, code: str) -> int:
        with refusals():
            return int((await self._client.sign_in(code=code)).id)

    async def give_password(self, password: str) -> int:
        with refusals():
            return int((await self._client.sign_in(password=password)).id)

    async def me(self) -> int:
        me = await self._client.get_me()
        if me is None:
            raise RefusedError("AuthKeyUnregistered")
        return int(me.id)

    async def dialogs(self) -> list[int]:
        with refusals():
            return [dialog.id for dialog in await self._client.get_dialogs()]

    async def resolve(self, username: str) -> int:
        try:
            return int(await self._client.get_peer_id(username))
        except ValueError as error:  # what Telethon makes of it
            raise RefusedError("UsernameNotOccupied") from error

    async def history(self, chat: int) -> list[Read]:
        return [_of_telethon(message) async for message in self._client.iter_messages(chat, wait_time=0)]

    async def page(self, chat: int, offset_id: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        peer = await self._client.get_input_entity(chat)
        request = functions.messages.GetHistoryRequest(peer, offset_id, None, 0, limit, 0, 0, 0)
        return [plain(message.to_dict()) for message in (await self._client(request)).messages]

    async def messages(self, chat: int, numbers: list[int]) -> list[Read | None]:
        found = await self._client.get_messages(chat, ids=numbers)
        return [message and _of_telethon(message) for message in found]

    async def download(self, chat: int, number: int) -> bytes:
        message = await self._client.get_messages(chat, ids=number)
        data = await message.download_media(bytes)
        assert isinstance(data, bytes)
        return data

    async def members(self, chat: int) -> set[int]:
        return {member.id async for member in self._client.iter_participants(chat)}

    async def topics(self, chat: int) -> list[tuple[int, str]]:
        peer = await self._client.get_input_entity(chat)
        found = await self._client(functions.messages.GetForumTopicsRequest(peer, None, 0, 0, 100))
        return [(topic.id, topic.title) for topic in found.topics]

    async def thread(self, chat: int, root: int) -> list[int]:
        return [message.id async for message in self._client.iter_messages(chat, reply_to=root, wait_time=0)]

    async def search(self, chat: int, query: str) -> list[int]:
        return [message.id async for message in self._client.iter_messages(chat, search=query, wait_time=0)]

    async def pinned(self, chat: int) -> list[int]:
        only = types.InputMessagesFilterPinned
        return [message.id async for message in self._client.iter_messages(chat, filter=only, wait_time=0)]

    async def photos(self, user: int) -> int:
        return len(await self._client.get_profile_photos(user))

    async def log_out(self) -> None:
        await self._client.log_out()


def _of_telethon(message: Any) -> Read:
    text = None if message.action is not None else message.raw_text
    return Read(message.id, int(message.date.timestamp()), text, len(message.entities or ()))


class _Kurigram:
    def __init__(self, client: Any, server: dict[str, Any]) -> None:
        self._client = client
        self._server = server
        self._code_hash = ""

    async def ask_code(self) -> None:
        self._code_hash = (await self._client.send_phone_number_code(self._server["phone"])).phone_code_hash

    async def give_code(self, code: str) -> int:
        with refusals():
            return int((await self._client.sign_in(self._server["phone"], self._code_hash, code)).id)

    async def give_password(self, password: str) -> int:
        with refusals():
            return int((await self._client.check_password(password)).id)

    async def me(self) -> int:
        with refusals():
            return int((await self._client.get_me()).id)

    async def dialogs(self) -> list[int]:
        with refusals():
            return [dialog.chat.id async for dialog in self._client.get_dialogs()]

    async def resolve(self, username: str) -> int:
        with refusals():
            return int((await self._client.get_chat(username)).id)

    async def history(self, chat: int) -> list[Read]:
        return [_of_kurigram(message) async for message in self._client.get_chat_history(chat)]

    async def page(self, chat: int, offset_id: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        peer = await self._client.resolve_peer(chat)
        request = GetHistory(
            peer=peer, offset_id=offset_id, offset_date=0, add_offset=0, limit=limit, max_id=0, min_id=0, hash=0
        )
        return [plain(message) for message in (await self._client.invoke(request)).messages]

    async def messages(self, chat: int, numbers: list[int]) -> list[Read | None]:
        found = await self._client.get_messages(chat, numbers)
        return [None if message.empty else _of_kurigram(message) for message in found]

    async def download(self, chat: int, number: int) -> bytes:
        message = await self._client.get_messages(chat, number)
        return bytes((await self._client.download_media(message, in_memory=True)).getbuffer())

    async def members(self, chat: int) -> set[int]:
        return {member.user.id async for member in self._client.get_chat_members(chat)}

    async def topics(self, chat: int) -> list[tuple[int, str]]:
        return [(topic.id, topic.title) async for topic in self._client.get_forum_topics(chat)]

    async def thread(self, chat: int, root: int) -> list[int]:
        return [message.id async for message in self._client.get_discussion_replies(chat, root)]

    async def search(self, chat: int, query: str) -> list[int]:
        return [message.id async for message in self._client.search_messages(chat, query)]

    async def pinned(self, chat: int) -> list[int]:
        only = MessagesFilter.PINNED
        return [message.id async for message in self._client.search_messages(chat, filter=only)]

    async def photos(self, user: int) -> int:
        return len([photo async for photo in self._client.get_chat_photos(user)])

    async def log_out(self) -> None:
        await self._client.invoke(LogOut())


def _of_kurigram(message: Any) -> Read:
    text = None if message.service else str(message.content)
    entities = message.entities or message.caption_entities or ()
    return Read(message.id, int(message.date.timestamp()), text, len(entities))


@asynccontextmanager
async def telethon(lab: Lab, *, new: bool = False, transport: Any = ConnectionTcpFull) -> AsyncIterator[Client]:
    """Telethon, with the server file's session, or with a new key made at data centre 2."""
    server = lab.server_file
    telethon_keys.add_key(server["public_key"], old=False)
    TelegramClient._config = None  # kept for the whole class, but of another lab's ports
    session = StringSession("" if new else server["session"])
    if new:
        session.set_dc(BEGIN, server["host"], lab.ports[BEGIN])
    client = TelegramClient(session, server["api_id"], server["api_hash"], connection=transport, retry_delay=0)
    await client.connect()
    try:
        yield _Telethon(client, server)
    finally:
        await client.disconnect()


@asynccontextmanager
async def kurigram(lab: Lab, *, new: bool = False, transport: Any = TCPAbridged) -> AsyncIterator[Client]:
    """kurigram, likewise; that it begins at data centre 2 cannot be changed."""
    async with kurigram_client(lab, new=new, transport=transport) as client:
        yield _Kurigram(client, lab.server_file)


@asynccontextmanager
async def kurigram_client(lab: Lab, *, new: bool = False, transport: Any = TCPAbridged) -> AsyncIterator[Any]:
    """The client of kurigram itself, with the server file's session or none."""
    server = lab.server_file
    public = rsa.PublicKey.load_pkcs1(server["public_key"].encode())
    number = raw.core.primitives.Bytes
    digest = sha1(number(public.n.to_bytes(256, "big")) + number(public.e.to_bytes(3, "big"))).digest()
    pyrogram_keys.server_public_keys[int.from_bytes(digest[-8:], "little", signed=True)] = pyrogram_keys.PublicKey(
        public.n, public.e
    )

    def connection(*, dc_id: int, server_address: str, port: int, **more: Any) -> PyrogramConnection:
        if server_address != server["host"]:  # one of Telegram's own, with which kurigram begins
            server_address, port = server["host"], lab.ports[dc_id]
        return PyrogramConnection(dc_id=dc_id, server_address=server_address, port=port, **more)

    client = Pyrogram(
        "conformance",
        server["api_id"],
        server["api_hash"],
        session_string=None if new else server["pyrogram_session"],
        in_memory=True,
        no_updates=True,
        workers=1,
        connection_factory=connection,  # type: ignore[arg-type]  # a function will do
        protocol_factory=transport,
    )
    await client.connect()
    try:
        yield client
    finally:
        for session in (*client.media_sessions.values(), *client.sessions.values()):
            await session.stop()
        with suppress(ConnectionError):
            await client.disconnect()
