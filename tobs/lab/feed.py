"""Changes as they are made: numbered, kept for those who missed them, and told to those who listen.

Source: https://core.telegram.org/api/updates. Each channel is a box with a `pts` of its own, private chats and basic
groups share that of the account; every change raises it by one.
"""

from __future__ import annotations

import struct
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from telethon.tl import types

from tobs.lab.changes import DELETED, EDITED, NEW, Change
from tobs.lab.content import CHANNEL_BASE
from tobs.lab.live import LiveHistory
from tobs.lab.tl import vector

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from tobs.lab.keys import Client
    from tobs.lab.service import Service

ACCOUNT = 0
"""The box of all chats that are no channels, where channels have theirs under their marked id."""

SEQ = 1
_CONSTRUCTORS = {
    (NEW, True): types.UpdateNewChannelMessage.CONSTRUCTOR_ID,
    (EDITED, True): types.UpdateEditChannelMessage.CONSTRUCTOR_ID,
    (NEW, False): types.UpdateNewMessage.CONSTRUCTOR_ID,
    (EDITED, False): types.UpdateEditMessage.CONSTRUCTOR_ID,
}


@dataclass(frozen=True, slots=True)
class Logged:
    """A change that was made: the box's `pts` after it, and when (Unix)."""

    pts: int
    at: float
    change: Change


@dataclass(frozen=True, slots=True)
class Difference:
    """What one was not told: serialized messages and other updates, and the bare ids of whom they name."""

    messages: list[bytes]
    others: list[bytes]
    users: set[int]
    chats: set[int]


class Feed:
    """The changes of a lab's world, in the order of their plan."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting = list(service.world.changes)[::-1]
        self._log: dict[int, list[Logged]] = defaultdict(list)
        self._began: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.made = 0

    @property
    def left(self) -> int:
        """Changes that were not made yet."""
        return len(self._waiting)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count the time from now on, if it does not run yet."""
        if self._began is None and self._waiting:
            self._began = loop.time()
            self._wait(loop, self._began)

    def end(self) -> None:
        """Make no further changes by the clock."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, loop: asyncio.AbstractEventLoop, began: float) -> None:
        while self._waiting and began + self._waiting[-1].at <= loop.time():
            self.step()
        if self._waiting:
            self._timer = loop.call_at(began + self._waiting[-1].at, self._wait, loop, began)

    def step(self) -> bool:
        """Make the next change and tell of it: whether there was one left."""
        if not self._waiting:
            return False
        change = self._waiting.pop()
        history = self._service.world.histories[change.peer_id]
        assert isinstance(history, LiveHistory)
        history.apply(change)
        self.made += 1
        box = change.peer_id if history.kind == "channel" else ACCOUNT
        logged = Logged(self.pts(box) + 1, time.time(), change)
        self._log[box].append(logged)
        self._tell(logged)
        return True

    def pts(self, box: int) -> int:
        """The state of a box: 1 and the number of its changes."""
        return 1 + len(self._log[box])

    def state(self) -> types.updates.State:
        """The state of the account's updates."""
        return types.updates.State(self.pts(ACCOUNT), 0, datetime.now(UTC), SEQ, 0)

    def changed_since(self, when: datetime) -> list[int]:
        """The channels (marked) in which something changed at this second or later."""
        return [box for box, log in self._log.items() if box != ACCOUNT and log and log[-1].at >= when.timestamp()]

    def difference(self, box: int, pts: int, most: int) -> tuple[Difference, int]:
        """At most so many changes after `pts` in a box, and the `pts` after them.

        A message stands there as it is now; what is gone by now does not.
        """
        part = self._log[box][pts - 1 : pts - 1 + most]
        found = Difference([], [], set(), set())
        for logged in part:
            change = logged.change
            history = self._service.world.histories[change.peer_id]
            if change.kind != DELETED:
                if not history.has(change.id):
                    continue
                now = history.get([change.id])
                found.users.update(now.user_ids)
                found.chats.update(now.chat_ids)
                if change.kind == NEW:
                    found.messages.append(now.messages[0])
                    continue
                found.others.append(_update(logged, now.messages[0]))
            else:
                found.others.append(_update(logged, b""))
        return found, pts + len(part)

    def _tell(self, logged: Logged) -> None:
        change, content, world = logged.change, self._service.content, self._service.world
        entry = change.entry
        body = (
            struct.pack("<I", types.Updates.CONSTRUCTOR_ID),
            vector([_update(logged, entry.data if entry else b"")]),
            content.users(entry.users if entry else ()),
            content.chats(entry.chats if entry else ()),
            struct.pack("<ii", int(logged.at), 0),
        )
        me, home = world.me.id, world.scenario.network.home

        def concerns(client: Client) -> bool:
            return client.user_id == me and client.dc == home

        self._service.push(concerns, b"".join(self._service.references.stamp(body)))


def _update(logged: Logged, message: bytes) -> bytes:
    """The update of a change: a message as it is, or the id of one that is gone."""
    change = logged.change
    channel = change.peer_id < -CHANNEL_BASE
    if change.kind != DELETED:
        return b"".join(
            (struct.pack("<I", _CONSTRUCTORS[change.kind, channel]), message, struct.pack("<ii", logged.pts, 1))
        )
    if channel:
        return bytes(types.UpdateDeleteChannelMessages(-change.peer_id - CHANNEL_BASE, [change.id], logged.pts, 1))
    return bytes(types.UpdateDeleteMessages([change.id], logged.pts, 1))


def too_long(channels: Iterable[tuple[int, int]]) -> list[bytes]:
    """`updateChannelTooLong` for each of these channels, given as bare id and `pts`."""
    return [bytes(types.UpdateChannelTooLong(channel, pts)) for channel, pts in channels]
