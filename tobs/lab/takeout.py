"""Takeout sessions: one at a time an account, begun after a delay, and the ranges that divide its messages.

Source: https://core.telegram.org/api/takeout. The flags of a session say what the user chose to export. Telegram
documents no error for what goes beyond them, and clients that give none at all are served, so they are kept and
nothing is refused for them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.history import Slice

if TYPE_CHECKING:
    from tobs.lab.history import History
    from tobs.lab.world import World

LAST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Takeout:
    """A takeout session: its id, the login that began it, and the request whose flags say what is exported."""

    id: int
    login: int
    request: Any


class Takeouts:
    """The takeout sessions of a lab, by account; times are seconds of one clock, given by the caller."""

    def __init__(self, delay: int) -> None:
        self._delay = delay
        self._asked: dict[int, float] = {}
        self._allowed: set[int] = set()
        self._open: dict[int, Takeout] = {}

    def wait(self, user_id: int, now: float) -> int:
        """Whole seconds until this account may begin a takeout, counted from its first asking on; 0: it may."""
        if user_id in self._allowed:
            return 0
        asked = self._asked.setdefault(user_id, now)
        return max(0, ceil(asked + self._delay - now - 1e-6))

    def allow(self, user_id: int) -> None:
        """The account allows it on another device, so that nothing is left to wait for."""
        self._allowed.add(user_id)

    def begin(self, user_id: int, login: int, request: Any) -> int:
        """Begin a session, which ends the one before it: its id."""
        number = secrets.randbits(62) + 1
        self._open[user_id] = Takeout(number, login, request)
        return number

    def find(self, user_id: int, number: int) -> Takeout | None:
        """The open session of this account with this id."""
        found = self._open.get(user_id)
        return found if found is not None and found.id == number else None

    def finish(self, user_id: int) -> None:
        """End the session of this account."""
        self._open.pop(user_id, None)

    def end_login(self, login: int) -> None:
        """End what a login began that is no more."""
        self._open = {user_id: takeout for user_id, takeout in self._open.items() if takeout.login != login}


def split(world: World, parts: int) -> list[types.MessageRange]:
    """`parts` ranges, oldest first, that divide the ids of private chats and basic groups; the last has no end.

    On Telegram an account with many messages has them in several boxes of about as many ids each. Channels number
    their own messages: the last range is enough for them, and holds them whole.
    """
    newest = max((h.newest[1] for h in world.histories.values() if h.kind != "channel"), default=0)
    size = max(1, -(-newest // parts))
    starts = [1 + part * size for part in range(parts)]
    ends = [start - 1 for start in starts[1:]] + [LAST_ID]
    return [types.MessageRange(start, end) for start, end in zip(starts, ends, strict=True)]


def reach(history: History, part: Any) -> tuple[int, int]:
    """The first id of a chat that lies in a `MessageRange`, and the one behind the last.

    A channel is whole in the last range and empty in the others.
    """
    if history.kind == "channel":
        return (1, LAST_ID) if part.max_id == LAST_ID else (1, 1)
    return max(part.min_id, 1), min(part.max_id + 1, LAST_ID)


def within(history: History, part: Any, where: tuple[int, int, int, int, int, int]) -> Slice:
    """`history.slice(*where)` where only the messages in the `MessageRange` exist.

    All offsets and counts are those of the range's own messages.
    """
    bottom, top = reach(history, part)
    if history.kind == "channel":
        return history.slice(*where) if bottom < top else Slice([], set(), set(), 0, 0)

    def newer(offset_id: int, offset_date: int = 0) -> int:
        return history.slice(offset_id, offset_date, 0, 1).offset_id_offset

    above, end = newer(top), newer(bottom)
    offset_id, offset_date, add_offset, limit, max_id, min_id = where
    if offset_id <= 0 and offset_date:
        place = newer(0, offset_date)
        offset_id = top if place <= above else bottom
        offset_date = offset_date if above < place < end else 0
    else:
        offset_id = max(bottom, min(offset_id, top)) if offset_id > 0 else top
        offset_date = 0
    found = history.slice(
        0 if offset_date else offset_id,
        offset_date,
        add_offset,
        limit,
        min(max_id, top) if max_id > 0 else top,
        max(min_id, bottom - 1),
    )
    return replace(found, count=max(0, end - above), offset_id_offset=max(0, min(found.offset_id_offset, end) - above))
