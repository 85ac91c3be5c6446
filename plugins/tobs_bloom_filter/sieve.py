"""Which messages of a page are known: they come byte for byte as before, and the archive's rows are as they were made.

A message is remembered by two prints: of the bytes in which it came, and of the row's `raw` that these became. What
comes with the same bytes would become the same row; and where the archive's row has the print of that one, it would be
replaced by itself. Only then the message is left out, whatever a filter says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from xxhash import xxh3_64_digest, xxh3_128_digest

from tobs.api import Span
from tobs_bloom_filter.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tobs.api import Batch, Context, Page, State, Wire
    from tobs_bloom_filter.leaf import Choice


class Sieve:
    """What is remembered of an archive's chats. `seed` is the archive's own, so that nobody knows what collides.

    `known` counts messages that were left out, `asked` the pages for which the archive was looked into, `mistaken` the
    messages that a filter took for known and the record or the archive did not.
    """

    def __init__(self, ctx: Context, state: State, seed: int, choice: Choice) -> None:
        self._ctx = ctx
        self._state = state
        self._seed = seed
        self._choice = choice
        self._shelves: dict[int, Shelf] = {}
        self._under_way: dict[int, set[int]] = {}
        self.known = self.asked = self.mistaken = 0

    @property
    def peak(self) -> int:
        """The most bytes that was remembered took in memory, chat by chat."""
        return sum(shelf.peak for shelf in self._shelves.values())

    def sift(self, page: Page) -> Page:
        """The page without the messages that are known.

        What is read twice in one run is under way until it is committed, and passes.
        """
        wire = page.wire
        if wire is None or not page.messages:
            return page
        shelf = self._shelf(page.chat.id)
        numbers = [message.id for message in page.messages]
        under_way = self._under_way.setdefault(page.chat.id, set())
        known: set[int] = set()
        if shelf.overlaps(min(numbers), max(numbers)):
            prints = self._prints(wire, numbers)
            likely = shelf.likely(prints)
            if likely:
                known = self._confirmed(page.chat.id, shelf, likely, prints) - under_way
        if known:
            self.known += len(known)
            page = replace(page, messages=[message for message in page.messages if message.id not in known])
            under_way.update(message.id for message in page.messages)
        else:
            under_way.update(numbers)
        return page

    def mark(self, page: Page, batch: Batch) -> None:
        """Remember a batch that is committed, but for what carries files: a rescan has to look after those."""
        under_way = self._under_way.get(batch.chat_id)
        if under_way:
            under_way.difference_update([message.id for message in page.messages])
        wire = page.wire
        if wire is None:
            return
        files = {ref.message_id for ref in batch.media}
        data, places, seed = wire.data, wire.places, self._seed
        marks = {
            row.id: xxh3_128_digest(data[places[row.id]], seed) + xxh3_64_digest(row.raw.encode(), seed)
            for row in batch.messages
            if row.id not in files and row.id in places
        }
        if marks:
            self._shelf(batch.chat_id).put(marks)

    def save(self) -> None:
        """Write what has changed."""
        for shelf in self._shelves.values():
            shelf.save()

    def _confirmed(self, chat_id: int, shelf: Shelf, likely: list[int], prints: dict[int, bytes]) -> set[int]:
        """Those of some messages whose bytes are as the record says, and whose rows are in the archive as it says."""
        rows = self._ctx.raw(chat_id, Span(min(likely), max(likely)))
        kept = shelf.find(likely)
        seed = self._seed
        both = (n for n in likely if n in rows and n in kept)
        known = {n for n in both if kept[n] == prints[n] + xxh3_64_digest(rows[n], seed)}
        self.asked += 1
        self.mistaken += len(likely) - len(known)
        return known

    def _prints(self, wire: Wire, numbers: Iterable[int]) -> dict[int, bytes]:
        data, places, seed = wire.data, wire.places, self._seed
        return {n: xxh3_128_digest(data[places[n]], seed) for n in numbers if n in places}

    def _shelf(self, chat_id: int) -> Shelf:
        shelf = self._shelves.get(chat_id)
        if shelf is None:
            shelf = self._shelves[chat_id] = Shelf(chat_id, self._state, self._choice)
        return shelf
