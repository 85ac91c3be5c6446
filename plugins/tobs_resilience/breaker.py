"""A circuit breaker for one data centre: while it is away, one request at a time asks whether it is back."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tobs.api import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tobs.api import TobsError
    from tobs_resilience.told import Told

log = logging.getLogger(__name__)
UNKNOWN = 10.0
"""Seconds of patience with a server that has never answered in this run: its address may be wrong."""


class State(Enum):
    """Closed: everybody asks. Open: nobody does. Half-open: one asks, and the others wait for what comes of it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Rules:
    """When it opens and how long it waits.

    `failures` in a row open it. Pauses between two probes are up to `base` seconds at first, double, and end at `cap`.
    After `patience` seconds without an answer whoever waits gets the last error.
    """

    failures: int
    base: float
    cap: float
    patience: float


class Breaker:
    """Opens when a data centre cannot be reached or answers nothing right, and closes with its first answer.

    Requests that were under way together count as one failure. `answered` says whether any data centre has answered in
    this run. Times are the running loop's.
    """

    def __init__(self, dc: int, rules: Rules, chance: Random, answered: Callable[[], bool], told: Told) -> None:
        self.state = State.CLOSED
        self.dc = dc
        self._rules = rules
        self._chance = chance
        self._answered = answered
        self._told = told
        self._group = 0
        self._failures = 0
        self._probes = 0
        self._since = 0.0
        self._due = 0.0
        self._error: TobsError | None = None
        self._changed = asyncio.Event()

    async def enter(self) -> int:
        """Wait until a request may go; returns what its outcome is told with. Raises what the data centre failed with.

        That is when it has been away for longer than patience allows.
        """
        while self.state is not State.CLOSED:
            now = _now()
            if self.state is State.OPEN and now >= self._due:
                self.state = State.HALF_OPEN
                self._group += 1
                return self._group
            until = self._since + self._patience()
            if self.state is State.OPEN:
                if now >= until and self._error is not None:
                    raise self._error
                until = min(until, self._due)
            await self._wait(until - now if self.state is State.OPEN else None)
        return self._group

    def answered(self) -> None:
        """The data centre has answered a request, whatever it said."""
        self._failures = 0
        if self.state is State.CLOSED:
            return
        away = _now() - self._since
        self._told.away[self.dc] = self._told.away.get(self.dc, 0.0) + away
        log.info("data centre %d answers again after %.0f s", self.dc, away)
        self._probes = 0
        self._turn(State.CLOSED)

    def failed(self, group: int, error: TobsError) -> None:
        """A request got no answer, or one that tells of a fault of the server."""
        if group != self._group:
            return  # it was under way when another failed, which has been counted
        self._error = error
        if self.state is State.HALF_OPEN:
            self._open()
        elif self.state is State.CLOSED:
            self._group += 1
            self._failures += 1
            if isinstance(error, UnreachableError) or self._failures >= self._rules.failures:
                self._since = _now()
                log.warning(
                    "data centre %d is away, asking again for up to %.0f s: %s", self.dc, self._patience(), error
                )
                self._open()

    def left(self, group: int) -> None:
        """A request was given up, and nobody knows what would have come of it: another one asks in its place."""
        if self.state is State.HALF_OPEN and group == self._group:
            self._due = _now()
            self._turn(State.OPEN)

    def _open(self) -> None:
        most = min(self._rules.cap, self._rules.base * 2**self._probes)
        self._probes += 1
        self._due = _now() + self._chance.uniform(most / 2, most)
        self._turn(State.OPEN)

    def _turn(self, state: State) -> None:
        self.state = state
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _wait(self, longest: float | None) -> None:
        try:
            async with asyncio.timeout(longest):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _patience(self) -> float:
        return self._rules.patience if self._answered() else min(self._rules.patience, UNKNOWN)


def _now() -> float:
    return asyncio.get_running_loop().time()
