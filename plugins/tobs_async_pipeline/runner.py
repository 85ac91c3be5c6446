"""Fetch, normalise, commit and media as stages that run at once, joined by bounded queues."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, TypeAlias

from tobs.api import Traffic
from tobs_async_pipeline.queues import most_in_flight, queue
from tobs_async_pipeline.together import together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.api import Batch, Chat, Context, Flow, MediaRef, MeteredQueue, Page, Range, Stage

Ready: TypeAlias = "tuple[Page, Batch, float, AsyncExitStack]"


class PipelinedRunner:
    """See `tobs.ports.Runner`. `batches` may wait to be committed, the media of `media` batches to be accepted.

    0 finds how many, below the most history requests in flight, for which `depth` is that of the source.
    """

    def __init__(self, ctx: Context, depth: int, batches: int, media: int) -> None:
        self._ctx = ctx
        self._depth = depth
        self._batches = batches
        self._media = media

    async def __call__(self, chat: Chat, ranges: Sequence[Range], flow: Flow) -> None:
        """Run all stages to the end; the first failure stops them all and is raised."""
        line = _Line(self._ctx, most_in_flight(self._ctx, self._depth), self._batches, self._media, flow)
        try:
            async with together() as stages:
                stages.create_task(line.read(chat, ranges))
                stages.create_task(line.keep())
                stages.create_task(line.hand_over())
        finally:
            await line.release()


class _Line:
    """The stages of one chat and what is between them."""

    def __init__(self, ctx: Context, most: int, batches: int, media: int, flow: Flow) -> None:
        self._flow = flow
        stage = ctx.meters.stage
        self._normalise, self._commit, self._submit = stage("normalise"), stage("commit"), stage("submit")
        self._ready: MeteredQueue[Ready | None] = queue(ctx, "batches", batches, most, self._normalise, self._commit)
        self._media: MeteredQueue[list[MediaRef] | None] = queue(ctx, "media", media, most, self._commit, self._submit)
        self._held: set[AsyncExitStack] = set()

    async def read(self, chat: Chat, ranges: Sequence[Range]) -> None:
        """Fetch and normalise; each batch holds its bytes until it is committed."""
        flow = self._flow
        async with aclosing(flow.source(chat, ranges)) as source:
            async for page in source:
                held = AsyncExitStack()
                came = time.perf_counter()
                await held.enter_async_context(flow.budget.hold(page.size, Traffic.HISTORY))
                self._held.add(held)
                began = time.perf_counter()
                self._normalise.blocked_put += began - came  # for bytes that later stages hold
                batch = flow.normalise(page)
                seconds = _worked(self._normalise, began)
                await self._ready.put((page, batch, seconds, held))
        await self._ready.put(None)

    async def keep(self) -> None:
        """Commit, and only then pass the media on."""
        flow = self._flow
        while (ready := await self._ready.get()) is not None:
            page, batch, before, held = ready
            began = time.perf_counter()
            await flow.write.commit(batch)
            seconds = before + _worked(self._commit, began)
            self._held.discard(held)
            await held.aclose()
            for probe in flow.probes:
                probe.batch(page, batch, seconds)
            if batch.media:
                await self._media.put(batch.media)
            else:
                await asyncio.sleep(0)  # nothing else here waits: let the others have the loop
        await self._media.put(None)

    async def hand_over(self) -> None:
        """Submit media; what is slow to accept them slows down the stages before."""
        while (refs := await self._media.get()) is not None:
            began = time.perf_counter()
            await self._flow.submit(refs)
            _worked(self._submit, began)

    async def release(self) -> None:
        """Give back what batches still hold that were never committed."""
        for held in self._held:
            await held.aclose()
        self._held.clear()


def _worked(stage: Stage, began: float) -> float:
    """Book one item of a stage; returns its seconds."""
    seconds = time.perf_counter() - began
    stage.busy += seconds
    stage.items += 1
    return seconds
