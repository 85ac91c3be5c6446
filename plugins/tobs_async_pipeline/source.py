"""Reads a history with several requests in flight, and asks for each page once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import TYPE_CHECKING

from tobs.api import PAGE, Range, Span
from tobs_async_pipeline.chunks import Chunk
from tobs_async_pipeline.queues import most_in_flight, queue
from tobs_async_pipeline.together import together

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Sequence

    from tobs.api import Chat, Context, MeteredQueue, Page

PAGE_WORK = 0.002
"""Seconds of work that a page takes here: what a round trip is divided by to find how many pages hide it."""
QUEUEING = 4
"""Round trips that an answer may take; one that took longer waited for its turn, and more requests do not help."""
SHALLOWEST = 2
WORTH_MEASURING = 3
"""Pages that a range must seem to hold below its first one before a request is spent to learn how many there are."""


class PipelinedSource:
    """See `tobs.ports.Source`. `depth` 0 means as many requests as the round trip hides."""

    def __init__(self, ctx: Context, depth: int, capacity: int) -> None:
        self._ctx = ctx
        self._depth = depth
        self._capacity = capacity

    async def __call__(self, chat: Chat, ranges: Sequence[Range]) -> AsyncGenerator[Page]:
        """Yield pages as they come; their order is nobody's promise. Close it to end it early."""
        stage, most = self._ctx.meters.stage, most_in_flight(self._ctx, self._depth)
        pages: MeteredQueue[Page | None] = queue(
            self._ctx, "pages", self._capacity, most, stage("fetch"), stage("normalise")
        )
        reading = asyncio.create_task(_Reading(self._ctx, chat, ranges, pages, self._depth).run())
        try:
            while (page := await pages.get()) is not None:
                yield page
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _First:
    """The newest message of a range, its position and the count under which it was told."""

    id: int
    newer: int
    count: int
    within: Range


class _Reading:
    """One pass over some ranges."""

    def __init__(
        self, ctx: Context, chat: Chat, ranges: Sequence[Range], pages: MeteredQueue[Page | None], depth: int
    ) -> None:
        self._ctx = ctx
        self._chat = chat
        self._pages = pages
        self._most = most_in_flight(ctx, depth)
        self._fixed = bool(depth)
        self._waiting = [Chunk(each, each.span.high, each.span.low) for each in ranges]
        self._walking: list[Chunk] = []
        self._unmeasured: list[tuple[int, Chunk]] = []
        self._changed = asyncio.Event()
        self._depth = 0
        self._measured = 0
        self._round_trip = inf
        self._latest = 0.0
        self._obeyed = True
        self._stage = ctx.meters.stage("fetch", 1)
        self._firsts: dict[int, _First] = {}
        self._compared: dict[int, tuple[_First | None, list[tuple[Range, Page]]]] = {}

    async def run(self) -> None:
        """Walk everything; the queue's last item is None, also after a failure, which is then raised."""
        try:
            async with together() as self._group:
                self._deepen(self._most if self._fixed else min(SHALLOWEST, self._most))
            await self._make_sure()
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self._pages.put(None)
            raise
        await self._pages.put(None)

    def _deepen(self, depth: int) -> None:
        while self._depth < depth:
            self._depth += 1
            self._group.create_task(self._cursor())
        self._stage.workers = max(self._stage.workers, self._depth)

    async def _cursor(self) -> None:
        """Take a chunk or half of the longest one, walk it, and again until nothing is left."""
        while True:
            work = self._take()
            if work is not None:
                await work
            elif self._walking:
                await self._idle(self._changed)
            else:
                return

    async def _idle(self, until: asyncio.Event) -> None:
        began = time.perf_counter()
        await until.wait()
        self._stage.wait_get += time.perf_counter() - began

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _take(self) -> Coroutine[None, None, None] | None:
        """The next thing worth a request; whatever is taken is walking from now on."""
        if self._waiting:
            return self._walk(self._enter(self._waiting.pop(0)))
        if not self._obeyed or self._most < SHALLOWEST:
            return None
        longest = max(self._walking, key=lambda chunk: chunk.pages, default=None)
        if longest is not None and longest.pages >= 2:
            return self._walk(self._enter(longest.split()))
        self._unmeasured = [pair for pair in self._unmeasured if pair[1] in self._walking and pair[1].left is None]
        # What is spent on measuring stays below what a depth of cursors may ask in excess.
        if self._unmeasured and self._measured < self._depth - 1 and self._latest <= QUEUEING * self._round_trip:
            pair = max(self._unmeasured, key=lambda pair: pair[0])
            self._unmeasured.remove(pair)
            self._measured += 1
            return self._measure(*pair)
        return None

    def _enter(self, chunk: Chunk) -> Chunk:
        self._walking.append(chunk)
        return chunk

    async def _walk(self, chunk: Chunk) -> None:
        try:
            while chunk.low <= chunk.high and await self._step(chunk):
                pass
        finally:
            if not chunk.begun.is_set():
                chunk.forgo()
            self._walking.remove(chunk)
            self._tell()

    async def _step(self, chunk: Chunk) -> bool:
        """Ask for the next page of a chunk and hand it on, to hold it no longer; whether there may be more."""
        page = await self._ask(Range(Span(chunk.low, chunk.high), chunk.range.wrap), chunk.skip)
        fresh = not chunk.begun.is_set()
        if fresh:
            self._obeyed &= chunk.begin(page)
            if not page.messages and chunk.above is not None:
                return False
        if page.messages:
            if fresh and chunk.above is None and page.newer is not None:
                self._firsts[id(chunk.range)] = _First(page.messages[0].id, page.newer, page.count, chunk.range)
            chunk.advance(page)
            if fresh and chunk.above is None:
                self._learn(chunk, page)
        self._tell()
        if page.ended or chunk.left == 0:
            await self._neighbour(chunk)
        yielded = chunk.cut(page)
        if chunk.gap is not None:
            first = self._firsts.get(id(chunk.range))
            _, gaps = self._compared.setdefault(id(chunk.range), (first, []))
            empty = replace(page, span=chunk.gap, messages=[], peers=[], ended=True, doubtful=False, size=0, wire=None)
            gaps.append((Range(chunk.gap, chunk.range.wrap), empty))
        if len(page.messages) - len(yielded.messages) > PAGE // 2:
            self._obeyed = False  # chunks do not begin where they should: better one cursor each
        if yielded.messages or not page.messages or yielded.span.low <= yielded.span.high:
            await self._pages.put(yielded)
        return not yielded.ended

    async def _ask(self, within: Range, skip: int = 0) -> Page:
        clock = asyncio.get_running_loop().time
        began = clock()
        page = await self._ctx.page(self._chat, within, skip=skip)
        seconds = clock() - began
        self._stage.busy += seconds
        self._stage.items += 1
        self._latest, self._round_trip = seconds, min(self._round_trip, seconds)
        return page

    async def _make_sure(self) -> None:
        """Look again where positions alone said that nothing lies between two chunks, unless they hold good.

        Until then those stretches count as unread, for a run that is stopped before.

        A message that comes and one that goes leave the count and move positions, for good: others that go above would
        change the count. So if a range's newest message is at the position and under the count where it was at first,
        and the same count was told all the while, all positions of the range could be compared.
        """
        for first, gaps in self._compared.values():
            if first is not None and all(empty.count == first.count for _, empty in gaps) and await self._holds(first):
                for _, empty in gaps:
                    await self._pages.put(empty)
            else:
                for gap, _ in gaps:
                    await self._reread(gap)

    async def _holds(self, first: _First) -> bool:
        page = await self._ask(Range(Span(first.id, first.within.span.high), first.within.wrap))
        told = [(one.id, page.newer, page.count) for one in page.messages]
        return told == [(first.id, first.newer, first.count)]

    async def _reread(self, left: Range) -> None:
        while left.span.low <= left.span.high:
            page = await self._ask(left)
            await self._pages.put(page)
            if page.ended:
                return
            left = Range(Span(left.span.low, page.span.low - 1), left.wrap)

    async def _neighbour(self, chunk: Chunk) -> None:
        """Wait until the chunk below has begun; it may dissolve, and another be below."""
        while chunk.below is not None and not chunk.below.begun.is_set():
            await self._idle(chunk.below.begun)

    async def _measure(self, guess: int, chunk: Chunk) -> None:
        """Ask what lies right below a range: its position says how much the range holds; else the guess has to do."""
        below = Span(1, chunk.range.span.low - 1)
        page = await self._ask(Range(below, chunk.range.wrap))
        chunk.measure(page.newer if page.messages else page.count or None)
        if chunk.left is None and chunk.sure:
            chunk.left = guess
        self._grow()
        self._tell()

    def _learn(self, chunk: Chunk, page: Page) -> None:
        """From a range's first page: how much there is below it, where no position says so."""
        low = chunk.range.span.low
        ids = max(chunk.high - low + 1, 0)
        guess = ceil(ids * len(page.messages) / (page.messages[0].id - chunk.high))
        if chunk.left is None and not page.ended:
            if page.newer is None:
                chunk.left = min(guess, page.count or guess)
            elif guess > WORTH_MEASURING * PAGE:
                self._unmeasured.append((guess, chunk))
        self._grow()

    def _grow(self) -> None:
        """As many cursors as hide the round trip, and no more than there are pages for."""
        if not self._fixed:
            pages = len(self._waiting) + len(self._unmeasured) + sum(chunk.pages for chunk in self._walking)
            self._deepen(max(SHALLOWEST, min(ceil(self._round_trip / PAGE_WORK), self._most, pages)))
