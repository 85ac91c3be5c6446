"""Outcomes of files that come close together are kept in one transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.api import Batch, Settled, Write

    Waiting = tuple[Sequence[Settled], asyncio.Future[None]]


class GroupWrite:
    """See `tobs.ports.Write`: whoever settles goes on when its outcomes are committed, with those of others.

    `others` says how many files are just being finished. Where there are some, outcomes wait for theirs, `linger`
    seconds at most, until `batch` wait. A page's batch does not wait.
    """

    def __init__(self, inner: Write, others: Callable[[], int], *, linger: float, batch: int) -> None:
        self._inner = inner
        self._others = others
        self._linger = linger
        self._batch = batch
        self._waiting: list[Waiting] = []
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def commit(self, batch: Batch) -> None:
        """Keep a page in a transaction of its own: the history waits for it."""
        await self._inner.commit(batch)

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        """Keep outcomes. Raises what keeping just these raises."""
        if self._closed or (self._task is None and not self._others()):
            await self._inner.settle(outcomes)
            return
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcomes, kept))
        self._came.set()
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        await kept

    async def close(self) -> None:
        """Keep what waits; from then on nothing waits for anything else."""
        self._closed = True
        self._came.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        """Keep one group after the other until none waits."""
        try:
            while self._waiting:
                await self._gather()
                group, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
                await self._keep(group)
        finally:
            self._task = None
            for _, kept in self._waiting:
                kept.cancel()

    async def _gather(self) -> None:
        """Let others come, as long as that may be worth it."""
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._linger):
                while len(self._waiting) < self._batch and self._others() and not self._closed:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            pass

    async def _keep(self, group: list[Waiting]) -> None:
        if len(group) > 1:
            error = await self._settle([outcome for outcomes, _ in group for outcome in outcomes])
            if error is None:
                for _, kept in group:
                    _done(kept, None)
                return
        for outcomes, kept in group:  # each finds out whether the fault is its own
            _done(kept, await self._settle(outcomes))

    async def _settle(self, outcomes: Sequence[Settled]) -> Exception | None:
        try:
            await self._inner.settle(outcomes)
        except Exception as error:  # noqa: BLE001 - raised to whoever waits for it
            return error
        return None


def _done(kept: asyncio.Future[None], error: Exception | None) -> None:
    if kept.done():  # whoever waited was cancelled
        return
    if error is None:
        kept.set_result(None)
    else:
        kept.set_exception(error)
