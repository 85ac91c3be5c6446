"""What the host calls: the budget, and a lifespan in which memory is given back."""

from __future__ import annotations

import gc
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import Budget, Context, Traffic, Value, hook
from tobs_bounded_memory.budget import BoundedBudget
from tobs_bounded_memory.system import database_bounded
from tobs_bounded_memory.watch import MEGA, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

log = logging.getLogger(__name__)


class BoundedMemory:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._aim = int(knobs["memory_mb"]) * MEGA
        self._database = int(knobs["database_mb"]) * MEGA
        self._budget: BoundedBudget | None = None
        self._watch: Watch | None = None

    @hook
    def tobs_budget(self, ctx: Context) -> Budget:
        """Pages and parts within what is left of the aim."""
        budget = BoundedBudget(ctx.meters, self._look)
        self._budget = budget
        self._watch = Watch(self._aim, ctx.meters.level("memory", self._aim), budget.resize)
        self._watch.begin()
        return budget

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the hook
        """The database's memory is bounded, and the collector passes over what stands when the run begins."""
        return self._bounded()

    def _look(self) -> None:
        if self._watch is not None:
            self._watch.look()

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        self._begin()
        gc.freeze()
        try:
            with database_bounded(self._database):
                yield
        finally:
            gc.unfreeze()
            self._tell()

    def _begin(self) -> None:
        if self._watch is not None and (own := self._watch.begin()) >= self._aim:
            log.warning(
                "bounded_memory.memory_mb=%d is less than the %d MB that the program itself takes: "
                "one page and one part of a file move at a time",
                self._aim // MEGA,
                own // MEGA,
            )

    def _tell(self) -> None:
        if self._watch is None or self._budget is None:
            return
        log.info(
            "memory: %.1f MB at most of %.1f, pages %.1f, parts %.1f; %d trims gave back %.1f",
            self._watch.level.peak / MEGA,
            self._aim / MEGA,
            self._budget.most(Traffic.HISTORY) / MEGA,
            self._budget.most(Traffic.MEDIA) / MEGA,
            self._watch.trims,
            self._watch.given_back / MEGA,
        )
