"""What all connections of a lab share: the world, keys, sessions, links, buckets and counters."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

from tobs.lab.counters import Counters
from tobs.lab.feed import Feed
from tobs.lab.floods import FloodBucket
from tobs.lab.login_tokens import LoginTokens
from tobs.lab.network import Link
from tobs.lab.outgoing import Outgoing
from tobs.lab.salts import Salts
from tobs.lab.session import Held, Session
from tobs.lab.takeout import Takeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tobs.lab.content import Content
    from tobs.lab.keys import Client, KeyStore
    from tobs.lab.logins import Logins
    from tobs.lab.scenario import DataCentre
    from tobs.lab.world import World

MAX_SESSIONS = 4096
MOST_HELD_BYTES = 64 << 20
"""Bytes of unacknowledged answers in all sessions; past it, those that were silent longest lose theirs."""
IN_TAKEOUT = frozenset({"history", "file"})
"""The limits that are others inside a takeout session."""


@dataclass(slots=True)
class Service:
    """The shared state of a running lab; everything happens on one event loop."""

    world: World
    keys: KeyStore
    host: str
    logins: Logins
    content: Content
    login_tokens: LoginTokens = field(default_factory=LoginTokens)
    counters: Counters = field(default_factory=Counters)
    sessions: OrderedDict[tuple[int, bytes, int], Session] = field(default_factory=OrderedDict)
    links: dict[tuple[int, int], Link] = field(default_factory=dict)
    buckets: dict[tuple[int, str], FloodBucket] = field(default_factory=dict)
    open_connections: dict[int, int] = field(default_factory=dict)
    accepted: int = 0
    block_hashes: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)
    held: Held = field(default_factory=Held)
    salts: Salts = field(init=False)
    takeouts: Takeouts = field(init=False)
    feed: Feed = field(init=False)
    _last_id: int = 0

    def __post_init__(self) -> None:
        self.salts = Salts(self.world.scenario.faults.salt_life, self.keys.started)
        self.takeouts = Takeouts(self.world.scenario.limits.takeout.delay)
        self.feed = Feed(self)

    def data_centre(self, dc: int) -> DataCentre | None:
        """The data centre with this number, or None."""
        return next((d for d in self.world.scenario.network.dcs if d.id == dc), None)

    def session(self, client: Client, session_id: int) -> tuple[Session, bool]:
        """The session of this number, and whether it had to be made."""
        key = (client.dc, client.key.id, session_id)
        found = self.sessions.get(key)
        if found is not None:
            self.sessions.move_to_end(key)
            return found, False
        made = self.sessions[key] = Session(client, session_id, self.held)
        if len(self.sessions) > MAX_SESSIONS:
            self.sessions.popitem(last=False)[1].end()
        return made, True

    def end_session(self, client: Client, session_id: int) -> bool:
        """Forget a session: whether there was one."""
        ended = self.sessions.pop((client.dc, client.key.id, session_id), None)
        if ended is not None:
            ended.end()
        return ended is not None

    def limit_held(self) -> None:
        """Let the sessions that were silent longest forget their answers, until all together hold few enough."""
        for session in self.sessions.values():
            if self.held.total <= MOST_HELD_BYTES:
                return
            if session.held:
                session.let_go()

    def salt(self, client: Client) -> int:
        """The salt that holds for a key now."""
        return self.salts.current(client, time.time())

    def end_logins(self, logins: Iterable[int], error: str | None) -> None:
        """End logins with all that hangs on them; `error` is what their keys answer then, None: as unknown ones."""
        for login in logins:
            self.keys.end(login, error)
            self.logins.forget(login)
            self.takeouts.end_login(login)
        self.keys.save()

    def push(self, concerns: Callable[[Client], bool], update: bytes) -> None:
        """Send `Updates`, serialized, to every session of the keys it concerns that listens to updates."""
        for session in self.sessions.values():
            if session.listens and session.connection is not None and concerns(session.client):
                session.connection.send(Outgoing(session, (update,)), self.shared_link(session.client))

    def next_id(self, *, answer: bool) -> int:
        """A message id of the server: rising, 1 modulo 4 for answers and 3 for what it says unasked."""
        self._last_id = max(self._last_id + 4, int(time.time() * 2**32) & ~3)
        return self._last_id + (1 if answer else 3)

    def shared_link(self, client: Client) -> Link | None:
        """The downstream link of the account behind a key to its data centre; None: unlimited."""
        rate = self.world.scenario.network.account_rate
        if client.user_id is None or rate is None:
            return None
        key = (client.user_id, client.dc)
        if key not in self.links:
            self.links[key] = Link(rate)
        return self.links[key]

    def bucket(self, client: Client, limit: str, *, takeout: bool = False) -> FloodBucket | None:
        """The request bucket of an account for one of `Limits`' fields; None when that is off.

        A takeout session has its own for history and files, as much larger as the scenario says.
        """
        limits = getattr(self.world.scenario.limits, limit)
        if client.user_id is None or limits is None:
            return None
        name = f"takeout {limit}" if takeout and limit in IN_TAKEOUT else limit
        key = (client.user_id, name)
        if key not in self.buckets:
            if name != limit:
                factor = self.world.scenario.limits.takeout.factor
                limits = replace(limits, burst=max(1, round(limits.burst * factor)), refill=limits.refill * factor)
            random = Random(f"{self.world.scenario.seed}:{name}:{client.user_id}")
            self.buckets[key] = FloodBucket(limits, random)
        return self.buckets[key]

    def read_counters(self) -> dict[str, object]:
        """All totals as plain JSON values."""
        return self.counters.read() | {
            "floods": sum(b.floods for b in self.buckets.values()),
            "requests_during_flood": sum(b.during for b in self.buckets.values()),
            "changes_made": self.feed.made,
            "changes_left": self.feed.left,
        }

    def reset_counters(self) -> None:
        """Begin to count anew; buckets, sessions and links stay as they are."""
        self.counters = Counters()
        for bucket in self.buckets.values():
            bucket.floods = bucket.during = 0
