"""Keeps the line free for the data centre that has most left to do, so that all end together.

Every data centre has limits of its own, and all share the line. Served alike, those with little to do are done early,
and the one with most goes on alone over its own limits while the line is half empty. So whoever would be done long
before the last one asks for its bytes no faster than it takes to be done shortly before it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BEFORE = 0.7
"""Share of the time of the last one in which the others are to be done: what is believed of speeds may be wrong."""
WINDOW = 2.0
"""Seconds over which a speed is measured."""
LOOK = 0.2
"""Seconds after which whoever waits looks again."""
SHORT = 3.0
"""Seconds below which the rest of a run is not worth dividing."""


@dataclass(slots=True)
class _Centre:
    """`left` is bytes that wait or move, `speed` the best that came in one window, bytes/s (0: nothing is known).

    The next request may go at `due`; `turn` is held by whoever waits for that.
    """

    left: int = 0
    speed: float = 0.0
    since: float = -inf
    came: int = 0
    due: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def seconds(self) -> float:
        """Seconds that what is left takes at the best speed."""
        return self.left / self.speed if self.speed else 0.0


class Evenly:
    """Bytes left and speeds by data centre. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._centres: dict[int, _Centre] = {}

    def wanted(self, dc: int, size: int) -> None:
        """So many bytes are to be fetched from `dc`; negative: no longer."""
        self._of(dc).left += size

    def came(self, dc: int, size: int) -> None:
        """So many bytes have come."""
        centre, now = self._of(dc), self._clock()
        if now - centre.since > 2 * WINDOW:  # it was idle, or this is the first
            centre.since, centre.came = now, 0
            return
        centre.came += size
        if now - centre.since >= WINDOW:
            centre.speed = max(centre.speed, centre.came / (now - centre.since))
            centre.since, centre.came = now, 0

    def rate(self, dc: int) -> float:
        """Bytes/s that may be asked of `dc` just now; infinite for who takes longest, and while little is known."""
        own = self._of(dc)
        longest = max(centre.seconds for centre in self._centres.values())
        if longest < SHORT or not own.speed or own.left <= 0:
            return inf
        return own.left / (BEFORE * longest) if own.seconds < BEFORE * longest else inf

    async def turn(self, dc: int, size: int) -> None:
        """Wait until a request for so many bytes may go: one after the other, by the rate that holds meanwhile."""
        centre = self._of(dc)
        async with centre.turn:
            while (rate := self.rate(dc)) != inf:
                now = self._clock()
                if now >= centre.due:
                    centre.due = max(centre.due, now - LOOK) + size / rate
                    return
                await asyncio.sleep(min(LOOK, centre.due - now))
            centre.due = 0.0

    def _of(self, dc: int) -> _Centre:
        return self._centres.setdefault(dc, _Centre())
