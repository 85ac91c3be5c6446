"""The baseline Runner: fetch, normalise, commit and media of one page end before the next page begins."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from tobs.values import Traffic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.ports import Flow, Range
    from tobs.values import Chat, Page


async def run_in_turn(chat: Chat, ranges: Sequence[Range], flow: Flow) -> None:
    """Drive the flow straight through."""
    async with aclosing(flow.source(chat, ranges)) as pages:
        async for page in pages:
            async with flow.budget.hold(page.size, Traffic.HISTORY):
                await keep(page, flow)


async def keep(page: Page, flow: Flow) -> None:
    """Normalise and commit one page, then submit its media."""
    began = time.perf_counter()
    batch = flow.normalise(page)
    await flow.write.commit(batch)
    seconds = time.perf_counter() - began
    for probe in flow.probes:
        probe.batch(page, batch, seconds)
    if batch.media:
        await flow.submit(batch.media)
