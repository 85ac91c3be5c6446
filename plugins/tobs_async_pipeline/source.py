"""Reads a history with several requests in flight, and asks for each page once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from tobs.api import MeteredQueue, Range, Span
from tobs_async_pipeline.chunks import Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tobs.api import Chat, Context, Page

PAGE_WORK = 0.004
"""Seconds of work that a page takes here: what a round trip is divided by to find how many pages hide it."""
SHALLOWEST = 2


class PipelinedSource:
    """See `tobs.ports.Source`. `depth` 0 means as many requests as the round trip hides."""

    def __init__(self, ctx: Context, depth: int, capacity: int) -> None:
        self._ctx = ctx
        self._depth = depth
        self._capacity = capacity

    async def __call__(self, chat: Chat, ranges: Sequence[Range]) -> AsyncIterator[Page]:
        """Yield pages as they come; their order is nobody's promise."""
        meters = self._ctx.meters
        pages: MeteredQueue[Page | None] = MeteredQueue(
            meters, "pages", self._capacity, meters.stage("fetch"), meters.stage("normalise")
        )
        reading = asyncio.create_task(_Reading(self._ctx, chat, ranges, pages, self._depth).run())
        try:
            while (page := await pages.get()) is not None:
                yield page
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class _Reading:
    """One pass over some ranges."""

    def __init__(
        self, ctx: Context, chat: Chat, ranges: Sequence[Range], pages: MeteredQueue[Page | None], depth: int
    ) -> None:
        self._ctx = ctx
        self._chat = chat
        self._pages = pages
        self._most = depth or int(ctx.knobs["history_in_flight"])
        self._fixed = bool(depth)
        self._waiting = [Chunk(each, each.span.high, each.span.low) for each in ranges]
        self._walking: list[Chunk] = []
        self._changed = asyncio.Event()
        self._cursors: set[asyncio.Task[None]] = set()
        self._positions = True
        self._splits = 0
        self._stage = ctx.meters.stage("fetch", 1)

    async def run(self) -> None:
        """Walk everything; the queue's last item is None, also after a failure, which is then raised."""
        try:
            self._start(self._most if self._fixed else min(SHALLOWEST, self._most))
            while self._cursors:
                done, _ = await asyncio.wait(self._cursors, return_when=asyncio.FIRST_COMPLETED)
                self._cursors -= done
                for cursor in done:
                    cursor.result()
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._stop()
            await self._pages.put(None)
            raise
        else:
            await self._pages.put(None)
        finally:
            self._stop()

    def _stop(self) -> None:
        for cursor in self._cursors:
            cursor.cancel()

    def _start(self, depth: int) -> None:
        while len(self._cursors) < depth:
            self._cursors.add(asyncio.create_task(self._cursor()))
        self._stage.workers = max(self._stage.workers, len(self._cursors))

    async def _cursor(self) -> None:
        """Take a chunk or half of the longest one, walk it, and again until nothing is left."""
        while True:
            chunk = self._take()
            if chunk is None:
                if not self._walking:
                    return
                await self._changed.wait()
                continue
            self._walking.append(chunk)
            try:
                await self._walk(chunk)
            finally:
                self._walking.remove(chunk)
                self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _take(self) -> Chunk | None:
        if self._waiting:
            return self._waiting.pop(0)
        longest = max(self._walking, key=lambda chunk: chunk.pages, default=None)
        if longest is None or longest.pages < 2 or (not self._positions and self._splits >= self._most):
            return None
        self._splits += 1
        return longest.split()

    async def _walk(self, chunk: Chunk) -> None:
        while chunk.low <= chunk.high:
            fresh = chunk.first is None
            began = time.perf_counter()
            page = await self._ask(chunk)
            seconds = time.perf_counter() - began
            self._stage.busy += seconds
            self._stage.items += 1
            if fresh:
                chunk.begin(page)
                self._learn(chunk, page, seconds)
                if not page.messages:
                    if chunk.above is None:
                        await self._pages.put(page)
                    return
            if page.messages:
                chunk.advance(page)
            page = await self._joined(chunk, page)
            self._tell()
            await self._pages.put(page)
            if page.ended:
                return

    async def _ask(self, chunk: Chunk) -> Page:
        within = Range(Span(chunk.low, chunk.high), chunk.range.wrap)
        return await self._ctx.page(self._chat, within, skip=chunk.skip)

    def _learn(self, chunk: Chunk, page: Page, seconds: float) -> None:
        """From a range's first page: how much there is, and how many cursors are worth it."""
        if chunk.above is not None or not page.messages or chunk.left is not None:
            return
        newest, oldest = page.messages[0].id, page.messages[-1].id
        by_ids = max(oldest - chunk.range.span.low, 0)
        if chunk.range.span.low <= 1:
            left = page.count - page.newer - len(page.messages) if page.newer is not None else by_ids
        else:
            left = ceil(by_ids * len(page.messages) / (newest - oldest + 1))
        chunk.left = len(page.messages) + max(min(left, by_ids), 0)
        # Without positions every border costs a request to prove it: then a cursor each, and no more.
        self._positions = self._positions and page.newer is not None
        if not self._fixed:
            depth = max(SHALLOWEST, ceil(seconds / PAGE_WORK))
            self._start(min(depth, self._most, max(chunk.pages, SHALLOWEST)))

    async def _joined(self, chunk: Chunk, page: Page) -> Page:
        """A chunk's last page reaches down to the chunk below, once that has begun and they are neighbours."""
        if page.ended or not page.messages or chunk.left:
            return page
        while chunk.below is not None and not chunk.below.begun.is_set():
            await chunk.below.begun.wait()  # it may dissolve, and another be below
        if chunk.below is None:
            return page
        if chunk.high < chunk.low or chunk.touches_below(page):
            return replace(page, span=Span(min(chunk.low, page.span.low), page.span.high), ended=True)
        return page
