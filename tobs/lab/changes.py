"""What happens in the chats while they are read: new messages, edits and deletions, planned from the seed.

The plan is part of the world: which messages, in which order, with which texts and dates. Only when each change
happens is a matter of the clock.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from telethon.extensions import BinaryReader
from telethon.tl import types

from tobs.lab.draws import Draws
from tobs.lab.history import Entry, entry_of
from tobs.lab.text import draw_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.lab.history import History
    from tobs.lab.table import Table

NEW, EDITED, DELETED = "new", "edited", "deleted"
PAUSE = 60
"""Seconds by the messages' dates between a chat's newest message and the next one."""

TRIES = 200
"""Draws after which a chat is taken to have no message that could be edited."""


@dataclass(frozen=True, slots=True)
class Live:
    """How a chat changes while it is read, `[dataset.live]`.

    TOML keys: `new`, `edited`, `deleted`: so many changes of each kind (0) in the channel; `side`: so many (0) in
    the private chat and in the basic group, in turn new, edited and deleted; `seconds` (0) over which all of them
    are spread evenly, from the first connection on that the lab accepts.
    """

    new: int = 0
    edited: int = 0
    deleted: int = 0
    side: int = 0
    seconds: float = 0.0

    def scaled(self, scale: float) -> Live:
        """So many times the changes in the channel, in the same time."""
        return replace(
            self,
            new=round(self.new * scale),
            edited=round(self.edited * scale),
            deleted=round(self.deleted * scale),
        )


STILL = Live()


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `at` seconds after the start, in the chat with this marked id; `entry` is what stands there then."""

    at: float
    peer_id: int
    kind: str
    id: int
    entry: Entry | None


def read_live(table: Table, *, messages: int) -> Live:
    """The changes in `table`, for a channel of so many messages. Raises UsageError."""
    live = Live(
        new=table.whole("new", 0, low=0, high=100_000),
        edited=table.whole("edited", 0, low=0, high=100_000),
        deleted=table.whole("deleted", 0, low=0, high=messages // 2),
        side=table.whole("side", 0, low=0, high=1_000),
        seconds=table.number("seconds", 0.0, low=0, high=86_400),
    )
    table.finish()
    return live


def plan(live: Live, seed: int, histories: Sequence[History]) -> tuple[Change, ...]:
    """All changes in order. Those of each kind lie at drawn places; a message that came may change again."""
    main = [history for history in histories if history.kind == "channel"][:1]
    side = [history for history in histories if history.kind != "channel"]
    jobs: list[tuple[int, str]] = []
    for history in main:
        kinds = (NEW,) * live.new + (EDITED,) * live.edited + (DELETED,) * live.deleted
        jobs += [(history.peer_id, kind) for kind in kinds]
    for history in side:
        jobs += [(history.peer_id, (NEW, EDITED, DELETED)[number % 3]) for number in range(live.side)]
    Draws(seed, "changes").shuffle(jobs)
    touched = {peer_id for peer_id, _ in jobs}  # only these get a room, which holds all ids of its chat
    rooms = {
        history.peer_id: _Room(history, Draws(seed, "changes", history.peer_id))
        for history in histories
        if history.peer_id in touched
    }
    shared = max((history.newest[1] for history in side), default=0)
    changes: list[Change] = []
    for number, (peer_id, kind) in enumerate(jobs, 1):
        room = rooms[peer_id]
        if room.history.kind != "channel":  # these share one row of numbers
            room.last = shared = max(shared, room.last)
        made = room.change(kind)
        if made is not None:
            changes.append(Change(live.seconds * number / len(jobs), peer_id, kind, *made))
            shared = max(shared, room.last) if room.history.kind != "channel" else shared
    return tuple(changes)


class _Room:
    """One chat as its changes are planned: the ids that are left, and what was changed."""

    def __init__(self, history: History, draws: Draws) -> None:
        self.history = history
        self.date, self.last = history.newest
        self._draws = draws
        self._ids = array("q", history.ids[1:])  # nobody deletes or edits how a chat began
        self._changed: dict[int, Entry] = {}

    def change(self, kind: str) -> tuple[int, Entry | None] | None:
        """The next change of a kind: the id and what stands there then; None where nothing is left for it."""
        if kind == NEW:
            return self._new()
        return self._edit() if kind == EDITED else self._delete()

    def _entry(self, message_id: int) -> Entry:
        if message_id in self._changed:
            return self._changed[message_id]
        history = self.history
        position = history.position(message_id)
        assert position is not None
        found = history.at([position])
        who = tuple(sorted(found.user_ids)), tuple(sorted(found.chat_ids))
        date, thread, marks = history.dates[position], history.threads[position], history.marks[position]
        return Entry(message_id, date, found.messages[0], *who, 0, thread, marks)

    def _pick(self) -> tuple[Entry, Any] | None:
        """A message with a text, drawn: as it is kept, and parsed."""
        for _ in range(TRIES if self._ids else 0):
            entry = self._entry(self._draws.pick(self._ids))
            message = BinaryReader(entry.data).tgread_object()
            if isinstance(message, types.Message) and message.message:
                return entry, message
        return None

    def _new(self) -> tuple[int, Entry] | None:
        found = self._pick()
        if found is None:
            return None
        like, message = found
        self.last += self._draws.between(1, 2)
        self.date += PAUSE
        text, entities, _ = draw_plain(self._draws)
        message = types.Message(
            id=self.last,
            peer_id=message.peer_id,
            from_id=message.from_id,
            date=self.date,
            message=text,
            entities=entities,
            out=message.out,
            post=message.post,
            reply_to=message.reply_to,
            views=message.views and 1,
            forwards=message.forwards and 0,
        )
        entry = entry_of(message, self.date, like.users, like.chats, 0, thread=like.thread)
        self._ids.append(self.last)
        self._changed[self.last] = entry
        return self.last, entry

    def _edit(self) -> tuple[int, Entry] | None:
        found = self._pick()
        if found is None:
            return None
        entry, message = found
        message.message, message.entities, _ = draw_plain(self._draws)
        message.edit_date = (message.edit_date or message.date) + timedelta(seconds=PAUSE)
        edited = replace(entry, data=bytes(message))
        self._changed[entry.id] = edited
        return entry.id, edited

    def _delete(self) -> tuple[int, None] | None:
        if not self._ids:
            return None
        place = self._draws.below(len(self._ids))
        gone = self._ids[place]
        self._ids[place] = self._ids[-1]
        self._ids.pop()
        self._changed.pop(gone, None)
        return gone, None
