"""One queue a data centre: small files first, the longer they wait the sooner, kinds by their shares."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tobs.api import LostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tobs.api import MediaRef, Meters


@dataclass(slots=True)
class _Lane:
    """A data centre's files: waiting by kind, each a heap, and moving."""

    waiting: dict[str, list[tuple[float, int, MediaRef, float]]] = field(default_factory=dict)
    moving: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def busy(self) -> int:
        return sum(self.moving.values())


class SharedAgenda:
    """See `tobs.ports.Agenda`. A reference is accepted when fewer than `backlog` wait."""

    def __init__(
        self,
        work: Callable[[MediaRef], Awaitable[None]],
        meters: Meters,
        *,
        files: int,
        backlog: int,
        ageing: float,
        shares: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work = work
        self._files = files
        self._backlog = backlog
        self._ageing = ageing
        self._shares = shares
        self._clock = clock
        self._lanes: defaultdict[int, _Lane] = defaultdict(_Lane)
        self._tasks: set[asyncio.Future[None]] = set()
        self._waiting = 0
        self._turn = 0
        self._failure: BaseException | None = None
        self._closed = False
        self._moved = asyncio.Event()
        self._stage = meters.stage("media", files)
        self._queue = meters.queue("files", backlog)

    async def put(self, refs: Sequence[MediaRef]) -> None:
        """Accept references, waiting where the backlog is full. Raises what stopped an earlier file."""
        for ref in refs:
            while self._waiting >= self._backlog and not self._closed:
                await self._wait()
            await self._check()
            # An older file counts as smaller: comparing size - ageing x age is comparing size + ageing x arrival.
            arrived = self._clock()
            lane = self._lanes[ref.dc]
            self._turn += 1
            entry = (ref.size + self._ageing * arrived, self._turn, ref, arrived)
            heapq.heappush(lane.waiting.setdefault(ref.kind, []), entry)
            self._waiting += 1
            self._queue.change(+1)
            self._start(lane)

    async def drain(self) -> None:
        """Wait for every accepted file. Raises what stopped one."""
        while self._tasks and not self._closed:
            await self._wait()
        await self._check()

    async def close(self) -> None:
        """Stop what still moves and forget what waits; nothing is accepted any more."""
        self._stop()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _wait(self) -> None:
        # Whoever waits looks again at what it waits for as soon as anything has changed: nothing is missed, since
        # nobody else runs between that look and this wait.
        self._moved.clear()
        await self._moved.wait()

    async def _check(self) -> None:
        """Go on only while nothing has failed; what failed is raised when nothing moves any more."""
        if self._closed:
            await self.close()
            raise self._failure or LostError("the run is closing")

    def _stop(self) -> None:
        self._closed = True
        self._queue.change(-self._waiting)
        self._waiting = 0
        for lane in self._lanes.values():
            lane.waiting.clear()
        for task in self._tasks:
            task.cancel()
        self._moved.set()

    def _start(self, lane: _Lane) -> None:
        while lane.busy < self._files:
            kind = self._next_kind(lane)
            if kind is None:
                return
            _, _, ref, arrived = heapq.heappop(lane.waiting[kind])
            if not lane.waiting[kind]:
                del lane.waiting[kind]
            self._waiting -= 1
            self._queue.change(-1)
            self._stage.wait_get += self._clock() - arrived
            lane.moving[kind] += 1
            task = asyncio.ensure_future(self._work(ref))
            self._tasks.add(task)
            task.add_done_callback(partial(self._done, lane, kind, self._clock()))

    def _next_kind(self, lane: _Lane) -> str | None:
        """The kind that has least of its share in motion; among equals the one whose first file is due."""
        return min(
            lane.waiting,
            key=lambda kind: (lane.moving[kind] / self._shares.get(kind, 1.0), lane.waiting[kind][0]),
            default=None,
        )

    def _done(self, lane: _Lane, kind: str, began: float, task: asyncio.Future[None]) -> None:
        """A file has ended, in whatever way; also one that was cancelled before it could begin."""
        self._tasks.discard(task)
        lane.moving[kind] -= 1
        self._stage.busy += self._clock() - began
        self._stage.items += 1
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        if failure is not None and not self._closed:
            self._failure = failure
            self._stop()
        self._start(lane)
        self._moved.set()
