"""Core's own requests: senders by data centre, history pages, parts, fresh references."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from telethon.tl import types
from telethon.tl.functions.auth import ExportAuthorizationRequest, ImportAuthorizationRequest
from telethon.tl.functions.channels import GetMessagesRequest as GetChannelMessagesRequest
from telethon.tl.functions.help import GetConfigRequest
from telethon.tl.functions.messages import GetHistoryRequest, GetMessagesRequest
from telethon.tl.functions.upload import GetFileHashesRequest, GetFileRequest

from tobs.engine.spans import NEWEST
from tobs.errors import ConnectError, LostError, RpcError
from tobs.ports import Call
from tobs.telegram.normalise import Normaliser, references
from tobs.telegram.reading import read, read_history
from tobs.telegram.sender import LOGIN_AGAIN, connect_sender, introduce, open_sender
from tobs.values import PAGE, Batch, BlockHash, Page, Span, Traffic, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tobs.ports import Invoke
    from tobs.telegram.account import Account
    from tobs.telegram.sender import TelegramSender
    from tobs.values import Chat, MediaRef, Part


HASHES_SIZE = 1024
"""Bytes that an answer to getFileHashes takes at most: eight hashes of some fifty bytes."""


def _sized(reader: Any) -> Any:
    """The answer in a reply, knowing its length on the wire."""
    data = reader.get_bytes()
    answer = read(data)
    answer.wire_size = len(data)
    return answer


class _History(GetHistoryRequest):  # type: ignore[misc]
    """getHistory whose answer knows its length."""

    read_result = staticmethod(_sized)


def _wired(reader: Any) -> Any:
    """The answer in a reply, knowing its bytes."""
    data = reader.get_bytes()
    answer, places = read_history(data)
    answer.wire_size, answer.wire = len(data), Wire(data, places)
    return answer


class _WiredHistory(GetHistoryRequest):  # type: ignore[misc]
    """getHistory whose answer knows its bytes."""

    read_result = staticmethod(_wired)


class _File(GetFileRequest):  # type: ignore[misc]
    """getFile whose answer knows its length."""

    read_result = staticmethod(_sized)


class _HashList(list[Any]):
    """The answer to getFileHashes."""

    wire_size = 0


def _sized_hashes(reader: Any) -> _HashList:
    data = reader.get_bytes()
    answer = _HashList(read(data))
    answer.wire_size = len(data)
    return answer


class _Hashes(GetFileHashesRequest):  # type: ignore[misc]
    """getFileHashes whose answer knows its length."""

    read_result = staticmethod(_sized_hashes)


class TelegramService:
    """See `tobs.engine.graph.Service`. One per run; keys of other data centres live as long as it does."""

    def __init__(self, account: Account) -> None:
        if account.key is None:
            raise ConnectError(f"account {account.name!r} is not logged in", hint=LOGIN_AGAIN)
        self.account = account
        self.home = account.dc
        self.keeps_wire = False
        self._addresses: dict[int, tuple[str, int]] = {account.dc: (account.host, account.port)}
        self._keys: dict[int, bytes] = {account.dc: account.key}
        self._last: dict[int, TelegramSender] = {}
        """The connection last opened to each data centre, closed or not: it knows the salt."""
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._normaliser = Normaliser(int(account.user.get("id", 0)))

    def be(self, me: types.User) -> None:
        """Know whose account this is: private chats name no sender for one's own messages."""
        self._normaliser.me = me.id

    def normalise(self, page: Page) -> Batch:
        """Rows, media and peers of a page."""
        return self._normaliser(page)

    async def dial(self, dc: int | None, invoke: Invoke, key: bytes | None = None) -> TelegramSender:
        """One authorized sender; a data centre's first one makes its key and brings the authorization over.

        A `key` that is given is used instead, for this one: it may be known and its authorization gone, so that whoever
        keeps it must be able to go on without it.
        """
        number = self.home if dc is None else dc
        if number == self.home:
            key = self._keys[number]
        elif key is None:
            async with self._locks[number]:
                if number not in self._keys:
                    return await self._first(number, invoke)
            key = self._keys[number]
        last = self._last.get(number)
        salt = last.salt if last is not None and last.auth_key == key else 0
        sender, config = await open_sender(self.account, number, self._address(number), key, GetConfigRequest(), salt)
        self._last[number] = sender
        self._learn(config)
        return sender

    async def _first(self, dc: int, invoke: Invoke) -> TelegramSender:
        """Agree on a key while home exports the authorization, which may have to wait for long."""
        export = Call(ExportAuthorizationRequest(dc), "auth.exportAuthorization")
        exporting = asyncio.ensure_future(invoke(export))
        try:
            if dc not in self._addresses:
                await exporting  # over the first connection to home, which names them
            sender = await connect_sender(dc, self._address(dc), None)
            try:
                exported = await exporting
            except BaseException:
                await sender.close()
                raise
        finally:
            exporting.cancel()
            await asyncio.gather(exporting, return_exceptions=True)
        if sender.closed:
            sender = await connect_sender(dc, self._address(dc), sender.auth_key)
        await introduce(sender, self.account, ImportAuthorizationRequest(id=exported.id, bytes=exported.bytes))
        self._keys[dc] = sender.auth_key
        self._last[dc] = sender
        return sender

    def _learn(self, config: types.Config) -> None:
        for option in config.dc_options:
            plain = not (option.ipv6 or option.media_only or option.tcpo_only or option.cdn)
            if plain and option.id not in self._addresses:
                self._addresses[option.id] = (option.ip_address, option.port)

    def _address(self, dc: int) -> tuple[str, int]:
        try:
            return self._addresses[dc]
        except KeyError:
            raise LostError(f"the server names no address for data centre {dc}") from None

    async def page(self, invoke: Invoke, chat: Chat, span: Span, skip: int) -> Page:
        """The newest page inside `span`, below its `skip` newest messages."""
        newest = span.high >= NEWEST
        kind = _WiredHistory if self.keeps_wire else _History
        request = kind(
            peer=chat.peer,
            offset_id=0 if newest else span.high + 1,
            offset_date=None,
            add_offset=skip,
            limit=PAGE,
            max_id=0,
            min_id=max(span.low - 1, 0),
            hash=0,
        )
        answer = await invoke(Call(request, "messages.getHistory", Traffic.HISTORY))
        return as_page(chat, span, answer, skip)

    async def part(self, invoke: Invoke, ref: MediaRef, part: Part, dc: int | None) -> bytes:
        """One part of a file."""
        request = _File(location=_location(ref), offset=part.offset, limit=part.limit, precise=True)
        due = min(part.limit, ref.size - part.offset)

        def whole(answer: Any) -> bool:
            return not isinstance(answer, types.upload.File) or len(answer.bytes) >= due

        answer = await invoke(Call(request, "upload.getFile", Traffic.MEDIA, dc, part.limit, whole=whole))
        if not isinstance(answer, types.upload.File):
            raise RpcError(400, "CDN_REDIRECT", None, "upload.getFile")
        data: bytes = answer.bytes
        return data

    async def file_hashes(self, invoke: Invoke, ref: MediaRef, offset: int, dc: int | None) -> list[BlockHash]:
        """Hashes of a file's blocks from the one that holds `offset`, in order; none if there are none."""
        request = _Hashes(location=_location(ref), offset=offset)
        answer = await invoke(Call(request, "upload.getFileHashes", Traffic.HISTORY, dc, HASHES_SIZE))
        return [BlockHash(one.offset, one.limit, one.hash) for one in answer]

    async def refresh(self, invoke: Invoke, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        """Fetch the messages again; what is gone is left out."""
        by_chat: defaultdict[int, set[int]] = defaultdict(set)
        for ref in refs:
            by_chat[ref.chat_id].add(ref.message_id)
        fresh: dict[tuple[int, int], MediaRef] = {}
        for chat_id, ids in by_chat.items():
            wanted = sorted(ids)
            for start in range(0, len(wanted), PAGE):
                named = [types.InputMessageID(number) for number in wanted[start : start + PAGE]]
                for ref in references(chat_id, await self._messages(invoke, chat_id, named)):
                    fresh[ref.message_id, ref.file_id] = ref
        return fresh

    async def _messages(self, invoke: Invoke, chat_id: int, named: list[Any]) -> list[Any]:
        peer = self.peers.get(chat_id)
        if isinstance(peer, types.InputPeerChannel):
            channel = types.InputChannel(peer.channel_id, peer.access_hash)
            call = Call(GetChannelMessagesRequest(channel, named), "channels.getMessages")
        else:
            call = Call(GetMessagesRequest(named), "messages.getMessages")
        return list((await invoke(call)).messages)

    @property
    def peers(self) -> dict[int, Any]:
        """Input peers of the chats being exported, by marked id."""
        return self._normaliser.peers


def as_page(chat: Chat, span: Span, answer: Any, skip: int = 0) -> Page:
    """An answer to getHistory as a page, and what it proves.

    A page that reaches the span's low end, or holds a whole history, ends the span. So does a short page, but only
    the server's count can confirm it: such a page is doubtful. A page below `skip` messages says nothing of those.
    """
    messages = answer.messages
    peers = [*answer.users, *answer.chats]
    count = getattr(answer, "count", None)
    size = getattr(answer, "wire_size", 0)
    newest = span.high >= NEWEST
    if not messages:
        high = span.low - 1 if newest or skip else span.high
        return Page(chat, Span(span.low, high), messages, peers, count or 0, ended=True, doubtful=False, size=size)
    lowest = messages[-1].id
    whole = lowest <= span.low or isinstance(answer, types.messages.Messages)
    ended = whole or len(messages) < PAGE
    newer = getattr(answer, "offset_id_offset", None)
    return Page(
        chat=chat,
        span=Span(span.low if ended else lowest, messages[0].id if newest or skip else span.high),
        messages=messages,
        peers=peers,
        count=len(messages) if count is None else count,
        ended=ended,
        doubtful=ended and not whole,
        size=size,
        newer=0 if newer is None and newest and not skip else newer,
        wire=getattr(answer, "wire", None),
    )


def _location(ref: MediaRef) -> Any:
    kind = types.InputPhotoFileLocation if ref.form == "photo" else types.InputDocumentFileLocation
    return kind(ref.file_id, ref.access_hash, ref.reference, ref.thumb)
