"""The messages of one chat, serialized, and the slices of them that Telegram's offset rules select."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from telethon.tl import types

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_SLICE = 100
DEFAULT_SLICE = 20
"""What a limit of 0 means: the documentation says "an intermediate value like ~20"."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Serialized boxed messages, newest first (or as asked), and the bare ids of whom they name.

    `offset_id_offset` is the number of messages newer than the first of the slice, `count` that of the whole
    history.
    """

    messages: list[bytes]
    user_ids: set[int]
    chat_ids: set[int]
    offset_id_offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One message: serialized, with the bare ids of users and chats that it names and its file's id or 0.

    `thread` is the root of the thread that it stands in (a forum topic's id, or the channel post's copy that it
    comments on), 0 for none; `marks` says what it is in bits of `tobs.lab.marks`.
    """

    id: int
    date: int
    data: bytes
    users: tuple[int, ...]
    chats: tuple[int, ...]
    file_id: int
    thread: int = 0
    marks: int = 0


class History:
    """The messages of one chat; `peer_id` is its marked id, `kind` "channel", "chat" or "user"."""

    pts = 1
    """The number of its changes, and 1 (0 is none to the clients): this class knows none."""

    version = 0
    """Rises with each change: pages of different versions may differ."""

    __slots__ = ("_chats", "_data", "_dates", "_ids", "_users", "count", "file_ids", "kind", "peer_id")

    def __init__(self, peer_id: int, kind: str, entries: Sequence[Entry]) -> None:
        self.peer_id = peer_id
        self.kind = kind
        self.count = len(entries)
        self.file_ids = tuple(dict.fromkeys(entry.file_id for entry in entries if entry.file_id))
        self._ids = [entry.id for entry in entries]
        self._dates = [entry.date for entry in entries]
        newest_first = entries[::-1]
        self._data = [entry.data for entry in newest_first]
        self._users = [entry.users for entry in newest_first]
        self._chats = [entry.chats for entry in newest_first]

    @property
    def ids(self) -> list[int]:
        """All message ids, rising."""
        return list(self._ids)

    @property
    def dates(self) -> Sequence[int]:
        """The date (Unix) of each message, newest first."""
        return self._dates[::-1]

    @property
    def newest(self) -> tuple[int, int]:
        """Date (Unix) and id of the newest message; (0, 0) in an empty history."""
        return (self._dates[-1], self._ids[-1]) if self._ids else (0, 0)

    def serialized(self) -> list[bytes]:
        """All messages as they are served, oldest first."""
        return self._data[::-1]

    def slice(
        self,
        offset_id: int = 0,
        offset_date: int | datetime | None = 0,
        add_offset: int = 0,
        limit: int = LONGEST_SLICE,
        max_id: int = 0,
        min_id: int = 0,
    ) -> Slice:
        """The messages that `messages.getHistory` answers with these arguments.

        As core.telegram.org/api/offsets has it: the slice starts at offsetFromID(offset_id) + add_offset,
        where offsetFromID counts messages from the newest to that id, inclusive, and takes `limit` (at most
        100, 0: 20); *then* `max_id` and `min_id` drop those with ids not strictly between them. Without
        `offset_id`, `offset_date` counts the same way. What lies before the newest message is empty, so a
        slice reaching over it is shorter.
        """
        if limit <= 0:
            limit = DEFAULT_SLICE
        start = self._newer(offset_id, offset_date) + add_offset
        end = min(start + min(limit, LONGEST_SLICE), self.count)
        start = max(start, 0)
        ids = self._ids
        if max_id > 0:
            start = max(start, self.count - bisect_left(ids, max_id))
        if min_id > 0:
            end = min(end, self.count - bisect_right(ids, min_id))
        if start >= end:
            return Slice([], set(), set(), min(start, self.count), self.count)
        return Slice(
            self._data[start:end],
            set().union(*self._users[start:end]),
            set().union(*self._chats[start:end]),
            start,
            self.count,
        )

    def _newer(self, offset_id: int, offset_date: int | datetime | None) -> int:
        """How many messages are at or after the offset."""
        if offset_id > 0:
            return self.count - bisect_left(self._ids, offset_id)
        if isinstance(offset_date, datetime):
            offset_date = int(offset_date.timestamp())
        return self.count - bisect_left(self._dates, offset_date) if offset_date else 0

    def has(self, message_id: int) -> bool:
        """Whether there is such a message, not deleted."""
        return self._place(message_id) is not None

    def get(self, ids: list[int]) -> Slice:
        """The messages with these ids in this order, MessageEmpty where there is none."""
        messages: list[bytes] = []
        users: set[int] = set()
        chats: set[int] = set()
        for message_id in ids:
            place = self._place(message_id)
            if place is None:
                messages.append(bytes(types.MessageEmpty(id=message_id, peer_id=None)))
                continue
            messages.append(self._data[place])
            users.update(self._users[place])
            chats.update(self._chats[place])
        return Slice(messages, users, chats, 0, self.count)

    def _place(self, message_id: int) -> int | None:
        at = bisect_left(self._ids, message_id)
        found = at < self.count and self._ids[at] == message_id
        return self.count - 1 - at if found else None


def entry_of(
    message: Any,
    date: int,
    users: tuple[int, ...],
    chats: tuple[int, ...],
    file_id: int,
    *,
    thread: int = 0,
    marks: int = 0,
) -> Entry:
    """`message` serialized, ready for a history."""
    return Entry(message.id, date, bytes(message), users, chats, file_id, thread, marks)
