"""What the host calls: one pool, and a layer and a probe that tell it what becomes of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.api import Context, Dial, InvokeBand, Pool, Probe, Value, hook
from tobs_adaptive_connections.pool import AdaptivePool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tobs.api import Attempt, Batch, Invoke, Page, Settled


class AdaptiveConnections:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._knobs = knobs
        self._pool: AdaptivePool | None = None

    @hook
    def tobs_pool(self, ctx: Context, dial: Dial) -> Pool:
        """A pool for the account's data centres."""
        self._pool = AdaptivePool(
            dial,
            ctx.home,
            connections=int(self._knobs["connections"]),
            start=int(self._knobs["start"]),
            in_flight=int(self._knobs["in_flight"]),
            history=int(ctx.knobs["history_in_flight"]),
            deadline=float(ctx.knobs["deadline"]),
            shortest=float(self._knobs["shortest_deadline"]),
        )
        return self._pool

    @hook
    def tobs_invoke(self) -> tuple[InvokeBand, Callable[[Invoke], Invoke]]:
        """Around core's deadline: sees each request with the connection that it was lent."""
        return InvokeBand.DEADLINE, self._layer

    def _layer(self, inner: Invoke) -> Invoke:
        assert self._pool is not None, "the pool is asked for first"
        return self._pool.layer(inner)

    @hook
    def tobs_probe(self) -> Probe:
        """Hears of floods."""
        return Floods(self)

    def flooded(self, method: str) -> None:
        """The server asks to wait with this method."""
        if self._pool is not None:
            self._pool.flooded(method)


class Floods:
    """See `tobs.ports.Probe`: passes floods on."""

    def __init__(self, plugin: AdaptiveConnections) -> None:
        self._plugin = plugin

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        """Nothing to learn."""

    def file(self, outcome: Settled, seconds: float) -> None:
        """Nothing to learn."""

    def attempt(self, attempt: Attempt) -> None:
        """The layer sees more of it."""

    def flood(self, method: str, seconds: float) -> None:  # noqa: ARG002 - the port
        """The server asks to wait."""
        self._plugin.flooded(method)
