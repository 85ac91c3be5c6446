"""Connections that are opened before they are needed, as many as the waiting bytes are worth."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tobs.api import TobsError

if TYPE_CHECKING:
    from tobs.api import Context
    from tobs_dc_routing.connections import Connections

log = logging.getLogger(__name__)


class Ahead:
    """Has the pool open connections in the background, at most one task a data centre.

    `each` is the bytes that one more connection is opened for. Nothing is opened before `open` and after `close`.
    """

    def __init__(self, ctx: Context, connections: Connections, each: int) -> None:
        self._ctx = ctx
        self._connections = connections
        self._each = each
        self._waiting: dict[int, int] = {}
        self._wanted: dict[int, int] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._failure: BaseException | None = None
        self._is_open = False

    def open(self) -> None:
        """The run begins."""
        self._is_open = True

    def wait(self, dc: int, size: int) -> None:
        """So many bytes more wait for this data centre; less, where `size` is negative."""
        waiting = self._waiting[dc] = max(self._waiting.get(dc, 0) + size, 0)
        if size >= 0:
            self.want(dc, 1 + waiting // self._each)

    def want(self, dc: int, senders: int) -> None:
        """Open so many connections, or as many as core's knob allows; a data centre is asked once for as many."""
        senders = min(senders, int(self._ctx.knobs["connections"]))
        if senders <= self._wanted.get(dc, 0) or not self._is_open:
            return
        self._wanted[dc] = senders
        if dc not in self._opening:
            self._opening[dc] = asyncio.get_running_loop().create_task(self._warm(dc))

    def is_opening(self, dc: int) -> bool:
        """Whether the data centre's first connection is still being opened."""
        return dc in self._opening and not self._connections.count(dc)

    async def close(self) -> None:
        """Stop opening. Raises what went wrong in the opening, unless that was meant for the user."""
        self._is_open = False
        tasks = list(self._opening.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    async def _warm(self, dc: int) -> None:
        senders, failed = 0, ""
        try:
            while senders < self._wanted[dc]:
                senders = self._wanted[dc]
                await self._ctx.pool.warm(dc, senders)
        except TobsError as error:
            failed = str(error)
        except Exception as error:  # noqa: BLE001 - it is a bug, and raised when the run ends
            self._failure = error
        finally:
            del self._opening[dc]
        if not self._connections.count(dc):
            log.info("data centre %d could not be opened ahead, its first request tries again %s", dc, failed)
