"""What all connections of a lab share: the world, keys, sessions, links, buckets and counters."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from tobs.lab.content import Content
from tobs.lab.counters import Counters
from tobs.lab.draws import Draws
from tobs.lab.feed import Feed
from tobs.lab.floods import FloodBucket, PremiumWait
from tobs.lab.login_tokens import LoginTokens
from tobs.lab.mishaps import Mishaps
from tobs.lab.network import Link, Run, Steps
from tobs.lab.outgoing import Outgoing
from tobs.lab.parts import PartLog
from tobs.lab.references import References
from tobs.lab.salts import Salts
from tobs.lab.selection import Selections
from tobs.lab.session import TOO_OLD, Held, Session
from tobs.lab.takeout import Takeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tobs.lab.connection import Connection
    from tobs.lab.faults import Outage
    from tobs.lab.keys import Client, KeyStore
    from tobs.lab.logins import Logins
    from tobs.lab.scenario import DataCentre
    from tobs.lab.world import World

MAX_SESSIONS = 4096
FORGOTTEN_AFTER = TOO_OLD + 30.0
"""Seconds after which a session without a connection is forgotten: no message that it knows would be accepted again."""

LOOKED_AT = 8
"""Sessions that were silent longest, of which those that may be forgotten are, whenever one is made."""

MOST_HELD_BYTES = 64 << 20
"""Bytes of unacknowledged answers in all sessions; past it, those that were silent longest lose theirs."""


@dataclass(slots=True)
class Service:
    """The shared state of a running lab; everything happens on one event loop."""

    world: World
    keys: KeyStore
    host: str
    logins: Logins
    content: Content = field(init=False)
    login_tokens: LoginTokens = field(default_factory=LoginTokens)
    counters: Counters = field(default_factory=Counters)
    sessions: OrderedDict[tuple[int, bytes, int], Session] = field(default_factory=OrderedDict)
    links: dict[tuple[int, int], Link] = field(default_factory=dict)
    buckets: dict[tuple[int, str], FloodBucket] = field(default_factory=dict)
    premium_waits: dict[int, PremiumWait] = field(default_factory=dict)
    opened: set[Connection] = field(default_factory=set)
    open_connections: dict[int, int] = field(default_factory=dict)
    accepted: dict[int, int] = field(default_factory=dict)
    run: Run = field(default_factory=Run)
    mishaps: Mishaps = field(init=False)
    references: References = field(init=False)
    line: Link | None = field(init=False)
    up: Link | None = field(init=False)
    limits_accounts: bool = field(init=False)
    selections: Selections = field(default_factory=Selections)
    block_hashes: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)
    held: Held = field(default_factory=Held)
    parts: PartLog = field(default_factory=PartLog)
    salts: Salts = field(init=False)
    takeouts: Takeouts = field(init=False)
    feed: Feed = field(init=False)
    _last_id: int = 0
    _hashed: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scenario = self.world.scenario
        self.mishaps = Mishaps(scenario.faults, scenario.seed)
        self.references = References(scenario.faults.reference_life)
        self.content = Content(self.world, self.references)
        self.line = self._link("down_rate")
        self.limits_accounts = self._link("account_rate") is not None
        self.up = None if scenario.network.up_rate is None else Link(scenario.network.up_rate)
        self.salts = Salts(scenario.faults.salt_life, self.keys.started)
        self.takeouts = Takeouts(scenario.limits.takeout.delay)
        self.feed = Feed(self)

    def _link(self, name: str) -> Link | None:
        """A link with one of the network's rates and what becomes of it in mid-run; None: always unlimited."""
        network = self.world.scenario.network
        rate = getattr(network, name)
        steps: Steps = tuple((c.at, to) for c in network.changes if (to := getattr(c, name)) is not None)
        return None if rate is None and not steps else Link(rate, steps, self.run)

    def begin(self, now: float) -> None:
        """The run's first connection is accepted now; those of an earlier run may still be open."""
        self.run.began = self.counters.first_accept = now
        for connection in self.opened:
            connection.await_outage()

    def outage(self, dc: int, now: float) -> Outage | None:
        """The outage of a data centre that holds at this moment."""
        began = self.run.began
        if began is None:
            return None
        outages = self.world.scenario.faults.outages
        return next((o for o in outages if o.dc == dc and 0 <= now - began - o.at < o.seconds), None)

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
        silent = time.time() - FORGOTTEN_AFTER
        for old in list(islice(self.sessions, LOOKED_AT)):
            if self.sessions[old].left < silent:
                self.sessions.pop(old).end()
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
            if session.listens and session.connection is not None and concerns(session.holder):
                session.connection.send(Outgoing(session, (update,)), self.shared_link(session.holder))

    def next_id(self, *, answer: bool) -> int:
        """A message id of the server: rising, 1 modulo 4 for answers and 3 for what it says unasked."""
        self._last_id = max(self._last_id + 4, int(time.time() * 2**32) & ~3)
        return self._last_id + (1 if answer else 3)

    def shared_link(self, client: Client) -> Link | None:
        """The downstream link of the account behind a key to its data centre; None: unlimited."""
        if client.user_id is None or not self.limits_accounts:
            return None
        key = (client.user_id, client.dc)
        link = self.links.get(key)
        if link is None and (link := self._link("account_rate")) is not None:
            self.links[key] = link
        return link

    def own_link(self) -> Link:
        """The downstream link of a new connection."""
        return self._link("connection_rate") or Link(None)

    def bucket(self, client: Client, limit: str) -> FloodBucket | None:
        """The request bucket of an account for one of `Limits`' fields; None when that is off."""
        limits = getattr(self.world.scenario.limits, limit)
        if client.user_id is None or limits is None:
            return None
        key = (client.user_id, limit)
        if key not in self.buckets:
            random = Random(f"{self.world.scenario.seed}:{limit}:{client.user_id}")
            self.buckets[key] = FloodBucket(limits, random)
        return self.buckets[key]

    def premium_wait(self, client: Client) -> PremiumWait | None:
        """The FLOOD_PREMIUM_WAIT of an account; None when that is off."""
        premium = self.world.scenario.limits.premium
        if client.user_id is None or premium is None:
            return None
        found = self.premium_waits.get(client.user_id)
        if found is None:
            random = Random(f"{self.world.scenario.seed}:premium:{client.user_id}")
            found = self.premium_waits[client.user_id] = PremiumWait(premium.after, premium.wait, random)
        return found

    def has_hashes(self, file_id: int) -> bool:
        """Whether `upload.getFileHashes` knows the blocks of this file."""
        share = self.world.scenario.limits.file_hashes
        if share >= 1:
            return True
        found = self._hashed.get(file_id)
        if found is None:
            found = self._hashed[file_id] = Draws(self.world.scenario.seed, "file hashes", file_id).chance(share)
        return found

    def read_counters(self) -> dict[str, object]:
        """All totals as plain JSON values."""
        waits = [*self.buckets.values(), *self.premium_waits.values()]
        return self.counters.read() | {
            "floods": sum(wait.floods for wait in waits),
            "requests_during_flood": sum(wait.during for wait in waits),
            "faults": dict(self.mishaps.counted),
            "changes_made": self.feed.made,
            "changes_left": self.feed.left,
            "connections_open": len(self.opened),
        }

    def reset_counters(self) -> None:
        """Begin to count anew, and another run with the next connection; buckets, sessions and links stay."""
        self.counters = Counters()
        self.run.began = None
        self.accepted.clear()
        self.mishaps.restart()
        for wait in (*self.buckets.values(), *self.premium_waits.values()):
            wait.floods = wait.during = 0
