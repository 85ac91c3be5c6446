"""How a history is divided among cursors without asking for one page more.

A history is cut by *position*, not by id: a cursor that begins `skip` messages below a known id, with `skip` a multiple
of the page size, cuts it exactly between two pages, however many ids there are gaps. Nothing rests on the plan being
right: each page proves the ids between its first and last message, and a chunk ends where the one below began only if
ids or positions show that nothing lies between. Otherwise it asks once more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from tobs.api import PAGE, Span

if TYPE_CHECKING:
    from tobs.api import Page, Range


class Start(NamedTuple):
    """Where a chunk began: the id of its first page's first message, and what that page says of positions.

    Chunks outlive their pages: a page itself would be 100 messages that nobody needs any more.
    """

    id: int
    newer: int | None
    total: int


@dataclass(slots=True, eq=False)
class Chunk:
    """A stretch of history that one cursor walks down, newest first.

    The next request asks for what lies at or below id `high`, under its `skip` newest messages, down to `low`: the
    range's low end, or right above the `first` page of the chunk `below` once that has `begun`. `left` is how many
    messages are expected from there, that request's included; None where nothing is known. `at` is the position of the
    next message, `end` that of the first message below the range; None where the server does not say. `sure` is False
    once a chunk below it was found empty: the server promised more than it hands out. `gap` is what lies between its
    last message and the chunk below where positions alone say that nothing does: no page proves it.
    """

    range: Range
    high: int
    low: int
    skip: int = 0
    left: int | None = None
    at: int | None = None
    end: int | None = None
    sure: bool = True
    above: Chunk | None = None
    below: Chunk | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    first: Start | None = None
    gap: Span | None = None

    @property
    def pages(self) -> int:
        """Pages expected, the one in flight included; 0 while nothing is known."""
        return 0 if self.left is None else ceil(self.left / PAGE)

    def split(self) -> Chunk:
        """Give the lower half of the pages to a new chunk. Needs at least two pages."""
        if self.left is None or self.pages < 2:
            raise AssertionError("nothing to split")
        keep = ceil(self.pages / 2) * PAGE
        lower = Chunk(
            self.range,
            self.high,
            self.low,
            skip=self.skip + keep,
            left=self.left - keep,
            end=self.end,
            above=self,
            below=self.below,
        )
        if self.below is not None:
            self.below.above = lower
        self.below = lower
        self.left = keep
        return lower

    def begin(self, page: Page) -> bool:
        """The first page has come: what lies above this chunk ends here, or goes on if nothing came.

        Returns whether the chunk began where it was meant to, as far as can be told.
        """
        above, meant = self.above, True
        if page.messages:
            self.first = Start(page.messages[0].id, page.newer, page.count)
            self.skip = 0
            if above is not None and above.first is not None:
                meant = page.messages[0].id <= above.high or (above.left or 0) <= PAGE // 2
            self._limit(above)
        elif above is not None:
            self._dissolve(above)
        self.begun.set()
        return meant

    def forgo(self) -> None:
        """Nothing was left for this chunk before it could begin: what lies above goes on to what lies below."""
        if self.above is not None:
            self._dissolve(self.above)
        self.begun.set()

    def _limit(self, above: Chunk | None) -> None:
        if above is not None and self.first is not None:
            above.low = max(above.low, self.first.id + 1)

    def _dissolve(self, above: Chunk) -> None:
        """There are fewer messages than expected, nobody knows how many fewer: who is above goes on by itself."""
        above.below = self.below
        if self.below is not None:
            self.below.above = above
            self.below._limit(above)  # noqa: SLF001 - of the same class
        doubted: Chunk | None = above
        while doubted is not None:
            doubted.left, doubted.end, doubted.sure = None, None, False
            doubted = None if doubted.first is not None else doubted.above

    def advance(self, page: Page) -> None:
        """Move the cursor below a page that is not empty, and count what is left."""
        self.high = page.messages[-1].id - 1
        self.at = None if page.newer is None else page.newer + len(page.messages)
        if self.left is not None:
            self.left = max(self.left - len(page.messages), 0)
        if self.below is None:
            self.measure((page.count or None) if self.range.span.low <= 1 else self.end)

    def measure(self, end: int | None) -> None:
        """The position of the first message below the range is known: then so is what is left of the lowest chunk."""
        if not self.sure:
            return
        self.end = end
        if end is not None and self.at is not None and self.below is None:
            self.left = min(max(end - self.at, 0), max(self.high - self.low + 1, 0))

    def cut(self, page: Page) -> Page:
        """What this chunk yields of a page: nothing that the chunk below yields, and no end that is none.

        A page that is followed by the chunk below ends here, cut where that one begins. A page that stops short of it,
        or of what the positions promise, is no end.
        """
        following = None if self.below is None else self.below.first
        if not page.messages:
            return page if following is None else replace(page, span=Span(self.low, page.span.high))
        lowest = page.messages[-1].id
        if following is not None:
            adjacent = self.high < self.low
            if adjacent or self._followed_by(following, page):
                self.gap = None if adjacent else Span(self.low, self.high)
                kept = [message for message in page.messages if message.id >= self.low]
                span = Span(self.low if adjacent else lowest, page.span.high)
                return replace(page, messages=kept, span=span, ended=True, doubtful=False)
            # Below it there is a message: a page that stops short of that proves no end, unless it asked no further.
            unfinished = page.ended and (page.doubtful or page.span.low < self.low)
        else:
            unfinished = page.doubtful and self.end is not None and self.at is not None and self.at < self.end
        if unfinished:
            return replace(page, span=Span(lowest, page.span.high), ended=False, doubtful=False)
        return page

    @staticmethod
    def _followed_by(start: Start, page: Page) -> bool:
        """Whether the server's positions prove that nothing lies between a page and where the next chunk began.

        Positions are counted from the newest message: only under the same count are those of two answers comparable.
        """
        if page.newer is None or start.newer is None:
            return False
        return page.count == start.total and page.newer + len(page.messages) == start.newer
