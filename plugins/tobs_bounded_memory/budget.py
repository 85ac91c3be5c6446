"""Bytes in flight, in two shares whose sizes may change: pages and parts wait until there is room for them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from tobs.api import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tobs.api import Level, Meters, Stage

PAGE_COST = 20
"""Bytes of memory for a byte of a history page on the wire: its objects take some 9, its rows as much (measured on the
lab's chats: 15.6 to 21.1 with both)."""

PART_COST = 3
"""Bytes of a part that are asked for, for each that it takes in memory: most of the time it is still under way. (In
`media_large` 115 MB were asked for at once, and the process grew by 35.)"""


class Share:
    """Of `level.limit` bytes so many may be held; whoever asks for more gets them alone. First come, first served."""

    def __init__(self, level: Level, waits: Stage) -> None:
        self.level = level
        self._waits = waits
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def resize(self, limit: int) -> None:
        """Change the limit. What is held stays; nobody is let in until there is room again."""
        self.level.limit = limit
        self._wake()

    async def take(self, size: int) -> None:
        """Wait for room and hold `size` bytes. Cancelled, it holds nothing."""
        self._waits.items += 1
        if not self._waiting and self._fits(size):
            self.level.change(size)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        began = time.perf_counter()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.level.change(-size)
            self._wake()
            raise
        finally:
            self._waits.blocked_put += time.perf_counter() - began

    def give(self, size: int) -> None:
        """Hold `size` bytes less."""
        self.level.change(-size)
        self._wake()

    def _fits(self, size: int) -> bool:
        return not self.level.held or self.level.held + size <= self.level.limit

    def _wake(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if turn.done():  # cancelled
                self._waiting.popleft()
                continue
            if not self._fits(size):
                return
            self._waiting.popleft()
            self.level.change(size)
            turn.set_result(None)


def cost(size: int, traffic: Traffic) -> int:
    """Bytes of memory that a page of `size` on the wire takes, or a part for which so much is asked."""
    return size * PAGE_COST if traffic is Traffic.HISTORY else -(-size // PART_COST)


class BoundedBudget:
    """See `tobs.ports.Budget`. Pages and parts count as what they cost in memory.

    `look` is called before bytes are taken and after they are given back. Meters: the levels `budget_history` and
    `budget_media`, and the stages of these names, whose `blocked_put` is time that pages and parts waited for room.
    """

    def __init__(self, meters: Meters, look: Callable[[], None]) -> None:
        self._look = look
        self._shares = {
            traffic: Share(meters.level(f"budget_{traffic}"), meters.stage(f"budget_{traffic}")) for traffic in Traffic
        }

    def resize(self, history: int, media: int) -> None:
        """Change the shares, in bytes of memory."""
        self._shares[Traffic.HISTORY].resize(history)
        self._shares[Traffic.MEDIA].resize(media)

    def most(self, traffic: Traffic) -> int:
        """The most that was held of a share."""
        return self._shares[traffic].level.peak

    def hold(self, size: int, traffic: Traffic) -> Hold:
        """Hold a page or a part of `size` bytes until the block ends."""
        return Hold(self._shares[traffic], cost(size, traffic), self._look)


class Hold:
    """Bytes of a share, from the beginning of a block to its end."""

    __slots__ = ("_look", "_share", "_size")

    def __init__(self, share: Share, size: int, look: Callable[[], None]) -> None:
        self._share = share
        self._size = size
        self._look = look

    async def __aenter__(self) -> None:
        """Wait for room."""
        self._look()
        await self._share.take(self._size)

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the bytes back."""
        self._share.give(self._size)
        self._look()
