"""Looks at a run while it goes on: warns before it hurts, and shows it to whoever wants to see."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from typing import TYPE_CHECKING, Protocol, Self

from tobs.telemetry.alarms import Alarms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from tobs.telemetry.alarms import Alarm
    from tobs.telemetry.live import Live, Snapshot

log = logging.getLogger(__name__)
EVERY = 2.0
"""Seconds between two looks at most."""


class Look(Protocol):
    """Is shown a run: what it looks like now and the alarms that hold, every `every` seconds and once at the end.

    Called in the event loop: it must be quick, and what it raises ends its showing, not the run.
    """

    @property
    def every(self) -> float:
        """Seconds between two calls."""
        ...

    def __call__(self, now: Snapshot, alarms: Mapping[str, Alarm]) -> None: ...


class Watching:
    """Looks at a run from entering to leaving, in one task. Each alarm is logged when it begins."""

    def __init__(self, live: Live, look: Look | None = None, every: float = EVERY) -> None:
        self._live = live
        self._look = look
        self._between = math.ceil(look.every / every) if look else 1
        self._every = look.every / self._between if look else every
        self._alarms = Alarms()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="tobs-watching")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._glance(show=True)

    def rest(self) -> list[str]:
        """What is worth telling of at the end, a line each."""
        return [str(alarm) for alarm in self._alarms.rest()]

    async def _watch(self) -> None:
        for number in itertools.count():
            self._glance(show=number % self._between == 0)
            await asyncio.sleep(self._every)

    def _glance(self, *, show: bool) -> None:
        try:
            now = self._live.snapshot()
        except Exception:
            log.debug("the run could not be looked at", exc_info=True)
            return
        for alarm in self._alarms.look(now):
            log.warning("%s", alarm)
        if show and self._look is not None:
            try:
                self._look(now, self._alarms.active)
            except Exception:
                log.warning("the view of the run has failed and is closed", exc_info=True)
                self._look = None
