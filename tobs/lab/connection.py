"""One TCP connection of a client: packets in and out at the times the network gives them.

What comes in waits in an inbox until it is there, what goes out in an outbox until it is delivered; one timer
each, so that order is kept and nothing sleeps.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import struct
import time
from collections import deque
from functools import partial
from math import inf
from random import Random
from typing import TYPE_CHECKING

from tobs.lab import dispatch
from tobs.lab.crypto import HEADER, BadPacketError, decrypt, encrypt, wire_size
from tobs.lab.handshake import Handshake
from tobs.lab.keys import Client
from tobs.lab.network import Delay, Path
from tobs.lab.outgoing import Outgoing
from tobs.lab.service import MOST_HELD_BYTES
from tobs.lab.tl import CONTAINER
from tobs.lab.transport import Packet, Transport, detect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.lab.network import Link
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
    """The server's end of one connection to one data centre, or with `media_only` to its address for files."""

    def __init__(self, service: Service, dc: DataCentre, *, media_only: bool = False) -> None:
        self.service = service
        self.dc = dc
        self.media_only = media_only
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._framing: Transport | None = None
        self._stream = bytearray()
        self._handshake = Handshake(service.keys.rsa)
        self._inbox: deque[tuple[float, float, Packet]] = deque()
        self._outbox: deque[Outgoing] = deque()
        self._sessions: set[Session] = set()
        self._leaving: deque[tuple[float, int, Outgoing]] = deque()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._full = self._busy = False
        self._path: Path
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it when the data centre is away or has as many as it allows."""
        assert isinstance(transport, asyncio.Transport)
        service, dc, now = self.service, self.dc, self._loop.time()
        counters, most = service.counters, service.world.scenario.network.connections
        if service.run.began is None:
            service.begin(now)
        service.feed.begin(self._loop)
        is_away = service.outage(dc.id, now) is not None
        if is_away or (most is not None and service.open_connections.get(dc.id, 0) >= most):
            counters.connections_refused += 1
            service.mishaps.counted["outages"] += is_away
            transport.abort()
            return
        self._transport = transport
        transport.set_write_buffer_limits(BUFFERED, BUFFERED // 4)
        service.opened.add(self)
        service.open_connections[dc.id] = service.open_connections.get(dc.id, 0) + 1
        number = service.accepted[dc.id] = service.accepted.get(dc.id, 0) + 1
        counters.connections_opened += 1
        random = Random(f"{service.world.scenario.seed}:connection:{dc.id}:{number}")
        self._path = Path(now, Delay(dc.rtt, dc.jitter), service.own_link(), random, line=service.line, up=service.up)
        self.await_outage()
        if (life := service.mishaps.life(dc.id, number)) is not None:
            self._wake("break", now + life[0], partial(self._break, "disconnects", reset=life[1]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio names it
        """Forget everything that was on its way."""
        for timer in self._timers.values():
            timer.cancel()
        self._let_go()
        if not self.closed.done():
            self.closed.set_result(None)
        if self._transport is not None:
            self._transport = None
            self.service.opened.discard(self)
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
                self._inbox.append((self._path.arrival(now, len(packet.data)), now, packet))
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
            self.service.counters.short_keys += done.key.key[0] == 0
            now = time.time()
            until, expires = self.service.salts.until(now), inf if done.lives is None else now + done.lives
            client = Client(done.key, self.dc.id, first_salt=done.salt, first_until=until, expires=expires)
            self.service.keys.add(client)
        if reply:
            head = struct.pack("<qqi", 0, self.service.next_id(answer=True), len(reply))
            self.send(Outgoing(None, (head, reply)))

    # out

    def send(self, message: Outgoing, shared: Link | None = None) -> None:
        """Send a message: it passes the links now, and is written when it has arrived.

        Where this connection is closed, another one of the session sends it.
        """
        if self._transport is None:
            self._hand_over(message)
            return
        size = message.size
        if message.session is not None:
            size = wire_size(size)
        now = self._loop.time()
        start, message.left = self._path.departure(now, size, shared)
        if self._path.line is not None and (self._leaving or start > now):
            message.due = math.inf
            self._leaving.append((start, size, message))
            if len(self._leaving) == 1:
                self._wake("leave", start, self._leave)
        else:
            message.due = self._path.delivery(start, message.left, size)
        self._outbox.append(message)
        if not self._busy:
            self._flush()

    def _leave(self) -> None:
        """Hand what leaves now to the client's line."""
        while self._leaving and self._leaving[0][0] <= self._loop.time():
            start, size, message = self._leaving.popleft()
            message.due = self._path.delivery(start, message.left, size)
        if self._leaving:
            self._wake("leave", self._leaving[0][0], self._leave)
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
        session.connection, session.left = self, math.inf
        self._sessions.add(session)
        if is_back:
            shared = self.service.shared_link(session.holder)
            for message in session.backlog():
                self.send(message, shared)

    def _let_go(self) -> None:
        """Hand what was not sent to the sessions, which may come back on another connection; forget the rest."""
        for session in self._sessions:
            if session.connection is self:
                session.connection, session.left = None, time.time()
        self._sessions.clear()
        self._inbox.clear()
        self._leaving.clear()
        unsent = list(self._outbox)
        self._outbox.clear()
        for message in unsent:
            self._hand_over(message)

    def _hand_over(self, message: Outgoing) -> None:
        """Have a message sent by whatever connection its session speaks on now, or will."""
        if message.session is None or message.resent:
            return  # a message that was sent before is kept by its session
        other = message.session.connection
        if other is None or other is self:
            message.session.park(message)
        else:
            other.send(message, self.service.shared_link(message.session.holder))

    def close_after(self, seconds: float) -> None:
        """Close the connection unless this is called again within so many seconds."""
        self._wake("idle", self._loop.time() + seconds, self.close)

    def drop(self) -> None:
        """Close the connection of a client that does not speak this protocol."""
        self.service.counters.bad_packets += 1
        self.close()

    def await_outage(self) -> None:
        """Note when the data centre goes away next, if it does in this run."""
        began, now = self.service.run.began, self._loop.time()
        for outage in self.service.world.scenario.faults.outages:
            if outage.dc == self.dc.id and began is not None and began + outage.at >= now:
                self._wake("outage", began + outage.at, self._go_away)
                return

    def _go_away(self) -> None:
        if self.service.outage(self.dc.id, self._loop.time()) is not None:  # none in a run that has been reset
            self._break("outages", reset=False)

    def _break(self, kind: str, *, reset: bool) -> None:
        """Close the connection in mid-stream: reset, or as if the server had ended it."""
        if self._transport is None:
            return
        self.service.mishaps.counted[kind] += 1
        if reset:
            no_lingering = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
        self.abort()

    def abort(self) -> None:
        """Close the connection at once, whatever was still to be written."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection after what is already written."""
        self._let_go()
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        while self._outbox and self._transport is not None and not self._full:
            now = self._loop.time()
            if (due := self._outbox[0].due) > now:
                if due < math.inf:
                    self._wake("out", due, self._flush)
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
