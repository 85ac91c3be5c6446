"""What the host calls: one layer around each log handler, and the limiter that `tobs.api` offers, for the whole run."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import Context, Value, hook, log_limiter
from tobs_log_rate_limit.handler import LimitedHandler
from tobs_log_rate_limit.keeper import Keeper
from tobs_log_rate_limit.sites import Sites

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager


class LogRateLimit:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._batch = int(knobs["batch"])
        self._limits = float(knobs["rate"]), int(knobs["burst"]), int(knobs["sites"])
        self._keeper = Keeper(float(knobs["flush"]), Sites(*self._limits, noun="call"))

    @hook
    def tobs_log(self, ctx: Context) -> Callable[[logging.Handler], logging.Handler]:  # noqa: ARG002 - the hook
        """Limit and batch what reaches a handler."""

        def layer(handler: logging.Handler) -> logging.Handler:
            return LimitedHandler(handler, Sites(*self._limits), self._batch, self._keeper)

        return layer

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the hook
        """Limit functions that are `rate_limited`."""
        return self._limiting()

    @asynccontextmanager
    async def _limiting(self) -> AsyncIterator[None]:
        try:
            with log_limiter(self._keeper):
                yield
        finally:
            self._keeper.flush()
