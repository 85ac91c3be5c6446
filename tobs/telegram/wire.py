"""Telethon's sender, made leaner in three places that it keeps inside; `tests/telegram` holds them against the lab.

An answer of a megabyte is read in a few large pieces, and acknowledgements travel with the next request: as it comes,
Telethon sends each of them in a packet of its own, which costs client and server as much as the request. And an answer
is forgotten once it is handed on: its loops hold on to the last one, as it came, decrypted, and as the result of what
was asked last, so that every connection that rests takes three times a part of a file.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from telethon.extensions.messagepacker import MessagePacker
from telethon.network import ConnectionTcpAbridged, MTProtoSender
from telethon.network.mtprotostate import MTProtoState
from telethon.tl.types import MsgsAck

READ_AHEAD = 1024 * 1024
"""Bytes after which reading from the socket pauses; asyncio's own 64 KB pause it many times in every answer."""
ACK_WITHIN = 1.0
"""Seconds that an acknowledgement may wait for a request. A server sends again what is not acknowledged in a minute."""


class Packet:
    """What came in one piece; whoever reads it takes it out, so that it lives no longer than that."""

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __bool__(self) -> bool:
        """Whether there is something in it."""
        return bool(self.body)

    def take(self) -> bytes:
        """The bytes, once."""
        body, self.body = self.body, b""
        return body


class Connection(ConnectionTcpAbridged):  # type: ignore[misc]
    """A connection that reads far ahead. In its own loop, and if `whole` is set for its receiver, are packets."""

    whole = False

    async def recv(self) -> Any:
        """What came next: a `Packet` if `whole`, else its bytes."""
        packet = await super().recv()
        return packet if self.whole else packet.take()

    async def _recv(self) -> Packet:
        return Packet(await super()._recv())

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


class State(MTProtoState):  # type: ignore[misc]
    """Decrypts packets."""

    def decrypt_message_data(self, body: Packet) -> Any:
        """The message in a packet, which is empty afterwards."""
        return super().decrypt_message_data(body.take())


class Sender(MTProtoSender):  # type: ignore[misc]
    """Telethon's sender with that packer, and without a memory for what it has handed on."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._state = State(self.auth_key, loggers=self._loggers)
        self._send_queue = Packer(self._state, loggers=self._loggers)

    async def _recv_loop(self) -> None:
        self._connection.whole = True
        await super()._recv_loop()

    async def _handle_rpc_result(self, message: Any) -> None:
        state = self._pending_state.get(message.obj.req_msg_id)
        await super()._handle_rpc_result(message)
        if state is not None:
            state.future = None  # answered; the loop that sent it still has the state

    async def _process_message(self, message: Any) -> None:
        await super()._process_message(message)
        message.obj = None
