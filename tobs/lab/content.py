"""The world's people and chats as bytes: serialized once, put together for each answer."""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import TYPE_CHECKING

from telethon.tl import types

from tobs.lab.references import References
from tobs.lab.takeout import within
from tobs.lab.tl import Chunks, gzip_packed, vector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tobs.lab.world import History, Slice, World

CHANNEL_BASE = 10**12
MAX_CACHED = 1024
MAX_CACHED_PAGES = 512
GZIP_FROM = 1024
_EMPTY = vector(())
_MESSAGE_EMPTY = struct.pack("<I", types.MessageEmpty.CONSTRUCTOR_ID)


def empty_message(message_id: int) -> bytes:
    """`messageEmpty` by hand: Telethon's own class cannot be made from an id alone once its client is imported."""
    return _MESSAGE_EMPTY + struct.pack("<Ii", 0, message_id)


def is_empty_message(message: bytes) -> bool:
    """Whether a serialized message is `messageEmpty`."""
    return message[:4] == _MESSAGE_EMPTY


def channel_mark(channel_id: int) -> int:
    """The marked id of a channel."""
    return -(CHANNEL_BASE + channel_id)


def peer_of(marked: int) -> types.PeerUser | types.PeerChat | types.PeerChannel:
    """The peer behind a marked id."""
    if marked > 0:
        return types.PeerUser(marked)
    return types.PeerChannel(-marked - CHANNEL_BASE) if marked < -CHANNEL_BASE else types.PeerChat(-marked)


Where = tuple[int, int, int, int, int, int]
"""The arguments of `History.slice`."""


class Content:
    """Serialized answers about one world."""

    def __init__(self, world: World, references: References | None = None) -> None:
        network = world.scenario.network
        self._world = world
        self._references = references or References(None)
        self._objects: dict[tuple[str, int], bytes] = {}
        self._vectors: OrderedDict[tuple[str, frozenset[int]], bytes] = OrderedDict()
        self._pages: OrderedDict[tuple[object, ...], tuple[bytes, int]] = OrderedDict()
        # Packing costs more CPU than it saves where bandwidth costs nothing.
        self.packs = any(
            rate is not None for rate in (network.connection_rate, network.account_rate, network.down_rate)
        )

    def _object(self, kind: str, number: int) -> bytes | None:
        found = self._objects.get((kind, number))
        if found is None:
            value = (self._world.users if kind == "user" else self._world.chats).get(number)
            if value is None:
                return None
            found = self._objects[kind, number] = bytes(value)
        return found

    def _vector(self, kind: str, numbers: Iterable[int]) -> bytes:
        key = (kind, frozenset(numbers))
        if not key[1]:
            return _EMPTY
        found = self._vectors.get(key)
        if found is None:
            items = [self._object(kind, number) for number in sorted(key[1])]
            found = self._vectors[key] = vector([item for item in items if item is not None])
            if len(self._vectors) > MAX_CACHED:
                self._vectors.popitem(last=False)
        return found

    def users(self, ids: Iterable[int]) -> bytes:
        """`Vector<User>` of these; unknown ones are left out."""
        return self._vector("user", ids)

    def chats(self, ids: Iterable[int]) -> bytes:
        """`Vector<Chat>` of these bare ids; unknown ones are left out."""
        return self._vector("chat", ids)

    def messages(self, part: Slice, history: History | None, *, whole: bool) -> Chunks:
        """`messages.Messages`, `MessagesSlice` or `ChannelMessages` around a slice, by its kind of chat.

        `whole`: nothing but this slice was asked for (by ids), so its own length is its count.
        """
        count = len(part.messages) if whole else part.count
        if history is not None and history.kind == "channel":
            head = struct.pack(
                "<IIii", types.messages.ChannelMessages.CONSTRUCTOR_ID, 0 if whole else 4, history.pts, count
            )
            head += b"" if whole else struct.pack("<i", part.offset_id_offset)
        elif count <= len(part.messages):
            head = struct.pack("<I", types.messages.Messages.CONSTRUCTOR_ID)
        else:
            head = struct.pack("<IIi", types.messages.MessagesSlice.CONSTRUCTOR_ID, 4, count)
            head += struct.pack("<i", part.offset_id_offset)
        return (
            head + b"\x15\xc4\xb5\x1c" + struct.pack("<i", len(part.messages)),
            *part.messages,
            _EMPTY,
            self.chats(part.chat_ids),
            self.users(part.user_ids),
        )

    def page(self, history: History, where: Where, part: types.MessageRange | None = None) -> tuple[Chunks, int]:
        """A history page for `History.slice(*where)`, packed where that helps, and its number of messages.

        `part` leaves only the messages in this range.
        """
        if not self.packs:
            found = _slice(history, where, part)
            return self.messages(found, history, whole=False), len(found.messages)
        references = self._references
        key = (history.peer_id, history.version, *where, part and (part.min_id, part.max_id), references.epoch)
        page = self._pages.get(key)
        if page is None:
            found = _slice(history, where, part)
            body = b"".join(references.stamp(self.messages(found, history, whole=False)))
            if len(body) >= GZIP_FROM:
                packed = gzip_packed(body)
                body = packed if len(packed) < len(body) else body
            page = self._pages[key] = (body, len(found.messages))
            if len(self._pages) > MAX_CACHED_PAGES:
                self._pages.popitem(last=False)
        return (page[0],), page[1]


def _slice(history: History, where: Where, part: types.MessageRange | None) -> Slice:
    return history.slice(*where) if part is None else within(history, part, where)
