"""What the host calls: one source and one runner, sharing the knobs."""

from __future__ import annotations

import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import Context, Runner, Source, Value, hook
from tobs_async_pipeline.runner import PipelinedRunner
from tobs_async_pipeline.source import PipelinedSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

PILE = 10_000
"""Objects that may pile up before Python looks for cycles among them. With its own 700 it looks about once a page."""


class AsyncPipeline:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._knobs = {name: int(value) for name, value in knobs.items()}

    @hook
    def tobs_source(self, ctx: Context) -> Source:
        """History by several cursors at once."""
        return PipelinedSource(ctx, self._knobs["depth"], self._knobs["page_queue"])

    @hook
    def tobs_runner(self, ctx: Context) -> Runner:
        """Stages joined by bounded queues."""
        return PipelinedRunner(ctx, self._knobs["depth"], self._knobs["batch_queue"], self._knobs["media_queue"])

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the hook
        """The garbage collector looks less often while pages are in flight."""
        return seldom_collected()


@asynccontextmanager
async def seldom_collected() -> AsyncIterator[None]:
    """Let more objects pile up between two looks for cycles; what was set before is set again afterwards.

    The pages in flight are live objects without cycles: walking them again and again took 9 % of the time.
    """
    before = gc.get_threshold()
    if before[0]:  # 0 is off
        gc.set_threshold(max(before[0], PILE), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
