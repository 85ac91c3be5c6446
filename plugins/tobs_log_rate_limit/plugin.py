"""What the host calls: one layer around each log handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.api import Context, Value, hook
from tobs_log_rate_limit.handler import LimitedHandler
from tobs_log_rate_limit.sites import Sites

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping


class LogRateLimit:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._rate = float(knobs["rate"])
        self._burst = int(knobs["burst"])
        self._flush = float(knobs["flush"])
        self._batch = int(knobs["batch"])
        self._sites = int(knobs["sites"])

    @hook
    def tobs_log(self, ctx: Context) -> Callable[[logging.Handler], logging.Handler]:  # noqa: ARG002 - the hook
        """Limit and batch what reaches a handler."""

        def layer(handler: logging.Handler) -> logging.Handler:
            return LimitedHandler(handler, Sites(self._rate, self._burst, self._sites), self._batch, self._flush)

        return layer
