"""One queue a data centre: small files first, the longer they wait the sooner, kinds by their shares."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._turn = 0
        self._failure: BaseException | None = None
        self._moved = asyncio.Event()
        self._stage = meters.stage("media", files)
        self._queue = meters.queue("files", backlog)

    async def put(self, refs: Sequence[MediaRef]) -> None:
        """Accept references, waiting where the backlog is full. Raises what stopped an earlier file."""
        for ref in refs:
            while self._waiting >= self._backlog and self._failure is None:
                await self._wait()
            self._raise()
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
        while self._tasks and self._failure is None:
            await self._wait()
        self._raise()

    async def close(self) -> None:
        """Stop what still moves."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _start(self, lane: _Lane) -> None:
        while lane.busy < self._files and self._failure is None:
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
            task = asyncio.create_task(self._run(lane, kind, ref))
            self._tasks.add(task)

    def _next_kind(self, lane: _Lane) -> str | None:
        """The kind that has least of its share in motion; among equals the one whose first file is due."""
        return min(
            lane.waiting,
            key=lambda kind: (lane.moving[kind] / self._shares.get(kind, 1.0), lane.waiting[kind][0]),
            default=None,
        )

    async def _run(self, lane: _Lane, kind: str, ref: MediaRef) -> None:
        began = time.perf_counter()
        try:
            await self._work(ref)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - kept for whoever waits in put or drain
            self._failure = self._failure or error
        finally:
            self._stage.busy += time.perf_counter() - began
            self._stage.items += 1
            lane.moving[kind] -= 1
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)
            self._start(lane)
            self._moved.set()
