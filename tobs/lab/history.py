"""The messages of one chat, serialized, and the slices of them that Telegram's offset rules select."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.columns import Columns, gather

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Iterator, Sequence

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


@dataclass(frozen=True, slots=True)
class Kept:
    """Messages that lie one after the other, oldest first, where `read(start, end)` reads bytes.

    `origin` names what they were made from, None where they are somebody's own: equal ones are the same bytes.
    """

    columns: Columns
    read: Callable[[int, int], bytes]
    origin: str | None = None


class History:
    """The messages of one chat; `peer_id` is its marked id, `kind` "channel", "chat" or "user".

    A *place* counts from the oldest message, a *position* from the newest, both from 0. Messages are read from
    where they lie, a contiguous piece a slice, and only their `Columns` are held. `origin` is that of `Kept`.
    """

    pts = 1
    """The number of its changes, and 1 (0 is none to the clients): this class knows none."""

    version = 0
    """Rises with each change: pages of different versions may differ."""

    __slots__ = ("_columns", "_dates", "_read", "count", "kind", "origin", "peer_id")

    def __init__(self, peer_id: int, kind: str, entries: Iterable[Entry] | Kept) -> None:
        if not isinstance(entries, Kept):
            data = BytesIO()
            columns = gather(entries, data.write)
            entries = Kept(columns, _Buffer(data.getvalue()).read)
        self.peer_id = peer_id
        self.kind = kind
        self.origin = entries.origin
        self.count = len(entries.columns.ids)
        self._columns = entries.columns
        self._read = entries.read
        self._dates: array[int] | None = None

    @property
    def ids(self) -> list[int]:
        """All message ids, rising: a list made anew."""
        return list(self._columns.ids)

    @property
    def file_ids(self) -> Sequence[int]:
        """The ids of all files that messages carry, each once, in order of appearance."""
        return self._columns.file_ids

    @property
    def dates(self) -> Sequence[int]:
        """The date (Unix) of each message by position, so falling."""
        if self._dates is None:
            self._dates = self._columns.dates[::-1]
        return self._dates

    @property
    def marks(self) -> Sequence[int]:
        """`Entry.marks` of each message by position."""
        return self._columns.marks

    @property
    def threads(self) -> Sequence[int]:
        """`Entry.thread` of each message by position."""
        return self._columns.threads

    @property
    def newest(self) -> tuple[int, int]:
        """Date (Unix) and id of the newest message; (0, 0) in an empty history."""
        return (self._columns.dates[-1], self._columns.ids[-1]) if self.count else (0, 0)

    def serialized(self) -> Iterator[bytes]:
        """All messages as they are served, oldest first; a hundred are held at a time."""
        for low in range(0, self.count, LONGEST_SLICE):
            yield from self._cut(low, min(low + LONGEST_SLICE, self.count))

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
        ids = self._columns.ids
        if max_id > 0:
            start = max(start, self.count - bisect_left(ids, max_id))
        if min_id > 0:
            end = min(end, self.count - bisect_right(ids, min_id))
        if start >= end:
            return Slice([], set(), set(), min(start, self.count), self.count)
        low, high = self.count - end, self.count - start
        messages = self._cut(low, high)
        messages.reverse()
        return Slice(messages, *self._named(low, high), start, self.count)

    def _cut(self, low: int, high: int) -> list[bytes]:
        """The messages at places [low, high), oldest first."""
        offsets = self._columns.offsets[low : high + 1]
        first = offsets[0]
        data = self._read(first, offsets[-1])
        return [data[start - first : end - first] for start, end in pairwise(offsets)]

    def _named(self, low: int, high: int) -> tuple[set[int], set[int]]:
        """The users and the chats that the messages at places [low, high) name."""
        offsets = self._columns.named_offsets
        named = set(self._columns.named[offsets[low] : offsets[high]])
        chats = {-number for number in named if number < 0}
        if chats:
            named = {number for number in named if number > 0}
        return named, chats

    def _newer(self, offset_id: int, offset_date: int | datetime | None) -> int:
        """How many messages are at or after the offset."""
        if offset_id > 0:
            return self.count - bisect_left(self._columns.ids, offset_id)
        if isinstance(offset_date, datetime):
            offset_date = int(offset_date.timestamp())
        return self.count - bisect_left(self._columns.dates, offset_date) if offset_date else 0

    def has(self, message_id: int) -> bool:
        """Whether there is such a message, not deleted."""
        return self.position(message_id) is not None

    def position(self, message_id: int) -> int | None:
        """Where a message stands, counted from the newest; None where there is none."""
        ids = self._columns.ids
        place = bisect_left(ids, message_id)
        return self.count - 1 - place if place < self.count and ids[place] == message_id else None

    def id_at(self, position: int) -> int:
        """The id of the message at `position`, which has to be in [0, count)."""
        return self._columns.ids[self.count - 1 - position]

    def at(self, positions: Iterable[int]) -> Slice:
        """The messages at `positions`, in their order; `count` is that of the history, `offset_id_offset` 0."""
        messages: list[bytes] = []
        users: set[int] = set()
        chats: set[int] = set()
        for position in positions:
            place = self.count - 1 - position
            messages += self._cut(place, place + 1)
            named = self._named(place, place + 1)
            users |= named[0]
            chats |= named[1]
        return Slice(messages, users, chats, 0, self.count)

    def get(self, ids: list[int]) -> Slice:
        """The messages with these ids in this order, MessageEmpty where there is none."""
        positions = [self.position(message_id) for message_id in ids]
        found = self.at(position for position in positions if position is not None)
        there = iter(found.messages)
        messages = [
            bytes(types.MessageEmpty(id=message_id, peer_id=None)) if position is None else next(there)
            for message_id, position in zip(ids, positions, strict=True)
        ]
        return replace(found, messages=messages)


@dataclass(frozen=True, slots=True)
class _Buffer:
    data: bytes

    def read(self, start: int, end: int) -> bytes:
        return self.data[start:end]


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
