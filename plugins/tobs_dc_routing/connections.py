"""The connections that were opened, and how the idle ones are kept from being closed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from tobs.api import TobsError

if TYPE_CHECKING:
    from tobs.api import Sender

PONG = 15.0
"""Seconds that a ping may take before its connection counts as dead."""


class Connections:
    """Open senders and when each was last used; closed ones are dropped, so there are no more than the pool has."""

    def __init__(self) -> None:
        self._senders: dict[int, Sender] = {}
        self._last: dict[int, float] = {}

    def opened(self, sender: Sender) -> None:
        """A connection is there."""
        self._prune()
        self._senders[id(sender)] = sender
        self._last[id(sender)] = _now()

    def used(self, connection: int) -> None:
        """Something was asked of a connection, named as in `tobs.values.Attempt`."""
        if connection in self._last:
            self._last[connection] = _now()

    def count(self, dc: int) -> int:
        """Connections that are open to a data centre."""
        return sum(sender.dc == dc and not sender.closed for sender in self._senders.values())

    async def keep_alive(self, every: float) -> None:
        """Ping each connection that nothing was asked of for `every` seconds; ends only when cancelled."""
        while True:
            self._prune()
            now = _now()
            idle = [sender for number, sender in self._senders.items() if self._last[number] + every <= now]
            if idle:
                await asyncio.gather(*map(self._ping, idle))
            else:  # one that is opened meanwhile is due later than this wakes
                await asyncio.sleep(min(self._last.values(), default=now) + every - now)

    async def _ping(self, sender: Sender) -> None:
        """One that gives no sign of life is left closed; the pool opens another when one is needed."""
        try:
            async with asyncio.timeout(PONG):
                with suppress(TobsError):
                    await sender.ping()
        except TimeoutError:
            await sender.close()
        self._last[id(sender)] = _now()

    def _prune(self) -> None:
        for number in [number for number, sender in self._senders.items() if sender.closed]:
            del self._senders[number], self._last[number]


def _now() -> float:
    return asyncio.get_running_loop().time()
