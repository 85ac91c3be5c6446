"""A chat that changes while it is served: an overlay over the history that it was at first."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from tobs.lab.changes import DELETED, NEW, Change
from tobs.lab.content import empty_message
from tobs.lab.history import DEFAULT_SLICE, LONGEST_SLICE, Entry, History, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.lab.world import World


class LiveHistory(History):
    """A history and the changes that were made to it; `version` and `pts` rise with each of them.

    It holds ids and dates of the messages that are there, and those messages that came or were edited; everything
    else is read from `base`.
    """

    __slots__ = ("_changed", "_now", "_when", "base", "pts", "version")

    def __init__(self, base: History) -> None:
        self.base = base
        self.peer_id, self.kind, self.count, self.file_ids = base.peer_id, base.kind, base.count, base.file_ids
        self.version = 0
        self.pts = base.pts
        self._now = array("q", base.ids)
        self._when = array("q", base.dates[::-1])
        self._changed: dict[int, Entry] = {}

    def apply(self, change: Change) -> None:
        """Make a change, which has to be the next one of its plan."""
        if change.kind == DELETED:
            place = bisect_left(self._now, change.id)
            del self._now[place], self._when[place]
            self._changed.pop(change.id, None)
        else:
            assert change.entry is not None
            self._changed[change.id] = change.entry
            if change.kind == NEW:
                self._now.append(change.id)
                self._when.append(change.entry.date)
        self.count = len(self._now)
        self.version += 1
        self.pts += 1

    @property
    def ids(self) -> list[int]:
        """All message ids, rising."""
        return list(self._now)

    @property
    def dates(self) -> Sequence[int]:
        """The date (Unix) of each message, newest first."""
        return self._when[::-1]

    @property
    def newest(self) -> tuple[int, int]:
        """Date (Unix) and id of the newest message; (0, 0) in an empty history."""
        return (self._when[-1], self._now[-1]) if self._now else (0, 0)

    def serialized(self) -> list[bytes]:
        """All messages as they are served, oldest first."""
        return [
            message for low in range(0, self.count, LONGEST_SLICE) for message in self._cut(low, low + 100).messages
        ]

    def slice(
        self,
        offset_id: int = 0,
        offset_date: int | datetime | None = 0,
        add_offset: int = 0,
        limit: int = LONGEST_SLICE,
        max_id: int = 0,
        min_id: int = 0,
    ) -> Slice:
        """As `History.slice`, of what is there now."""
        ids, count = self._now, self.count
        start = self._newer(offset_id, offset_date) + add_offset
        end = min(start + min(limit if limit > 0 else DEFAULT_SLICE, LONGEST_SLICE), count)
        start = max(start, 0)
        if max_id > 0:
            start = max(start, count - bisect_left(ids, max_id))
        if min_id > 0:
            end = min(end, count - bisect_right(ids, min_id))
        if start >= end:
            return Slice([], set(), set(), min(start, count), count)
        found = self._cut(count - end, count - start)
        return replace(found, messages=found.messages[::-1], offset_id_offset=start)

    def has(self, message_id: int) -> bool:
        """Whether there is such a message, not deleted."""
        place = bisect_left(self._now, message_id)
        return place < self.count and self._now[place] == message_id

    def get(self, ids: list[int]) -> Slice:
        """The messages with these ids in this order, MessageEmpty where there is none."""
        there = [message_id for message_id in ids if message_id not in self._changed and self.has(message_id)]
        found = self.base.get(there)
        rest = iter(found.messages)
        messages: list[bytes] = []
        users, chats = set(found.user_ids), set(found.chat_ids)
        for message_id in ids:
            entry = self._changed.get(message_id)
            if entry is not None:
                messages.append(entry.data)
                users.update(entry.users)
                chats.update(entry.chats)
            else:
                messages.append(next(rest) if self.has(message_id) else empty_message(message_id))
        return Slice(messages, users, chats, 0, self.count)

    def _cut(self, low: int, high: int) -> Slice:
        """The messages at places [low, high), counted from the oldest, oldest first."""
        return self.get(list(self._now[low:high]))

    def _newer(self, offset_id: int, offset_date: int | datetime | None) -> int:
        if offset_id > 0:
            return self.count - bisect_left(self._now, offset_id)
        if isinstance(offset_date, datetime):
            offset_date = int(offset_date.timestamp())
        return self.count - bisect_left(self._when, offset_date) if offset_date else 0


def at_first(world: World) -> World:
    """The world with chats that can change, before the first change."""
    return _with(world, _overlays(world))


def at_last(world: World) -> World:
    """The world as it is when all changes were made."""
    changed = _overlays(world)
    for change in world.changes:
        changed[change.peer_id].apply(change)
    return _with(world, changed)


def _overlays(world: World) -> dict[int, LiveHistory]:
    return {peer_id: LiveHistory(_base(world, peer_id)) for peer_id in {change.peer_id for change in world.changes}}


def _base(world: World, peer_id: int) -> History:
    history = world.histories[peer_id]
    return history.base if isinstance(history, LiveHistory) else history


def _with(world: World, changed: dict[int, LiveHistory]) -> World:
    return replace(world, histories={**world.histories, **changed}) if changed else world
