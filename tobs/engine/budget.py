"""Bytes in flight, bounded: the baseline is generous, and a share for parts is out of the batches' reach."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.meters import Meters
from tobs.values import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class ByteBudget:
    """Two shares of bytes, history and media; whoever asks for more than a share gets it alone."""

    def __init__(self, history: int, media: int, meters: Meters | None = None) -> None:
        self._wait = (meters or Meters()).step("budget")
        self._size = {Traffic.HISTORY: history, Traffic.MEDIA: media}
        self._free = dict(self._size)
        self._waiting: dict[Traffic, deque[tuple[int, asyncio.Future[None]]]] = {
            Traffic.HISTORY: deque(),
            Traffic.MEDIA: deque(),
        }

    @asynccontextmanager
    async def hold(self, size: int, traffic: Traffic) -> AsyncIterator[None]:
        """Hold `size` bytes of a share until the block ends; first come, first served."""
        size = min(size, self._size[traffic])
        await self._take(size, traffic)
        try:
            yield
        finally:
            self._free[traffic] += size
            self._wake(traffic)

    def shares(self) -> list[tuple[str, int, int]]:
        """Name, bytes held and bytes that may be held of each share, named as levels of `tobs.meters` are."""
        return [(f"budget_{traffic}", size - self._free[traffic], size) for traffic, size in self._size.items()]

    async def _take(self, size: int, traffic: Traffic) -> None:
        waiting = self._waiting[traffic]
        if not waiting and self._free[traffic] >= size:
            self._free[traffic] -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append((size, turn))
        try:
            with self._wait:
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free[traffic] += size
            self._wake(traffic)
            raise

    def _wake(self, traffic: Traffic) -> None:
        waiting = self._waiting[traffic]
        while waiting:
            size, turn = waiting[0]
            if turn.done():
                waiting.popleft()
                continue
            if self._free[traffic] < size:
                return
            waiting.popleft()
            self._free[traffic] -= size
            turn.set_result(None)
