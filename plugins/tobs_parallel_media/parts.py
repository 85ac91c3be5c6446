"""A file's parts, as many at once as its share of the room allows, each written where it belongs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tobs.api import Part, Traffic

if TYPE_CHECKING:
    from tobs.api import Budget, Context, MediaRef, ReadPart, Sink
    from tobs_parallel_media.evenly import Evenly
    from tobs_parallel_media.windows import Centre, Centres, Flight


class ParallelParts:
    """See `tobs.ports.Parts`. `centres` says how many parts of a file may be in flight, anew for each part."""

    def __init__(self, ctx: Context, centres: Centres) -> None:
        self._ctx = ctx
        self._centres = centres

    async def __call__(self, ref: MediaRef, read: ReadPart, sink: Sink, size: int) -> int:
        """Copy the file into the sink; returns its bytes. The first failure stops the other parts."""
        found = self._centres.find(ref.file_id)
        centre, flight = found or self._centres.begin(ref.file_id, ref.dc, size)  # begun here: not by our agenda
        step = centre.step(size)
        flight.parts = -(-size // step)
        try:
            copy = _Copy(read, sink, self._ctx.budget, self._centres.evenly, size, step, centre, flight)
            if flight.parts > 1:
                await copy.in_parallel()
            elif size:
                await copy.alone()
        finally:
            if not found:
                self._centres.end(ref.file_id)
        return size


@dataclass(slots=True, eq=False)
class _Copy:
    """One file on its way. `at` is the offset that nobody has asked for yet, `walkers` move parts."""

    read: ReadPart
    sink: Sink
    budget: Budget
    evenly: Evenly
    size: int
    step: int
    centre: Centre
    flight: Flight
    at: int = 0
    walkers: set[asyncio.Task[None]] = field(default_factory=set)
    failure: BaseException | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def alone(self) -> None:
        """Move the only part, without a task of its own."""
        await self._move(0)
        self._landed()
        self.centre.freed()

    async def in_parallel(self) -> None:
        """Move all parts. Only this task makes walkers, so that none can begin once it has stopped."""
        self.flight.grow = self.woken.set
        try:
            while self.at < self.size or self.walkers:
                self.woken.clear()
                wanted = min(self.centre.share(self.flight), -(-(self.size - self.at) // self.step) + len(self.walkers))
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
        while self.at < self.size and self.failure is None:
            offset = self.at
            self.at += self.step
            await self._move(offset)
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

    async def _move(self, offset: int) -> None:
        size = min(self.step, self.size - offset)
        await self.evenly.turn(self.centre.dc, size)
        async with self.budget.hold(size, Traffic.MEDIA):
            await self.sink.write(offset, await self.read(Part(offset, self.step)))
        self.evenly.came(self.centre.dc, size)

    def _landed(self) -> None:
        self.flight.parts -= 1
        if self.centre.look():
            self.centre.freed()
