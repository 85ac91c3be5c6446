"""Which messages of a chat a search or a thread is about, and the slice of them that the offset rules select.

Needs of a history only `count`, `ids`, `dates`, `marks`, `threads` (by position: newest first, from 0), `id_at` and
`at`; where it changes in mid-run, its `version` says so.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from telethon.extensions import BinaryReader
from telethon.tl import types

from tobs.lab.history import DEFAULT_SLICE, LONGEST_SLICE, Slice
from tobs.lab.people import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from tobs.lab.history import History

T = TypeVar("T")
REMEMBERED = 64
MYSELF = -1
"""As `Wish.sender`: the account, in a private chat, where messages do not name their writer."""
READ_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """What is looked for; what is left at its default does not matter.

    `marks`: any of these bits (`tobs.lab.marks`); `thread`: its root; `text`: part of the message's text, whatever
    its case; `sender` and `saved_peer`: marked ids; dates (Unix) strictly between `after` and `before`; `missed`: a
    call that nobody took; `ids`: the first id, and the one behind the last.
    """

    marks: int = 0
    thread: int | None = None
    text: str = ""
    sender: int = 0
    saved_peer: int = 0
    after: int = 0
    before: int = 0
    missed: bool = False
    ids: tuple[int, int] | None = None


class Selections:
    """Positions of what was looked for, remembered for the pages that follow."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def remembered(self, history: History, what: Hashable, make: Callable[[History], T]) -> T:
        """What `make` finds in a history, found once and known by `what` until the history changes."""
        key = (history.peer_id, history.count, history.newest, getattr(history, "version", 0), what)
        if key not in self._known:
            self._known[key] = make(history)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        found: T = self._known[key]
        return found

    def positions(self, history: History, wish: Wish) -> Sequence[int]:
        """Positions of all messages that meet a wish, the newest first. About 50 ns a message, 2 us with a text."""
        return self.remembered(history, wish, lambda history: _find(history, wish))

    def count(self, history: History, wish: Wish) -> int:
        """How many messages meet a wish."""
        return len(self.positions(history, wish))

    def slice(
        self,
        history: History,
        wish: Wish,
        *,
        offset_id: int = 0,
        offset_date: int = 0,
        add_offset: int = 0,
        limit: int = LONGEST_SLICE,
        max_id: int = 0,
        min_id: int = 0,
    ) -> Slice:
        """The slice that the rules of `History.slice` give where nothing but the wished messages is counted."""
        positions = self.positions(history, wish)
        oldest_first = positions[::-1]
        if limit <= 0:
            limit = DEFAULT_SLICE
        start = add_offset
        if offset_id > 0:
            start += len(positions) - bisect_left(oldest_first, offset_id, key=history.id_at)
        elif offset_date:
            start += len(positions) - bisect_left(oldest_first, offset_date, key=history.dates.__getitem__)
        chosen = positions[max(start, 0) : max(start + min(limit, LONGEST_SLICE), 0)]
        kept = [
            place
            for place in chosen
            if (max_id <= 0 or history.id_at(place) < max_id) and (min_id <= 0 or history.id_at(place) > min_id)
        ]
        newer = bisect_left(positions, kept[0]) if kept else min(max(start, 0), len(positions))
        return replace(history.at(kept), count=len(positions), offset_id_offset=newer)


def _find(history: History, wish: Wish) -> Sequence[int]:
    low, high = 0, history.count
    dates = history.dates
    if wish.before:
        low = bisect_left(dates, 1 - wish.before, key=lambda date: -date)
    if wish.after:
        high = bisect_left(dates, -wish.after, key=lambda date: -date)
    if wish.ids is not None:
        first, behind = wish.ids
        every = range(history.count)
        low = max(low, bisect_left(every, 1 - behind, key=lambda place: -history.id_at(place)))
        high = min(high, bisect_left(every, 1 - first, key=lambda place: -history.id_at(place)))
    places: Iterable[int] = range(low, max(low, high))
    if wish.marks:
        marks = history.marks
        places = [place for place in places if marks[place] & wish.marks]
    if wish.thread is not None:
        threads = history.threads
        places = [place for place in places if threads[place] == wish.thread]
    if wish.text or wish.sender or wish.saved_peer or wish.missed:
        places = _read(history, list(places), wish)
    return places if isinstance(places, range) else tuple(places)


def _read(history: History, places: Sequence[int], wish: Wish) -> list[int]:
    """Those of the places whose message meets the parts of a wish for which it has to be read."""
    text, peers = wish.text.casefold(), [_peer_bytes(peer) for peer in (wish.sender, wish.saved_peer) if peer]
    found = []
    for first in range(0, len(places), READ_AT_ONCE):
        block = places[first : first + READ_AT_ONCE]
        for place, data in zip(block, history.at(block).messages, strict=True):
            if any(peer not in data for peer in peers) and history.kind != "user":
                continue  # parsing takes ten times as long
            if text and text not in data.decode(errors="ignore").casefold():
                continue
            if _meets(BinaryReader(data).tgread_object(), history, wish, text):
                found.append(place)
    return found


def _meets(message: Any, history: History, wish: Wish, text: str) -> bool:
    if text and text not in (getattr(message, "message", None) or "").casefold():
        return False
    if wish.saved_peer and (message.saved_peer_id is None or mark(message.saved_peer_id) != wish.saved_peer):
        return False
    if wish.missed and not isinstance(message.action.reason, types.PhoneCallDiscardReasonMissed):
        return False
    return not wish.sender or _sender(message, history) == wish.sender


def _sender(message: Any, history: History) -> int:
    """The marked id of the writer; in a private chat, what the account did not write is the other's."""
    if message.from_id is not None:
        return mark(message.from_id)
    return MYSELF if history.kind == "user" and message.out else history.peer_id


def _peer_bytes(marked: int) -> bytes:
    """The bare id as it stands in a serialized message."""
    bare = marked if marked > 0 else -marked - 10**12 if marked < -(10**12) else -marked
    return struct.pack("<q", bare)
