"""One session of a client: what came of it, in which order, and which answers it has not acknowledged.

Source: https://core.telegram.org/mtproto/description (message ids and sequence numbers) and
https://core.telegram.org/mtproto/service_messages_about_messages.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.lab.connection import Connection
    from tobs.lab.keys import Client
    from tobs.lab.outgoing import Outgoing

TOO_OLD, TOO_NEW = 300, 30
"""Seconds by which a message id may be behind and ahead of the clock of whoever reads it."""

MOST_SEEN = 16_384
"""Message ids of a client that a session remembers; then the older half is forgotten, and refused from then on."""

MOST_KEPT = 8_192
MOST_KEPT_BYTES = 8 << 20
"""Answers of a session that wait for their acknowledgement, and bytes of them; the oldest are forgotten first."""

UNKNOWN, MISSED, AHEAD, RECEIVED = 1, 2, 3, 4
ACKNOWLEDGED, IRRELEVANT, RUNNING, ANSWERED, CERTAIN = 8, 16, 32, 64, 128
"""States of a message in `msgs_state_info`; those of the second line are added to RECEIVED."""

TOO_LATE, LOW_SEQUENCE, HIGH_SEQUENCE = 20, 32, 33
"""Codes of `bad_msg_notification`."""


@dataclass(slots=True)
class Held:
    """Bytes of all answers that the sessions of a lab hold."""

    total: int = 0


class Session:
    """One session of one key.

    `connection` is the one it spoke on last, None when that is closed, as it was at `left` (Unix time; else infinite).
    `listens`: it hears of updates, since something was asked on it that did not decline them.
    """

    __slots__ = (
        "_by_request",
        "_floor",
        "_held",
        "_kept",
        "_parked",
        "_seen",
        "_top",
        "announced",
        "client",
        "connection",
        "ended",
        "held",
        "id",
        "left",
        "listens",
        "sequence",
    )

    def __init__(self, client: Client, session_id: int, held: Held) -> None:
        self.client = client
        self.id = session_id
        self.sequence = 0
        self.announced = self.ended = self.listens = False
        self.connection: Connection | None = None
        self.left = math.inf
        self.held = 0
        self._held = held
        self._seen: dict[int, int] = {}
        self._floor = int(time.time() - TOO_OLD) << 32
        self._top = (0, 0)
        self._kept: dict[int, Outgoing] = {}
        self._by_request: dict[int, int] = {}
        self._parked: list[Outgoing] = []

    @property
    def holder(self) -> Client:
        """Whoever asks in this session: the permanent key behind a temporary one."""
        return self.client.bound or self.client

    # what the client sends

    def has(self, msg_id: int) -> bool:
        """Whether a message with this id was received."""
        return msg_id in self._seen

    def refuses(self, msg_id: int, sequence: int) -> int:
        """The code of `bad_msg_notification` for a message that did not come before; 0 when it is fine.

        A sequence number has to fit the message with the highest id so far; whether it fits all the others is
        not looked at.
        """
        if msg_id < self._floor:
            return TOO_LATE
        top_id, top = self._top
        if msg_id > top_id:
            return LOW_SEQUENCE if sequence < top or (sequence == top and sequence & 1) else 0
        return HIGH_SEQUENCE if sequence > top or (sequence == top and sequence & 1) else 0

    def note(self, msg_id: int, sequence: int, state: int) -> None:
        """Remember a message that is accepted: what it says counts once."""
        self._seen[msg_id] = RECEIVED | state
        if msg_id > self._top[0]:
            self._top = msg_id, sequence
        if len(self._seen) > MOST_SEEN:
            ids = sorted(self._seen)
            self._floor = max(self._floor, ids[MOST_SEEN // 2])
            self._seen = {n: self._seen[n] for n in ids[MOST_SEEN // 2 :]}

    def state(self, msg_id: int) -> int:
        """The state of a message as `msgs_state_info` has it."""
        known = self._seen.get(msg_id)
        if known is not None:
            return known
        if msg_id in self._kept:
            return RECEIVED
        if msg_id & 1 or msg_id < self._floor:
            return UNKNOWN
        return AHEAD if msg_id > self._top[0] else MISSED

    # what the server sends

    def number(self, message: Outgoing, msg_id: int) -> None:
        """Give a message its id and sequence number, odd when it has to be acknowledged; then it is kept for that."""
        message.msg_id = msg_id
        message.sequence = 2 * self.sequence + message.content
        if not message.content:
            return
        self.sequence += 1
        if self.ended:
            return
        self._kept[msg_id] = message
        if message.answers:
            self._by_request[message.answers] = msg_id
            if message.answers in self._seen:
                self._seen[message.answers] |= ACKNOWLEDGED | ANSWERED
        self._hold(message.size)
        while self._kept and (self.held > MOST_KEPT_BYTES or len(self._kept) > MOST_KEPT):
            self._forget(next(iter(self._kept)))

    def _hold(self, size: int) -> None:
        self.held += size
        self._held.total += size

    def _forget(self, msg_id: int) -> Outgoing | None:
        message = self._kept.pop(msg_id, None)
        if message is not None:
            self._by_request.pop(message.answers, None)
            self._hold(-message.size)
        return message

    def acknowledge(self, msg_id: int) -> None:
        """The client has got this message of the server."""
        message = self._forget(msg_id)
        if message is None:
            return
        if message.answers in self._seen:
            self._seen[message.answers] |= CERTAIN
        if message.acknowledged is not None:
            message.acknowledged()

    def sent(self, msg_id: int) -> Outgoing | None:
        """A message of the server that is not acknowledged yet, by its id, to be sent again; None: forgotten."""
        message = self._kept.get(msg_id)
        return None if message is None else replace(message, resent=True)

    def answer(self, request: int) -> Outgoing | None:
        """The answer to a request, by the request's id: as `sent`."""
        return self.sent(self._by_request.get(request, 0))

    def drop(self, request: int) -> Outgoing | None:
        """Forget the answer to a request: that answer, None when there is none."""
        for message in self._parked:
            if message.answers == request:
                self._parked.remove(message)
                self._hold(-message.size)
                return message
        return self._forget(self._by_request.get(request, 0))

    def park(self, message: Outgoing) -> None:
        """Keep a message that its connection did not live to send, unless too much is kept already."""
        if message.content and not self.ended and self.held + message.size <= MOST_KEPT_BYTES:
            self._parked.append(message)
            self._hold(message.size)

    def backlog(self) -> list[Outgoing]:
        """What a client that comes back has to get: all that it did not acknowledge, then what was never sent.

        A client does not accept message ids that are too old, so these are forgotten.
        """
        oldest = int(time.time() - TOO_OLD) << 32
        for msg_id in [n for n in self._kept if n < oldest]:
            self._forget(msg_id)
        again = [replace(message, resent=True) for message in self._kept.values()]
        parked, self._parked = self._parked, []
        self._hold(-sum(message.size for message in parked))
        return again + parked

    def let_go(self) -> None:
        """Forget everything that the client did not acknowledge."""
        self._kept.clear()
        self._by_request.clear()
        self._parked.clear()
        self._hold(-self.held)

    def end(self) -> None:
        """Forget everything, and keep nothing any more."""
        self.let_go()
        self.ended = True
