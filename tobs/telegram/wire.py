"""Telethon's sender, made quicker in two places that it keeps inside; `tests/telegram` holds both against the lab.

An answer of a megabyte is read in a few large pieces, and acknowledgements travel with the next request: as it comes,
Telethon sends each of them in a packet of its own, which costs client and server as much as the request.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from telethon.extensions.messagepacker import MessagePacker
from telethon.network import ConnectionTcpAbridged, MTProtoSender
from telethon.tl.types import MsgsAck

READ_AHEAD = 1024 * 1024
"""Bytes after which reading from the socket pauses; asyncio's own 64 KB pause it many times in every answer."""
ACK_WITHIN = 1.0
"""Seconds that an acknowledgement may wait for a request. A server sends again what is not acknowledged in a minute."""


class Connection(ConnectionTcpAbridged):  # type: ignore[misc]
    """A connection that reads far ahead."""

    async def _connect(self, timeout: float | None = None, ssl: Any = None) -> None:  # noqa: ASYNC109 - Telethon's
        await super()._connect(timeout=timeout, ssl=ssl)
        self._reader._limit = READ_AHEAD  # noqa: SLF001 - Telethon opens the stream without asking for a limit


class Packer(MessagePacker):  # type: ignore[misc]
    """Packs what is to be sent; acknowledgements alone wait for company."""

    async def get(self) -> Any:
        """See Telethon's: the states that were packed, and their bytes."""
        if self._deque and self._only_acks():
            with suppress(TimeoutError):
                async with asyncio.timeout(ACK_WITHIN):
                    while self._only_acks():
                        self._ready.clear()
                        await self._ready.wait()
        return await super().get()

    def _only_acks(self) -> bool:
        return all(isinstance(state.request, MsgsAck) for state in self._deque)


class Sender(MTProtoSender):  # type: ignore[misc]
    """Telethon's sender with that packer."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._send_queue = Packer(self._state, loggers=self._loggers)
