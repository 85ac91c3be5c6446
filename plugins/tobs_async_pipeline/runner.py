"""Fetch, normalise, commit and media as stages that run at once, joined by bounded queues."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeAlias

from tobs.api import MeteredQueue, Traffic

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from tobs.api import Batch, Chat, Flow, MediaRef, Meters, Page, Range

Ready: TypeAlias = "tuple[Page, Batch, float, AsyncExitStack]"


class PipelinedRunner:
    """See `tobs.ports.Runner`."""

    def __init__(self, meters: Meters, batches: int, media: int) -> None:
        self._meters = meters
        self._batches = batches
        self._media = media

    async def __call__(self, chat: Chat, ranges: Sequence[Range], flow: Flow) -> None:
        """Run all stages to the end; the first failure stops them all and is raised."""
        normalise, commit = self._meters.stage("normalise"), self._meters.stage("commit")
        submit = self._meters.stage("submit")
        batches: MeteredQueue[Ready | None] = MeteredQueue(self._meters, "batches", self._batches, normalise, commit)
        media: MeteredQueue[list[MediaRef] | None] = MeteredQueue(self._meters, "media", self._media, commit, submit)

        async def read() -> None:
            async for page in flow.source(chat, ranges):
                held = AsyncExitStack()
                await held.enter_async_context(flow.budget.hold(page.size, Traffic.HISTORY))
                began = time.perf_counter()
                batch = flow.normalise(page)
                seconds = time.perf_counter() - began
                normalise.busy += seconds
                normalise.items += 1
                await batches.put((page, batch, seconds, held))
            await batches.put(None)

        async def keep() -> None:
            while (ready := await batches.get()) is not None:
                page, batch, before, held = ready
                async with held:
                    began = time.perf_counter()
                    await flow.write.commit(batch)
                    seconds = time.perf_counter() - began
                commit.busy += seconds
                commit.items += 1
                for probe in flow.probes:
                    probe.batch(page, batch, before + seconds)
                if batch.media:
                    await media.put(batch.media)
                else:
                    await asyncio.sleep(0)  # nothing else here waits: let the others have the loop
            await media.put(None)

        async def hand_over() -> None:
            while (refs := await media.get()) is not None:
                began = time.perf_counter()
                await flow.submit(refs)
                submit.busy += time.perf_counter() - began
                submit.items += 1

        await _all([read(), keep(), hand_over()])


async def _all(stages: Sequence[Coroutine[None, None, None]]) -> None:
    """Run coroutines together; when one fails the others are cancelled and its error is raised as it is."""
    tasks = [asyncio.ensure_future(stage) for stage in stages]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
