"""One data centre: its connections, what each of them carries and brings, and how much more it takes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from tobs.api import Traffic

if TYPE_CHECKING:
    import asyncio

    from tobs.api import Sender
    from tobs_adaptive_connections.climb import Climb
    from tobs_adaptive_connections.deadline import Deadlines

FIRST = 2
"""Requests in flight on a connection while no rate is known."""
GAIN = 2.0
"""Round trips' worth of bytes that may wait behind the answer that is on its way: jitter is half a round trip."""
CARELESS, LEAST = 1.0, 0.25
"""The share of it that is used, and what is left of it when requests are lost."""
RECOVERED = 0.02
"""What an answer gives back of that share."""
LOSSES = 4.0
"""Losses, a twentieth taken off for each answer, that cost connections."""
SILENT = 3
"""Deadlines in a row after which a connection counts as dead."""
CERTAIN = 0.8
"""How much of the time that bytes take by the fastest rate seen is taken off an answer's time."""
HISTORY = 64 * 1024
"""Bytes that a history request counts as where connections are compared."""


@dataclass(slots=True)
class Flight:
    """A request on its way: `limit` bytes of `method` at `sent`; what its connection had brought until `since`."""

    method: str
    limit: int
    sent: float
    media: bool
    brought: int
    since: float


@dataclass(slots=True)
class Shortest:
    """The shortest of the answers of about one size: its seconds and bytes."""

    seconds: float = inf
    size: int = 0


@dataclass(slots=True, eq=False)
class Place:
    """A connection. `flying` has the bytes asked for by flight, oldest first; `rate` is bytes a second."""

    sender: Sender
    leases: dict[Traffic, int] = field(default_factory=lambda: dict.fromkeys(Traffic, 0))
    flying: dict[int, Flight] = field(default_factory=dict)
    asked: int = 0
    brought: int = 0
    brought_at: float = 0.0
    rate: float | None = None
    silent: int = 0
    broken: bool = False

    @property
    def busy(self) -> int:
        """Requests that it was lent for."""
        return self.leases[Traffic.HISTORY] + self.leases[Traffic.MEDIA]


@dataclass(slots=True)
class Centre:
    """One data centre's connections and those who wait for one. The first `climb.target` places serve media.

    `most` is requests in flight a connection at most. `mean` is the bytes that a request asks for, `shortest` goes by
    the number of bits of an answer's size, `trip` is the round trip that follows from it. `rate` is what a connection
    brings, `fastest` the most that one ever did. `refused` is when more connections than the climb's ceiling may be
    tried again.
    """

    dc: int
    climb: Climb
    most: int
    deadlines: Deadlines
    places: list[Place] = field(default_factory=list)
    opening: set[asyncio.Task[None]] = field(default_factory=set)
    closing: set[asyncio.Task[None]] = field(default_factory=set)
    waiting: dict[Traffic, deque[asyncio.Future[Place]]] = field(
        default_factory=lambda: {Traffic.HISTORY: deque(), Traffic.MEDIA: deque()}
    )
    mean: float = 0.0
    shortest: dict[int, Shortest] = field(default_factory=dict)
    trip: float = 0.0
    rate: float = 0.0
    fastest: float = 0.0
    share: float = CARELESS
    losses: float = 0.0
    cut: float = -inf
    dropped: float = -inf
    refused: float = 0.0
    refusals: int = 0
    numbers: count[int] = field(default_factory=count)

    def waits(self, traffic: Traffic) -> bool:
        """Whether somebody waits for a place."""
        queue = self.waiting[traffic]
        while queue and queue[0].done():
            queue.popleft()
        return bool(queue)

    def alive(self) -> list[Place]:
        """Connections that are open; those that are not are forgotten."""
        if any(place.sender.closed for place in self.places):
            self.places = [place for place in self.places if not place.sender.closed]
        return self.places

    def works(self) -> bool:
        """Whether media are asked for here."""
        return any(place.leases[Traffic.MEDIA] for place in self.places)

    def used(self) -> list[Place]:
        """Connections that media are asked on."""
        return self.alive()[: self.climb.target]

    def load(self, place: Place) -> float:
        """Bytes that a connection still has to bring."""
        unknown = place.leases[Traffic.MEDIA] - len(place.flying)
        return place.asked + max(0, unknown) * self.mean + HISTORY * place.leases[Traffic.HISTORY]

    def takes(self, place: Place) -> bool:
        """Whether one more media request on this connection would keep it busy and not merely wait there."""
        many = place.leases[Traffic.MEDIA]
        if many == 0:
            return True
        if many >= self.most:
            return False
        if not self.rate:
            return many < FIRST
        head = next((flight.limit for flight in place.flying.values()), self.mean)
        behind = place.asked + max(0, many - len(place.flying)) * self.mean - head
        return behind <= self._ahead(place.rate or self.rate)

    def room(self) -> int:
        """Media requests that all connections take, and half as many again: answers may be smaller than the mean."""
        each = FIRST
        if self.rate and self.mean:
            each = 2 + int(self._ahead(self.rate) / self.mean)
        room = min(each, self.most) * (self.climb.ceiling if self.climb.young else self.climb.target)
        return room + max(4, room // 2)

    def _ahead(self, rate: float) -> float:
        """Bytes that may wait behind the answer that is on its way."""
        return GAIN * self.trip * rate * self.share

    def sent(self, place: Place, method: str, limit: int, now: float, *, media: bool) -> int:
        """A request leaves; the number of its flight."""
        if media:
            self.mean = limit if not self.mean else self.mean + 0.1 * (limit - self.mean)
            if not place.flying:
                place.brought_at = now
            place.asked += limit
        flight = Flight(method, limit, now, media, place.brought, place.brought_at)
        number = next(self.numbers)
        if media:
            place.flying[number] = flight
        return number

    def expected(self, place: Place, limit: int) -> float:
        """Seconds until the answer to one more request of `limit` bytes should be here."""
        rate = place.rate or self.rate
        return self.trip + (max(place.asked, limit) / rate if rate else 0.0)

    def left(self, place: Place, number: int) -> Flight | None:
        """A media request is on its way no more, in whatever way."""
        flight = place.flying.pop(number, None)
        if flight is not None:
            place.asked -= flight.limit
        return flight

    def came(self, place: Place, flight: Flight, size: int, now: float) -> None:
        """The answer to a media request is here."""
        seconds = now - flight.sent
        place.brought += size
        sample = (place.brought - flight.brought) / max(now - flight.since, 1e-6)
        place.brought_at = now
        self.fastest = max(self.fastest, sample)
        if place.rate is None:
            place.rate = sample
        elif sample > place.rate or self.waits(Traffic.MEDIA):  # where nobody waits it shows the work, not the link
            place.rate += 0.3 * (sample - place.rate)
        shortest = self.shortest.setdefault(size.bit_length(), Shortest())
        if seconds < shortest.seconds:
            shortest.seconds, shortest.size = seconds, size
        used = self.used()
        known = [one.rate for one in used if one.rate is not None]
        self.rate = sum(known) / len(known) if known else sample
        self.trip = self._trip()
        self.share = min(CARELESS, self.share + RECOVERED)
        self.climb.came(
            size,
            flight.sent,
            now,
            opened=len(used),
            settled=not any(one.leases[Traffic.MEDIA] for one in self.places[self.climb.target :]),
            fastest=self.fastest,
            trip=self.trip,
        )

    def _trip(self) -> float:
        """The shortest time of answers of any size, less most of the time that their bytes take."""
        return max(0.0, min(known.seconds - CERTAIN * known.size / self.fastest for known in self.shortest.values()))

    def answered(self, place: Place, method: str, seconds: float) -> None:
        """Something came on this connection."""
        place.silent = 0
        self.losses = max(0.0, self.losses - 1 / 20)
        self.deadlines.came(method, seconds)

    def lost(self, place: Place, sent: float, now: float) -> bool:
        """No answer came in time to a request of the moment `sent`, or its connection broke; True: it is to be closed.

        A connection that broke counts once, and what was on its way at the last cut leads to no other.
        """
        if place.broken:
            return False
        place.broken = place.sender.closed
        if not place.broken:
            place.silent += 1
            self.deadlines.fired()
        if sent >= self.cut:
            self.share = max(LEAST, self.share / 2)
            self.cut = now
        if sent >= self.dropped:
            self.losses += 1
        if self.losses >= LOSSES:
            self.losses = 0.0
            self.dropped = now
            self.climb.drop(now)
        return place.silent >= SILENT
