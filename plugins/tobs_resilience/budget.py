"""How often requests may be tried again, in a whole run: a share of them, and some a minute."""

from __future__ import annotations

import asyncio


class RetryBudget:
    """A token bucket of further attempts, full at first.

    It holds `minimum`, regains `minimum` a minute and `share` with each request. So a server that answers nothing
    right is not asked much more often than one that is well. Times are the running loop's.
    """

    def __init__(self, share: float, minimum: int) -> None:
        self._share = share
        self._most = float(max(1, minimum))
        self._tokens = self._most
        self._rate = minimum / 60
        self._filled: float | None = None
        self._turn = asyncio.Lock()

    def requested(self) -> None:
        """A request is made for the first time."""
        self._tokens = min(self._most, self._tokens + self._share)

    async def take(self, longest: float) -> bool:
        """Wait, first come first served, until one more attempt is allowed; False if it is not in `longest` seconds."""
        try:
            async with asyncio.timeout(longest):
                async with self._turn:
                    while not self._take():  # noqa: ASYNC110 - tokens come with time
                        await asyncio.sleep((1 - self._tokens) / self._rate + 1e-6)
        except TimeoutError:
            return False
        return True

    def _take(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._filled is not None:
            self._tokens = min(self._most, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
