"""Media that wait while history goes on, and the task that feeds them to the agenda."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import PAGE, LostError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tobs.api import Context, MediaRef, Submit
    from tobs_deferred_media.ages import Ages, Read

CHUNK = PAGE
"""References handed on at once: as many as one request can read again."""


class Backlog:
    """See `tobs.ports.Submit`. Accepts at once, and lets go of what is more than `size`: the archive has it as pending.

    Only from `drain` on, when core submits what the archive still has, everything is handed on and waited for.
    """

    def __init__(self, inner: Submit, ctx: Context, ages: Ages, *, size: int, after: bool) -> None:
        self._inner = inner
        self._ctx = ctx
        self._ages = ages
        self._size = size
        self._open = asyncio.Event()
        if not after:
            self._open.set()
        self._batches: deque[Read] = deque()
        self._waiting = 0
        self._meter = ctx.meters.queue("deferred", size)
        self._stage = ctx.meters.stage("deferred")
        self._more = asyncio.Event()
        self._ending = False
        self._closed = False
        self._feeder: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    async def __call__(self, refs: Sequence[MediaRef]) -> None:
        """Accept references of one page, or hand on a chunk of the archive's. Raises what stopped the feeding."""
        self._check()
        if self._ending:
            await self._hand_on(self._ages.dated(refs))
            return
        room = min(len(refs), self._size - self._waiting)
        if room:
            self._batches.append((refs[:room], self._ages.now()))
            self._count(room)
            self._more.set()
        if room < len(refs):
            self._ages.note(refs[room:])

    async def drain(self) -> None:
        """Return when everything accepted is with the agenda. Raises what stopped the feeding."""
        self._ending = True
        self._open.set()
        self._more.set()
        if self._feeder is None:
            await self._serve()
        else:
            await asyncio.wait([self._feeder])
        self._check()

    async def close(self) -> None:
        """Stop feeding and forget what waits; nothing is accepted any more. May be called twice."""
        self._closed = True
        self._batches.clear()
        self._count(-self._waiting)
        if self._feeder is not None:
            self._feeder.cancel()
            await asyncio.wait([self._feeder])

    @asynccontextmanager
    async def fed(self) -> AsyncIterator[None]:
        """Feed the agenda meanwhile. What stops that cancels whoever is inside, and is raised at the end."""
        async with asyncio.TaskGroup() as group:
            self._feeder = group.create_task(self._serve())
            try:
                yield
            finally:
                await self.close()

    async def _serve(self) -> None:
        try:
            await self._open.wait()
            while True:
                while chunk := self._next():
                    await self._hand_on(chunk)
                    await asyncio.sleep(0)  # files that are here already are settled without waiting for anything
                if self._ending:
                    return
                self._more.clear()
                await self._more.wait()
        except asyncio.CancelledError as stopped:
            if self._closed:
                raise
            self._failure = LostError("media were cancelled while they were handed on")
            raise self._failure from stopped
        except BaseException as failure:
            self._failure = failure
            raise

    def _next(self) -> list[Read]:
        """The batches that have waited longest, at most `CHUNK` references of several."""
        chunk: list[Read] = []
        taken = 0
        while self._batches and (not chunk or taken + len(self._batches[0][0]) <= CHUNK):
            chunk.append(self._batches.popleft())
            taken += len(chunk[-1][0])
        self._count(-taken)
        return chunk

    async def _hand_on(self, chunk: Sequence[Read]) -> None:
        refs = await self._ages.renewed(chunk, self._ctx)
        await self._inner(refs)
        self._stage.items += len(refs)

    def _count(self, change: int) -> None:
        self._waiting += change
        self._meter.change(change)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise LostError("the run is closing")
