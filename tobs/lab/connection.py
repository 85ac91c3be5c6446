"""One TCP connection of a client: packets in and out at the times the network gives them.

What comes in waits in an inbox until it is there, what goes out in an outbox until it is delivered; one timer
each, so that order is kept and nothing sleeps.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from random import Random
from typing import TYPE_CHECKING

from tobs.lab import dispatch
from tobs.lab.crypto import HEADER, BadPacketError, decrypt, encrypt, wire_size
from tobs.lab.handshake import Handshake
from tobs.lab.keys import Client
from tobs.lab.network import Delay, Link, Path
from tobs.lab.outgoing import Outgoing
from tobs.lab.service import MOST_HELD_BYTES
from tobs.lab.tl import CONTAINER
from tobs.lab.transport import Packet, Transport, detect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.lab.scenario import DataCentre
    from tobs.lab.service import Service
    from tobs.lab.session import Session
    from tobs.lab.tl import Chunks

MAX_PACKED = 4096
"""Bodies up to this many bytes share a container with their neighbours."""

MAX_CONTAINER = 64
BUFFERED = 1 << 20
"""Bytes the socket may hold back before the outbox waits for the client to read."""

UNKNOWN_KEY = struct.pack("<i", -404)


class Connection(asyncio.Protocol):
    """The server's end of one connection to one data centre."""

    def __init__(self, service: Service, dc: DataCentre, opened: set[Connection]) -> None:
        self.service = service
        self.dc = dc
        self._loop = asyncio.get_running_loop()
        self._opened = opened
        self._transport: asyncio.Transport | None = None
        self._framing: Transport | None = None
        self._stream = bytearray()
        self._handshake = Handshake(service.keys.rsa)
        self._inbox: deque[tuple[float, float, Packet]] = deque()
        self._outbox: deque[Outgoing] = deque()
        self._sessions: set[Session] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._full = self._busy = False
        self._path: Path
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it when the data centre has as many as it allows."""
        assert isinstance(transport, asyncio.Transport)
        service, network, now = self.service, self.service.world.scenario.network, self._loop.time()
        counters = service.counters
        if counters.first_accept is None:
            counters.first_accept = now
        service.feed.begin(self._loop)
        if network.connections is not None and service.open_connections.get(self.dc.id, 0) >= network.connections:
            counters.connections_refused += 1
            transport.abort()
            return
        self._transport = transport
        transport.set_write_buffer_limits(BUFFERED, BUFFERED // 4)
        self._opened.add(self)
        service.open_connections[self.dc.id] = service.open_connections.get(self.dc.id, 0) + 1
        service.accepted += 1
        counters.connections_opened += 1
        seed = f"{service.world.scenario.seed}:connection:{self.dc.id}:{service.accepted}"
        random = Random(seed)
        self._path = Path(now, Delay(self.dc.rtt, self.dc.jitter), network.connection_rate, random)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio names it
        """Forget everything that was on its way."""
        for timer in self._timers.values():
            timer.cancel()
        self._leave()
        if not self.closed.done():
            self.closed.set_result(None)
        if self._transport is not None:
            self._transport = None
            self._opened.discard(self)
            self.service.open_connections[self.dc.id] -= 1
            self.service.counters.connections_closed += 1

    def data_received(self, data: bytes) -> None:
        """Cut the stream into packets and note when each of them arrives."""
        if self._transport is None:
            return
        now = self._loop.time()
        counters = self.service.counters
        counters.bytes_in += len(data)
        counters.last_activity = now
        self._stream += data
        try:
            if self._framing is None:
                self._framing = detect(self._stream)
            while self._framing is not None and (packet := self._framing.split(self._stream)) is not None:
                self._inbox.append((self._path.arrival(now), now, packet))
        except BadPacketError:
            self.drop()
            return
        self._take_in()

    def pause_writing(self) -> None:
        """The client does not read: send nothing more, and take nothing more from it."""
        self._full = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._full = False
        if self._transport is not None:
            self._transport.resume_reading()
        self._flush()

    # in

    def _wake(self, name: str, when: float, call: Callable[[], None]) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        self._timers[name] = self._loop.call_at(when, call)

    def _take_in(self) -> None:
        self._busy = True  # answers of one round leave together
        try:
            while self._inbox and self._transport is not None:
                due, sent, packet = self._inbox[0]
                if due > self._loop.time():
                    self._wake("in", due, self._take_in)
                    break
                self._inbox.popleft()
                self._packet(packet, due, sent)
        except BadPacketError:
            self.drop()
            return
        finally:
            self._busy = False
        self._flush()

    def _packet(self, taken: Packet, now: float, sent: float) -> None:
        packet = taken.data
        if packet[:8] == bytes(8):
            self._plain(packet)
            return
        client = self.service.keys.find(self.dc.id, packet[:8])
        if client is None:
            self.send(Outgoing(None, (UNKNOWN_KEY,), closes=True))
            return
        plain, token = decrypt(client.key, packet)
        salt, session_id, msg_id, sequence, length = HEADER.unpack_from(plain)
        body = plain[HEADER.size : HEADER.size + length]
        token = token if taken.wants_token else b""
        dispatch.receive(self, client, dispatch.Message(salt, session_id, msg_id, sequence, body, now, sent, token))

    def _plain(self, packet: bytes) -> None:
        if len(packet) < 24:
            raise BadPacketError("an unencrypted message without a body")
        length = int.from_bytes(packet[16:20], "little")
        reply, done = self._handshake.answer(packet[20 : 20 + length])
        if done is not None:
            self.service.counters.handshakes += 1
            until = self.service.salts.until(time.time())
            self.service.keys.add(Client(done.key, self.dc.id, first_salt=done.salt, first_until=until))
        if reply:
            head = struct.pack("<qqi", 0, self.service.next_id(answer=True), len(reply))
            self.send(Outgoing(None, (head, reply)))

    # out

    def send(self, message: Outgoing, shared: Link | None = None) -> None:
        """Send a message: it passes the links now, and is written when it has arrived."""
        if self._transport is None:
            return
        size = message.size
        if message.session is not None:
            size = wire_size(size)
        message.left, message.due = self._path.delivery(self._loop.time(), size, shared)
        self._outbox.append(message)
        if not self._busy:
            self._flush()

    def drop_answer(self, session: Session, msg_id: int) -> Outgoing | None:
        """Take back the answer to a session's request if it has not left: that answer, None when it has."""
        now = self._loop.time()
        for message in self._outbox:
            if message.session is session and message.answers == msg_id and message.left > now:
                self._outbox.remove(message)
                return message
        return None

    def attach(self, session: Session) -> None:
        """Speak for a session from now on; when it lost its last connection, send what it did not get there."""
        is_back = session.connection is None
        session.connection = self
        self._sessions.add(session)
        if is_back:
            shared = self.service.shared_link(session.client)
            for message in session.backlog():
                self.send(message, shared)

    def _leave(self) -> None:
        """Hand what was not sent to the sessions, which may come back on another connection; forget the rest."""
        for session in self._sessions:
            if session.connection is self:
                session.connection = None
        self._sessions.clear()
        self._inbox.clear()
        unsent = list(self._outbox)
        self._outbox.clear()
        for message in unsent:
            if message.session is None or message.resent:
                continue  # a message that was sent before is kept by its session
            other = message.session.connection
            if other is None:
                message.session.park(message)
            else:
                other.send(message, self.service.shared_link(message.session.client))

    def close_after(self, seconds: float) -> None:
        """Close the connection unless this is called again within so many seconds."""
        self._wake("idle", self._loop.time() + seconds, self.close)

    def drop(self) -> None:
        """Close the connection of a client that does not speak this protocol."""
        self.service.counters.bad_packets += 1
        self.close()

    def abort(self) -> None:
        """Close the connection at once, whatever was still to be written."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection after what is already written."""
        self._leave()
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        while self._outbox and self._transport is not None and not self._full:
            now = self._loop.time()
            if self._outbox[0].due > now:
                self._wake("out", self._outbox[0].due, self._flush)
                return
            batch = [self._outbox.popleft()]
            size = batch[0].size
            while (
                size <= MAX_PACKED
                and self._outbox
                and len(batch) < MAX_CONTAINER
                and self._outbox[0].due <= now
                and batch[0].session is not None
                and self._outbox[0].session is batch[0].session
                and self._outbox[0].size <= MAX_PACKED
                and not (batch[0].resent or self._outbox[0].resent)
            ):
                batch.append(self._outbox.popleft())
            self._write(batch, now)

    def _write(self, batch: list[Outgoing], now: float) -> None:
        assert self._transport is not None
        assert self._framing is not None
        session, body = batch[0].session, batch[0].body
        service, counters = self.service, self.service.counters
        if session is not None:
            for message in batch:
                if not message.resent:
                    session.number(message, service.next_id(answer=bool(message.answers)))
            msg_id, sequence = batch[0].msg_id, batch[0].sequence
            if len(batch) > 1 or batch[0].resent:  # an old message id may only come inside of a container
                body = self._container(batch)
                msg_id, sequence = service.next_id(answer=True), 2 * session.sequence
            if service.held.total > MOST_HELD_BYTES:
                service.limit_held()
            client = session.client
            body = encrypt(client.key, service.salt(client), session.id, msg_id, sequence, body)
        pieces = self._framing.token(*body) if batch[0].token else self._framing.frame(*body)
        self._transport.writelines(pieces)
        counters.bytes_out += sum(map(len, pieces))
        counters.last_activity = now
        for message in batch:
            counters.replies += message.answers != 0 and not message.resent
            if message.served is not None:
                message.served()
            if message.delivered is not None:
                message.delivered(now)
            message.served = message.delivered = None
        if batch[-1].closes:
            self.close()

    @staticmethod
    def _container(batch: list[Outgoing]) -> Chunks:
        parts: list[bytes] = [struct.pack("<Ii", CONTAINER, len(batch))]
        for message in batch:
            parts.append(struct.pack("<qii", message.msg_id, message.sequence, message.size))
            parts.extend(message.body)
        return tuple(parts)
