"""A file's parts, as many at once as its share of the room allows, each written where it belongs."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tobs.api import Traffic, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.api import Budget, Context, MediaRef, Part, ReadPart, Sink
    from tobs_parallel_media.evenly import Evenly
    from tobs_parallel_media.windows import Centre, Centres, Flight


class ParallelParts:
    """See `tobs.ports.Parts`. `centres` says how many parts of a file may be in flight, anew for each part."""

    def __init__(self, ctx: Context, centres: Centres) -> None:
        self._ctx = ctx
        self._centres = centres

    async def __call__(self, ref: MediaRef, read: ReadPart, sink: Sink, size: int, have: Sequence[Part] = ()) -> int:
        """Copy what is missing into the sink; returns the file's bytes. The first failure stops the other parts."""
        found = self._centres.find(ref.file_id)
        centre, flight = found or self._centres.begin(ref.file_id, ref.dc, size)  # begun here: not by our agenda
        step = centre.step(size)
        left = deque(cut(size, step, have))
        flight.parts = len(left)
        try:
            copy = _Copy(read, sink, self._ctx.budget, self._centres.evenly, size, left, centre, flight)
            if flight.parts > 1:
                await copy.in_parallel()
            elif left:
                await copy.alone()
        finally:
            if not found:
                self._centres.end(ref.file_id)
        return size


@dataclass(slots=True, eq=False)
class _Copy:
    """One file on its way. `left` are the parts that nobody has asked for yet, `walkers` move parts."""

    read: ReadPart
    sink: Sink
    budget: Budget
    evenly: Evenly
    size: int
    left: deque[Part]
    centre: Centre
    flight: Flight
    walkers: set[asyncio.Task[None]] = field(default_factory=set)
    failure: BaseException | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def alone(self) -> None:
        """Move the only part, without a task of its own."""
        await self._move(self.left.popleft())
        self._landed()
        self.centre.freed()

    async def in_parallel(self) -> None:
        """Move all parts. Only this task makes walkers, so that none can begin once it has stopped."""
        self.flight.grow = self.woken.set
        try:
            while self.left or self.walkers:
                self.woken.clear()
                wanted = min(self.centre.share(self.flight), len(self.left) + len(self.walkers))
                for _ in range(wanted - len(self.walkers)):
                    walker = asyncio.ensure_future(self._walk())
                    self.walkers.add(walker)
                    walker.add_done_callback(self._left)
                await self.woken.wait()
                if self.failure is not None:
                    raise self.failure
        finally:
            self.flight.grow = None
            for walker in self.walkers:
                walker.cancel()
            while self.walkers:
                await asyncio.wait(self.walkers)

    async def _walk(self) -> None:
        """Move the next part that nobody has, until there is none, or more walkers than the file's share."""
        while self.left and self.failure is None:
            await self._move(self.left.popleft())
            self._landed()
            if len(self.walkers) > self.centre.share(self.flight):
                return

    def _left(self, walker: asyncio.Task[None]) -> None:
        """A walker has ended, in whatever way."""
        self.walkers.discard(walker)
        failure = asyncio.CancelledError() if walker.cancelled() else walker.exception()
        self.failure = self.failure or failure  # the first one tells; the others are taken from their tasks too
        self.woken.set()
        self.centre.freed()

    async def _move(self, part: Part) -> None:
        size = min(part.limit, self.size - part.offset)
        await self.evenly.turn(self.centre.dc, size)
        async with self.budget.hold(size, Traffic.MEDIA):
            await self.sink.write(part.offset, await self.read(part))
        self.evenly.came(self.centre.dc, size)

    def _landed(self) -> None:
        self.flight.parts -= 1
        if self.centre.look():
            self.centre.freed()
