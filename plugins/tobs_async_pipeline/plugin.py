"""What the host calls: one source and one runner, sharing the knobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.api import Context, Runner, Source, Value, hook
from tobs_async_pipeline.runner import PipelinedRunner
from tobs_async_pipeline.source import PipelinedSource

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        return PipelinedRunner(ctx.meters, self._knobs["batch_queue"], self._knobs["media_queue"])
