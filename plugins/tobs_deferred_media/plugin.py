"""What the host calls: a layer on Submit, the lifespan that feeds it, and a probe that learns of expired references."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import Context, Probe, Submit, Value, hook
from tobs_deferred_media.ages import Ages, Expiries
from tobs_deferred_media.backlog import Backlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager


class DeferredMedia:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._knobs = knobs
        self._ages = Ages(float(knobs["refresh_after"]))
        self._backlog: Backlog | None = None

    @hook
    def tobs_submit(self, ctx: Context) -> Callable[[Submit], Submit]:
        """Accept media at once."""

        def layer(inner: Submit) -> Submit:
            size, after = int(self._knobs["backlog"]), self._knobs["start"] == "after"
            self._backlog = Backlog(inner, ctx, self._ages, size=size, after=after)
            return self._backlog

        return layer

    @hook
    def tobs_probe(self, ctx: Context) -> Probe:  # noqa: ARG002 - the hook
        """Learn from references that expired."""
        return Expiries(self._ages)

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the hook
        """Hand on what was accepted."""
        return self._feeding()

    @asynccontextmanager
    async def _feeding(self) -> AsyncIterator[None]:
        if self._backlog is None:  # nothing is exported
            yield
            return
        async with self._backlog.fed():
            yield
