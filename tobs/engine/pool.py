"""The core pool: opens senders on demand up to its knobs, lends them out, history first.

The baseline uses one sender a data centre because it asks for one at a time; nothing here holds it back. A sender
is opened in the background while the open ones serve; when a data centre refuses more, the pool stays at what it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tobs.errors import LostError
from tobs.leases import Lease, fail_waiting
from tobs.values import Traffic

if TYPE_CHECKING:
    from tobs.ports import Call, Dial, Sender

log = logging.getLogger(__name__)
SLOWEST = 16_384
"""Bytes a second below which an answer counts as lost, beside the deadline itself."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Core knobs: connections a data centre, media requests a connection, history requests a data centre.

    `part` is the size of a media request in bytes, `deadline` the seconds an answer may take.
    """

    connections: int = 4
    in_flight: int = 2
    history_in_flight: int = 16
    part: int = 512 * 1024
    deadline: float = 30.0


@dataclass(slots=True)
class _Place:
    sender: Sender
    busy: dict[Traffic, int] = field(default_factory=lambda: {Traffic.HISTORY: 0, Traffic.MEDIA: 0})

    @property
    def load(self) -> int:
        return self.busy[Traffic.HISTORY] + self.busy[Traffic.MEDIA]


@dataclass(slots=True)
class _Centre:
    """One data centre's senders and those who wait for one."""

    dc: int
    ceiling: int
    places: list[_Place] = field(default_factory=list)
    opening: set[asyncio.Task[None]] = field(default_factory=set)
    waiting: dict[Traffic, deque[asyncio.Future[_Place]]] = field(
        default_factory=lambda: {Traffic.HISTORY: deque(), Traffic.MEDIA: deque()}
    )


class CorePool:
    """Senders by data centre. `home` is the data centre that None stands for."""

    def __init__(self, dial: Dial, limits: PoolLimits, home: int) -> None:
        self._dial = dial
        self.limits = limits
        self._home = home
        self._centres: dict[int, _Centre] = {}
        self._closed = False

    def lease(self, dc: int | None, traffic: Traffic) -> Lease[_Centre, _Place]:
        """Lend a sender; see `tobs.ports.Pool`."""
        return Lease(self, self._centre(dc), traffic)

    async def warm(self, dc: int, senders: int) -> None:
        """Open up to `senders` connections to `dc` and wait until they are there."""
        centre = self._centre(dc)
        while len(centre.places) + len(centre.opening) < min(senders, centre.ceiling):
            self._open(centre)
        if centre.opening:
            await asyncio.wait(set(centre.opening))

    def room(self, dc: int) -> int:
        """Media requests that all connections take at once: as many as there are or may still be opened."""
        return self._centre(dc).ceiling * self.limits.in_flight

    def part_size(self, dc: int, size: int) -> int:  # noqa: ARG002 - the port; the baseline has one size
        """The part knob, whatever the file."""
        return self.limits.part

    def deadline(self, call: Call) -> float:
        """The deadline knob, and the time that the slowest useful link takes for the answer."""
        return self.limits.deadline + call.limit / SLOWEST

    async def close(self) -> None:
        """Close every sender, also when cancelled meanwhile; whoever still waits fails."""
        closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing
            raise

    async def _close(self) -> None:
        self._closed = True
        for centre in self._centres.values():
            for task in centre.opening:
                task.cancel()
            await asyncio.gather(*centre.opening, return_exceptions=True)
            fail_waiting(centre.waiting.values(), LostError("the run is closing"))
            await asyncio.gather(*(place.sender.close() for place in centre.places), return_exceptions=True)

    def senders(self, dc: int | None = None) -> int:
        """Open connections to a data centre."""
        return len(self._centre(dc).places)

    def _centre(self, dc: int | None) -> _Centre:
        number = self._home if dc is None else dc
        centre = self._centres.get(number)
        if centre is None:
            centre = self._centres[number] = _Centre(number, self.limits.connections)
        return centre

    async def take(self, centre: _Centre, traffic: Traffic) -> _Place:
        """A place with room for one more request; opens another sender where all are busy."""
        if self._closed:
            raise LostError("the run is closing")
        place = self._free(centre, traffic)
        if place is not None:
            place.busy[traffic] += 1
            return place
        waiter: asyncio.Future[_Place] = asyncio.get_running_loop().create_future()
        centre.waiting[traffic].append(waiter)
        if not centre.places and not centre.opening:
            self._open(centre)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give(centre, waiter.result(), traffic)
            raise

    def give(self, centre: _Centre, place: _Place, traffic: Traffic) -> None:
        """Take a place back and serve who waits."""
        place.busy[traffic] -= 1
        self._serve(centre)

    def _serve(self, centre: _Centre) -> None:
        for traffic in (Traffic.HISTORY, Traffic.MEDIA):
            queue = centre.waiting[traffic]
            while queue:
                if queue[0].done():
                    queue.popleft()
                    continue
                place = self._free(centre, traffic)
                if place is None:
                    break
                place.busy[traffic] += 1
                queue.popleft().set_result(place)
        if any(centre.waiting.values()) and not centre.places and not centre.opening and not self._closed:
            self._open(centre)

    def _free(self, centre: _Centre, traffic: Traffic) -> _Place | None:
        centre.places = [place for place in centre.places if not place.sender.closed]
        if not centre.places:
            return None
        limits = self.limits
        if traffic is Traffic.HISTORY:
            # History keeps off a connection that media fill, while there can be another.
            best = min(centre.places, key=lambda place: (place.busy[Traffic.MEDIA], place.busy[Traffic.HISTORY]))
            if best.busy[Traffic.MEDIA]:
                self._grow(centre)
            asked = sum(place.busy[Traffic.HISTORY] for place in centre.places)
            return best if asked < limits.history_in_flight else None
        best = min(centre.places, key=lambda place: (place.busy[Traffic.MEDIA], place.busy[Traffic.HISTORY]))
        if best.load:
            self._grow(centre)
        return best if best.busy[Traffic.MEDIA] < limits.in_flight else None

    def _grow(self, centre: _Centre) -> None:
        if len(centre.places) + len(centre.opening) < centre.ceiling and not centre.opening:
            self._open(centre)

    def _open(self, centre: _Centre) -> None:
        task = asyncio.get_running_loop().create_task(self._opened(centre))
        centre.opening.add(task)

    async def _opened(self, centre: _Centre) -> None:
        task = asyncio.current_task()
        try:
            sender = await self._dial(centre.dc)
        except Exception as error:  # noqa: BLE001 - whoever waits must learn of it, a bug too
            self._forget(centre, task)
            alive = [place for place in centre.places if not place.sender.closed]
            if alive:
                centre.ceiling = len(alive)
                log.info("data centre %d takes no more than %d connections: %s", centre.dc, len(alive), error)
            elif not centre.opening:
                fail_waiting(centre.waiting.values(), error)
            return
        except BaseException:
            self._forget(centre, task)
            raise
        self._forget(centre, task)
        if self._closed:
            await sender.close()
            return
        centre.places.append(_Place(sender))
        self._serve(centre)

    @staticmethod
    def _forget(centre: _Centre, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            centre.opening.discard(task)
