"""A connection to the lab on which a test sends its own packets, encrypted by Telethon's code."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from telethon.tl import functions, types
from telethon.tl.core import MessageContainer, RpcResult

from tests.lab.fakes import HOME, hang_up, make_state, parse
from tobs.lab.service_messages import SILENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from telethon.tl.core import TLMessage

    from tobs.lab.server import Lab

FIRST = functions.InvokeWithLayerRequest(
    229, functions.InitConnectionRequest(1, "test", "1", "1", "en", "", "en", functions.help.GetConfigRequest())
)


class Wire:
    """A connection over the abridged transport; `state` is Telethon's, of the server file's key."""

    def __init__(self, state: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.state = state
        self.reader = reader
        self.writer = writer
        self._waiting: list[TLMessage] = []

    @classmethod
    async def open(cls, lab: Lab, state: Any = None, *, tag: bytes = b"\xef") -> Self:
        """Connect with a new session, or with the one of `state`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports[HOME])
        writer.write(tag)
        return cls(state or make_state(lab), reader, writer)

    def message(self, body: bytes, msg_id: int | None = None, sequence: int | None = None) -> tuple[int, bytes]:
        """A message's id and the message, numbered as the protocol asks for unless told otherwise."""
        number = self.state._get_new_msg_id() if msg_id is None else msg_id
        if sequence is None:
            silent = int.from_bytes(body[:4], "little") in SILENT | {MessageContainer.CONSTRUCTOR_ID}
            sequence = self.state._get_seq_no(not silent)
        return number, struct.pack("<qii", number, sequence, len(body)) + body

    def send(self, *bodies: bytes, msg_id: int | None = None, sequence: int | None = None) -> list[int]:
        """Send bodies, in a container when there are several: their message ids."""
        ids, messages = zip(*(self.message(body, msg_id, sequence) for body in bodies), strict=True)
        data = messages[0] if len(bodies) == 1 else self.container(*messages)[1]
        self.send_packet(self.state.encrypt_message_data(data))
        return list(ids)

    def container(self, *messages: bytes, msg_id: int | None = None) -> tuple[int, bytes]:
        """A container of messages, itself a message: its id and that."""
        body = struct.pack("<Ii", MessageContainer.CONSTRUCTOR_ID, len(messages)) + b"".join(messages)
        return self.message(body, msg_id)

    def send_packet(self, packet: bytes) -> None:
        """Frame and write a packet."""
        words = len(packet) // 4
        head = bytes((words,)) if words < 127 else b"\x7f" + words.to_bytes(3, "little")
        self.writer.write(head + packet)

    async def packet(self) -> bytes:
        """The next packet of the server."""
        words = (await self.reader.readexactly(1))[0]
        if words == 127:
            words = int.from_bytes(await self.reader.readexactly(3), "little")
        return await self.reader.readexactly(words * 4)

    async def next(self) -> TLMessage:
        """The next message, out of its container if it is in one."""
        while not self._waiting:
            message = self.state.decrypt_message_data(await self.packet())
            self._waiting = message.obj.messages if isinstance(message.obj, MessageContainer) else [message]
        return self._waiting.pop(0)

    async def message_of(self, kind: type[Any]) -> TLMessage:
        """The next message that holds an object of this kind; those before it are passed over."""
        while not isinstance((found := await self.next()).obj, kind):
            pass
        return found

    async def read(self, kind: type[Any]) -> Any:
        """The next object of this kind."""
        return (await self.message_of(kind)).obj

    async def result(self, msg_id: int) -> Any:
        """The result of a request, which is the next one: parsed, or its `rpc_error`."""
        answer = await self.read(RpcResult)
        assert answer.req_msg_id == msg_id
        return answer.error or parse(answer.body)

    def acknowledge(self, *msg_ids: int) -> None:
        """Tell the server that its messages have come."""
        self.send(bytes(types.MsgsAck(list(msg_ids))))

    async def close(self) -> None:
        """Hang up."""
        await hang_up(self.writer)


@asynccontextmanager
async def wired(lab: Lab, state: Any = None) -> AsyncIterator[Wire]:
    """A connection with a new session, or with the one of `state`."""
    wire = await Wire.open(lab, state)
    try:
        yield wire
    finally:
        await wire.close()
