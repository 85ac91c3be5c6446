"""How a history is divided among cursors without asking for one page more.

Pages are cut by *position*, not by id: a cursor that begins `skip` messages below a known id, with `skip` a multiple
of the page size, splits a history exactly between two pages, however many ids in it are gaps. Nothing rests on the
positions being right: each page proves the ids between its first and last message, the cursor above ends where the
cursor below began, and where the two are not provably neighbours it asks once more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from tobs.api import PAGE

if TYPE_CHECKING:
    from tobs.api import Page, Range


@dataclass(slots=True, eq=False)
class Chunk:
    """A stretch of history that one cursor walks down, newest first.

    The next request asks for what lies at or below id `high`, under its `skip` newest messages. `left` is how many
    messages are expected from there, that request's included; None before anything is known. `low` is the lowest id
    wanted; the neighbour `below` raises it when its first page arrives (`begun`).
    """

    range: Range
    high: int
    low: int
    skip: int = 0
    left: int | None = None
    above: Chunk | None = None
    below: Chunk | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    first: Page | None = None

    @property
    def pages(self) -> int:
        """Pages expected, the one in flight included; 0 while nothing is known."""
        return 0 if self.left is None else ceil(self.left / PAGE)

    def split(self) -> Chunk:
        """Give the lower half of the pages to a new chunk. Needs at least two pages."""
        if self.left is None or self.pages < 2:
            raise AssertionError("nothing to split")
        keep = ceil(self.pages / 2) * PAGE
        lower = Chunk(self.range, self.high, self.low, self.skip + keep, self.left - keep, self, self.below)
        if self.below is not None:
            self.below.above = lower
        self.below = lower
        self.left = keep
        return lower

    def begin(self, page: Page) -> None:
        """The first page has come: what lies above this chunk ends here."""
        self.first = page
        if page.messages:
            self.skip = 0
            if self.above is not None:
                self.above.low = max(self.above.low, page.messages[0].id + 1)
        elif self.above is not None:
            self._dissolve(self.above)
        self.begun.set()

    def _dissolve(self, above: Chunk) -> None:
        """There are fewer messages than expected: who is above goes on to the end by itself."""
        above.below = self.below
        if self.below is not None:
            self.below.above = above

    def advance(self, page: Page) -> None:
        """Move the cursor below a page."""
        self.high = page.messages[-1].id - 1
        if self.left is not None:
            self.left = max(self.left - len(page.messages), 0)

    def touches_below(self, page: Page) -> bool:
        """Whether the server's positions prove that `page` ends right above the chunk below."""
        neighbour = self.below.first if self.below else None
        return (
            neighbour is not None
            and neighbour.newer is not None
            and page.newer is not None
            and page.newer + len(page.messages) == neighbour.newer
        )
