"""A chat that changes while it is served: an overlay over the history that it was at first."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from tobs.lab.changes import NEW, Change
from tobs.lab.columns import Columns
from tobs.lab.history import Entry, History, Kept, Slice

if TYPE_CHECKING:
    from tobs.lab.world import World


class LiveHistory(History):
    """A history and the changes that were made to it; `version` and `pts` rise with each of them.

    It holds the columns of the messages that are there, and those messages that came or were edited; everything
    else is read from `base`.
    """

    __slots__ = ("_changed", "base", "pts", "version")

    def __init__(self, base: History) -> None:
        ids, dates = array("i", base.ids), array("q", base.dates[::-1])
        threads, marks = array("I", base.threads), array("I", base.marks)
        columns = Columns(ids=ids, dates=dates, threads=threads, marks=marks, file_ids=array("q", base.file_ids))
        super().__init__(base.peer_id, base.kind, Kept(columns, _nothing))
        self.base = base
        self.version = 0
        self.pts = base.pts
        self._changed: dict[int, Entry] = {}

    def apply(self, change: Change) -> None:
        """Make a change, which has to be the next one of its plan."""
        columns, entry = self._columns, change.entry
        if entry is None:
            place = bisect_left(columns.ids, change.id)
            for newest_last in (columns.ids, columns.dates):
                del newest_last[place]
            for newest_first in (columns.threads, columns.marks):
                del newest_first[len(columns.ids) - place]
            self._changed.pop(change.id, None)
        else:
            self._changed[change.id] = entry
            if change.kind == NEW:
                columns.ids.append(entry.id)
                columns.dates.append(entry.date)
                columns.threads.insert(0, entry.thread)
                columns.marks.insert(0, entry.marks)
            else:
                columns.marks[len(columns.ids) - 1 - bisect_left(columns.ids, entry.id)] = entry.marks
        self.count = len(columns.ids)
        self._dates = None
        self.version += 1
        self.pts += 1

    def _cut(self, low: int, high: int) -> list[bytes]:
        ids, changed = self._columns.ids[low:high], self._changed
        rest = iter(self._unchanged(low, high).messages)
        return [changed[number].data if number in changed else next(rest) for number in ids]

    def _named(self, low: int, high: int) -> tuple[set[int], set[int]]:
        found = self._unchanged(low, high)
        users, chats = set(found.user_ids), set(found.chat_ids)
        for number in self._columns.ids[low:high]:
            if number in self._changed:
                users.update(self._changed[number].users)
                chats.update(self._changed[number].chats)
        return users, chats

    def _unchanged(self, low: int, high: int) -> Slice:
        """Those of the messages at places [low, high) that are as they were at first, oldest first."""
        return self.base.get([number for number in self._columns.ids[low:high] if number not in self._changed])


def _nothing(start: int, end: int) -> bytes:
    raise LookupError(f"bytes {start} to {end} of a chat that changes: its messages lie with what it was at first")


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
