"""Queues that tell how long each item waited in them, in place of those that only keep their depth."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tobs.meters import Queue
from tobs.telemetry.names import STAGE, Attributes

if TYPE_CHECKING:
    from tobs.telemetry.probe import Records


@dataclass(slots=True, kw_only=True)
class TimedQueue(Queue):
    """A queue's books with the time at which each item came.

    Waits are told first in, first out: of a queue by priority the mean is right, the distribution an estimate. An item
    may be taken before its giver comes to note it; it waited for nothing.
    """

    waits: Records
    attributes: Attributes
    _came: deque[float] = field(default_factory=deque)
    _owed: int = 0

    def change(self, by: int) -> None:
        """The depth changes now."""
        now = time.perf_counter()
        self.integral += self.depth * (now - self.since)
        self.since = now
        self.depth += by
        for _ in range(by):
            if self._owed:
                self._owed -= 1
            else:
                self._came.append(now)
        for _ in range(-by):
            if self._came:
                self.waits.record(now - self._came.popleft(), self.attributes)
            else:
                self._owed += 1
                self.waits.record(0.0, self.attributes)


class TimedQueues(dict[str, Queue]):
    """A run's queues by name; one that is new is timed, one that already was there stays as it is."""

    def __init__(self, present: dict[str, Queue], waits: Records) -> None:
        super().__init__(present)
        self._waits = waits

    def setdefault(self, name: str, default: Queue) -> Queue:
        """The queue of this name; a new one is made like `default`."""
        queue = self.get(name)
        if queue is None:
            queue = TimedQueue(name, default.capacity, waits=self._waits, attributes={STAGE: name})
            self[name] = queue
        return queue
