"""What the host calls: the layer of RETRY, the layer of REPAIR, the journal, and what is told at the end."""

from __future__ import annotations

import logging
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import Context, Fetch, FetchBand, Invoke, InvokeBand, Journal, Value, hook
from tobs_resilience.breaker import Rules
from tobs_resilience.budget import RetryBudget
from tobs_resilience.copies import Copies
from tobs_resilience.journal import BlockJournal
from tobs_resilience.repair import Care, Repaired
from tobs_resilience.retry import Attempts, Retry
from tobs_resilience.told import Told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

log = logging.getLogger(__name__)
KILO = 1024


class Resilience:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._knobs = knobs
        self._told = Told()
        self._copies = Copies()
        self._chance = random.Random()  # noqa: S311 - it only spreads pauses

    @hook
    def tobs_invoke(self, ctx: Context) -> tuple[InvokeBand, Callable[[Invoke], Invoke]]:
        """Try again what may pass."""
        base, cap, patience = self._number("base"), self._number("cap"), self._number("patience")
        retry = Retry(
            Attempts(self._whole("retries"), base, cap, patience),
            Rules(self._whole("failures"), max(base, 0.1), cap, patience),
            RetryBudget(self._number("share"), self._whole("minimum")),
            self._chance,
            self._told,
            lambda: ctx.home,
        )
        return InvokeBand.RETRY, retry.layer

    @hook
    def tobs_fetch(self, ctx: Context) -> tuple[FetchBand, Callable[[Fetch], Fetch]]:
        """Mend files."""
        care = Care(
            str(self._knobs["check"]), self._whole("repairs"), max(self._number("base"), 0.1), self._number("cap")
        )

        def layer(inner: Fetch) -> Fetch:
            return Repaired(inner, ctx, self._copies, care, self._chance, self._told)

        return FetchBand.REPAIR, layer

    @hook
    def tobs_journal(self, ctx: Context) -> Journal:
        """Keep what is there of half-written files."""
        return BlockJournal(
            lambda: ctx.state("archive"),
            self._copies,
            self._told,
            smallest=self._whole("resume_kb") * KILO,
            batch=self._whole("journal_kb") * KILO,
        )

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the hook
        """Say what was mended."""
        return self._held()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if line := self._told.line():
                log.info("%s", line)

    def _whole(self, name: str) -> int:
        return int(self._knobs[name])

    def _number(self, name: str) -> float:
        return float(self._knobs[name])
