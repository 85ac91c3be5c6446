"""What the host calls: a layer of the filter, a probe that sees what is committed, a lifespan that keeps the record."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import Attempt, Batch, Context, Filter, Page, Probe, Settled, Value, hook
from tobs_bloom_filter.leaf import Choice
from tobs_bloom_filter.sieve import Sieve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from tobs.api import State

log = logging.getLogger(__name__)
SPARE = 8
"""Records in memory beyond one for each history request in flight: so many places pages may come from at once."""


class BloomFilter:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._knobs = knobs
        self._sieve: Sieve | None = None

    @hook
    def tobs_filter(self, ctx: Context) -> Callable[[Filter], Filter]:
        """Leave out what is known.

        The stage `bloom_filter` counts the messages that were, and the time that looking took; `tobs.seen.memory` says
        how many bytes what is remembered took at most.
        """
        stage = ctx.meters.stage("bloom_filter")

        def layer(inner: Filter) -> Filter:
            def sifted(page: Page) -> Page:
                sieve = self._of(ctx)
                began = time.perf_counter()
                passed = sieve.sift(page)
                stage.busy += time.perf_counter() - began
                stage.items += len(page.messages) - len(passed.messages)
                ctx.meters.seen["bloom_filter"] = sieve.peak
                return inner(passed)

            return sifted

        return layer

    @hook
    def tobs_probe(self, ctx: Context) -> Probe:
        """Learn what is committed."""
        return Committed(lambda: self._of(ctx), ctx)

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the hook
        """Keep what was learned, however the run ends: all of it is committed."""
        return self._held()

    def _of(self, ctx: Context) -> Sieve:
        """The sieve, made when the archive is open."""
        if self._sieve is None:
            knobs, state = self._knobs, ctx.state("archive")
            loaded = int(ctx.knobs["history_in_flight"]) + SPARE
            choice = Choice(str(knobs["kind"]), float(knobs["false_positives"]), int(knobs["range"]), loaded)
            self._sieve = Sieve(ctx, state, _seed(state), choice)
        return self._sieve

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if self._sieve is not None:
                self._sieve.save()
                log.info(
                    "%d messages were known; the archive was looked into for %d pages, for %d messages by mistake",
                    self._sieve.known,
                    self._sieve.asked,
                    self._sieve.mistaken,
                )


class Committed:
    """Implements `Probe`: sees batches after their commit."""

    def __init__(self, sieve: Callable[[], Sieve], ctx: Context) -> None:
        self._sieve = sieve
        self._ctx = ctx

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:  # noqa: ARG002 - the port
        """See `tobs.ports.Probe`."""
        sieve = self._sieve()
        sieve.mark(page, batch)
        self._ctx.meters.seen["bloom_filter"] = sieve.peak

    def file(self, outcome: Settled, seconds: float) -> None:
        """Nothing is learned."""

    def attempt(self, attempt: Attempt) -> None:
        """Nothing is learned."""

    def flood(self, method: str, seconds: float) -> None:
        """Nothing is learned."""


def _seed(state: State) -> int:
    """The archive's own seed of prints, made once."""
    seed = state.get("seed").get("seed")
    if type(seed) is not int or not 0 <= seed < 1 << 64:
        seed = secrets.randbits(64)
        state.put("seed", {"seed": seed})
    return seed
