"""Which files move: small ones first and a large one beside them, as many as fill the room of each data centre."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tobs.api import LostError
from tobs_parallel_media.waiting import Entry, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tobs.api import Lanes, MediaRef, Meters
    from tobs_parallel_media.windows import Centres

FURTHER = 10
"""Times the backlog that may wait at most, where a data centre has nothing to do and its files may be yet to come."""


@dataclass(slots=True)
class _Lane:
    """A data centre's files: waiting, and moving by kind in requests."""

    waiting: Waiting = field(default_factory=Waiting)
    files: int = 0
    moving: Counter[str] = field(default_factory=Counter)


class SharedAgenda:
    """See `tobs.ports.Agenda`. A reference is accepted when fewer than `backlog` wait, or some data centre runs dry.

    `files` is the number of files that may move at once from one data centre; 0 lets them be as many as it takes to
    fill its room.
    """

    def __init__(
        self,
        work: Callable[[MediaRef], Awaitable[None]],
        meters: Meters,
        lanes: Lanes,
        centres: Centres,
        *,
        files: int,
        backlog: int,
        ageing: float,
        shares: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work = work
        self._choose = lanes
        self._centres = centres
        self._files = files
        self._backlog = backlog
        self._ageing = ageing
        self._shares = shares
        self._clock = clock
        self._lanes: dict[int, _Lane] = {}
        self._tasks: set[asyncio.Future[None]] = set()
        self._twins: defaultdict[int, deque[MediaRef]] = defaultdict(deque)
        self._known: set[int] = set()
        self._waiting = 0
        self._turn = 0
        self._failure: BaseException | None = None
        self._closed = False
        self._moved = asyncio.Event()
        self._stage = meters.stage("media", files or 1)
        self._queue = meters.queue("files", backlog)
        centres.moved = self._start_in

    async def put(self, refs: Sequence[MediaRef]) -> None:
        """Accept references, waiting where the backlog is full. Raises what stopped an earlier file."""
        await self._check()
        for ref in refs:
            while not self._accepts():
                self._start()  # what this call has brought so far is looked at together
                if not self._accepts():
                    await self._wait()
                await self._check()
            self._add(ref)
        self._start()

    async def drain(self) -> None:
        """Wait for every accepted file. Raises what stopped one."""
        while (self._tasks or self._waiting) and not self._closed:
            await self._wait()
        await self._check()

    async def close(self) -> None:
        """Stop what still moves and forget what waits; nothing is accepted any more."""
        self._stop()
        while self._tasks:
            await asyncio.wait(self._tasks)

    # ------------------------------------------------------------ waiting

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

    def _accepts(self) -> bool:
        """Whether one more may wait. A full backlog keeps no data centre idle whose files may be among the next."""
        if self._waiting < self._backlog or self._closed:
            return True
        return self._waiting < FURTHER * self._backlog and any(
            not lane.waiting and self._centres[dc].free() > 0 for dc, lane in self._lanes.items()
        )

    def _add(self, ref: MediaRef) -> None:
        self._waiting += 1
        self._queue.change(+1)
        if ref.file_id in self._known:
            self._twins[ref.file_id].append(ref)
            return
        self._known.add(ref.file_id)
        # An older file counts as smaller: comparing size - ageing x age is comparing size + ageing x arrival.
        arrived = self._clock()
        self._turn += 1
        lane = self._lanes.setdefault(ref.dc, _Lane())
        self._centres.evenly.wanted(ref.dc, ref.size)
        lane.waiting.add(Entry(ref, ref.size + self._ageing * arrived, self._turn, arrived))

    def _stop(self) -> None:
        self._closed = True
        self._queue.change(-self._waiting)
        self._waiting = 0
        self._twins.clear()
        for lane in self._lanes.values():
            lane.waiting.clear()
        for task in self._tasks:
            task.cancel()
        self._moved.set()

    # ------------------------------------------------------------ moving

    def _start(self) -> None:
        """Begin files until every data centre has enough; `Lanes` says whose is next."""
        while ready := [dc for dc in self._lanes if self._next(dc)]:
            if len(ready) > 1:
                ready.sort(key=lambda dc: self._lanes[dc].waiting.since)
                self._begin(self._choose.first({dc: self._lanes[dc].waiting.size for dc in ready}))
            else:
                self._begin(ready[0])
            self._moved.set()

    def _start_in(self, dc: int) -> None:
        """Begin files of one data centre, which may have room."""
        while dc in self._lanes and self._next(dc):
            self._begin(dc)
            self._moved.set()

    def _next(self, dc: int) -> tuple[Entry, bool] | None:
        """The file of this data centre that should begin now, if one should, and whether as the large one."""
        lane, centre = self._lanes[dc], self._centres[dc]
        # Files whose last part is there are still being settled: they take no room, and are bounded all the same.
        if self._closed or not lane.waiting or lane.files >= (self._files or 2 * centre.room + 4):
            return None
        if self._files != 1 and centre.reserves() and not centre.has_large():
            largest = lane.waiting.largest()
            if centre.parts(largest.ref.size) > 1:
                return largest, True
        entry = lane.waiting.next(lane.moving, self._shares)
        return (entry, False) if self._files or centre.free(entry.rank) > 0 else None

    def _begin(self, dc: int) -> None:
        """Begin the file that is next."""
        chosen = self._next(dc)
        assert chosen is not None, f"a file of data centre {dc} is ready"
        entry, large = chosen
        lane = self._lanes[dc]
        lane.waiting.take(entry)
        self._waiting -= 1
        self._queue.change(-1)
        now = self._clock()
        self._stage.wait_get += now - entry.arrived
        ref = entry.ref
        centre, flight = self._centres.begin(ref.file_id, dc, ref.size, entry.rank, large=large)
        weight = max(1, min(flight.parts, centre.room))
        lane.moving[ref.kind] += weight
        lane.files += 1
        task = asyncio.ensure_future(self._work(ref))
        self._tasks.add(task)
        self._stage.workers = max(self._stage.workers, len(self._tasks))
        task.add_done_callback(partial(self._done, lane, ref, weight, now))

    def _done(self, lane: _Lane, ref: MediaRef, weight: int, began: float, task: asyncio.Future[None]) -> None:
        """A file has ended, in whatever way; also one that was cancelled before it could begin."""
        self._tasks.discard(task)
        lane.files -= 1
        lane.moving[ref.kind] -= weight
        self._stage.busy += self._clock() - began
        self._stage.items += 1
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        if failure is not None and not self._closed:
            self._failure = failure
            self._stop()
        self._centres.evenly.wanted(ref.dc, -ref.size)
        self._forget(ref)
        self._centres.end(ref.file_id)  # where others begin in its place
        self._moved.set()

    def _forget(self, ref: MediaRef) -> None:
        """The next reference to the same file, if there is one, has waited for this one: it may find it here."""
        self._known.discard(ref.file_id)
        twins = self._twins.get(ref.file_id)
        if not twins:
            return
        self._waiting -= 1
        self._queue.change(-1)
        self._add(twins.popleft())
        if not twins:
            del self._twins[ref.file_id]
