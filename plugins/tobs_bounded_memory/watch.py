"""Memory as the system sees it, looked at now and then: near the aim the shares shrink, and what is free goes back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tobs_bounded_memory import system

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.api import Level

MEGA = 1_000_000
ITSELF = 72 * MEGA
"""What the program takes before it exports anything, where the system does not say (measured on Linux)."""
LOOK = 0.1
"""Seconds between two looks at the least: a look takes 20 µs."""
NEAR, FAR = 0.25, 0.4
"""Shares of the room that may be left: with less than the one the shares of the budget shrink, with more than the other
they grow again."""
SHRINK, GROW, SMALLEST = 0.7, 1.1, 1 / 16
HISTORY, MEDIA = 0.25, 0.5
"""What pages and parts may take of the room, as they are reckoned. What the database, files on their way to the disk
and the allocator take besides is seen in what the process really holds."""
TRIM, SELDOM = 2.0, 60.0
"""Seconds between two trims at the least, and at the most where they give nothing back."""
PILED = 4 * MEGA
"""Bytes that the process has grown by since the last trim, from which on another one is tried."""
WORTH = MEGA
"""Bytes that a trim is to give back; else the next one waits twice as long."""


@dataclass(frozen=True, slots=True)
class Reads:
    """Where the watch has its facts from."""

    resident: Callable[[], int | None] = system.resident
    trim: Callable[[], None] = system.trim
    clock: Callable[[], float] = time.monotonic


class Watch:
    """Divides the room between `aim` and what the program itself takes, and steers by what the process really takes.

    `level` has what was seen; `resize` is called with the shares of history and media, in bytes. Where the system does
    not say what the process takes, the shares stay as they are first.
    """

    def __init__(self, aim: int, level: Level, resize: Callable[[int, int], None], reads: Reads | None = None) -> None:
        self.aim = aim
        self.level = level
        self.trims = 0
        self.given_back = 0
        self._reads = reads or Reads()
        self._resize = resize
        self._room = 0
        self._scale = 1.0
        self._low = 0
        self._next_look = self._next_trim = 0.0
        self._pause = TRIM

    def begin(self) -> int:
        """Take what the process holds now for what the program itself takes; returns it."""
        held = self._see()
        own = ITSELF if held is None else held
        self._low = own
        self._room = max(0, self.aim - own)
        self._scale = 1.0
        self._share_out()
        return own

    def look(self) -> None:
        """Look, if the last time was long enough ago."""
        now = self._reads.clock()
        if now < self._next_look:
            return
        self._next_look = now + LOOK
        held = self._see()
        if held is None:
            return
        self._low = min(self._low, held)
        near, far = (self.aim - left * self._room for left in (NEAR, FAR))
        if now >= self._next_trim and (held >= near or held - self._low >= PILED):
            held = self._trim(now, held)
        if held >= near:
            self._rescale(self._scale * SHRINK)
        elif held < far:
            self._rescale(self._scale * GROW)

    def _see(self) -> int | None:
        held = self._reads.resident()
        if held is not None:
            self.level.change(held - self.level.held)
        return held

    def _trim(self, now: float, before: int) -> int:
        """Trim; returns what is held afterwards."""
        self._reads.trim()
        held = self._see() or before
        self.trims += 1
        self.given_back += max(0, before - held)
        self._pause = TRIM if before - held >= WORTH else min(2 * self._pause, SELDOM)
        self._next_trim = now + self._pause
        self._low = held
        return held

    def _rescale(self, scale: float) -> None:
        scale = min(1.0, max(SMALLEST, scale))
        if scale != self._scale:
            self._scale = scale
            self._share_out()

    def _share_out(self) -> None:
        room = self._room * self._scale
        self._resize(int(room * HISTORY), int(room * MEDIA))
