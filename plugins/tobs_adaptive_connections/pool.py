"""The pool: senders by data centre, as many as pay, each lent to as many requests as keep it busy."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from tobs.api import Lease, LostError, RpcError, Traffic, fail_waiting
from tobs_adaptive_connections.centre import LEAST, Centre, Place
from tobs_adaptive_connections.climb import Climb
from tobs_adaptive_connections.deadline import Deadlines
from tobs_adaptive_connections.sizes import part_size

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tobs.api import Call, Dial, Invoke

log = logging.getLogger(__name__)
SLOWEST = 16_384
"""Bytes a second below which an answer counts as lost, whatever else is known."""
REFUSED, LONGEST = 15.0, 480.0
"""Seconds after which a data centre that took no more connections is asked again: at first, and at most."""
MEDIA = "upload.getFile"


class AdaptivePool:
    """See `tobs.ports.Pool`. `home` is the data centre that None stands for.

    `connections` a data centre, `in_flight` media requests a connection and `history` requests a data centre are never
    exceeded; `start` connections are opened at once. `deadline` is the seconds an answer may take while little is
    known, `shortest` the least that any may take. `layer` goes around every request, where its lease is held: what
    the pool knows, it knows from there.
    """

    def __init__(
        self,
        dial: Dial,
        home: int,
        *,
        connections: int,
        start: int,
        in_flight: int,
        history: int,
        deadline: float,
        shortest: float,
    ) -> None:
        self._dial = dial
        self._home = home
        self._connections = connections
        self._start = start
        self._in_flight = in_flight
        self._history = history
        self._deadline = deadline
        self._shortest = shortest
        self._centres: dict[int, Centre] = {}
        self._places: dict[int, tuple[Centre, Place]] = {}
        self._dear = False
        self._closed = False

    # the port

    def lease(self, dc: int | None, traffic: Traffic) -> Lease[Centre, Place]:
        """Lend a sender; see `tobs.ports.Pool`."""
        return Lease(self, self.centre(dc), traffic)

    async def warm(self, dc: int, senders: int) -> None:
        """Open up to `senders` connections to `dc` and wait until they are there."""
        centre = self.centre(dc)
        if self._closed:
            return
        centre.climb.at_least(senders)
        self._open(centre, min(senders, centre.climb.target) - len(centre.alive()) - len(centre.opening))
        if centre.opening:
            await asyncio.wait(set(centre.opening))

    def room(self, dc: int) -> int:
        """What the connections that pay take at once, and a little more, so that it shows when more would."""
        return self.centre(dc).room()

    def part_size(self, dc: int, size: int) -> int:
        """A file of up to 1 MB in one request, a larger one in parts that a connection brings in a second at most."""
        return part_size(size, self.centre(dc).rate, dear=self._dear)

    def deadline(self, call: Call) -> float:
        """Several times what answers of this data centre take, and the core's own while that is not known."""
        longest = self._deadline + call.limit / SLOWEST
        found = self._places.get(id(call.sender))
        if found is None:
            return longest
        centre, place = found
        return centre.deadlines.of(call.method, centre.expected(place, call.limit), longest)

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
            await asyncio.gather(*centre.closing, return_exceptions=True)

    # around every request

    def layer(self, inner: Invoke) -> Invoke:
        """See what becomes of each request; of band DEADLINE, around core's own, so that it sees a deadline fire."""

        async def invoke(call: Call) -> Any:
            found = self._places.get(id(call.sender))
            if found is None:
                return await inner(call)
            centre, place = found
            clock = asyncio.get_running_loop().time
            began = clock()
            number = centre.sent(place, call.method, call.limit, began, media=call.traffic is Traffic.MEDIA)
            try:
                answer = await inner(call)
            except LostError:
                centre.left(place, number)
                if centre.lost(place, began, clock()):
                    self._retire(centre, place)
                raise
            except RpcError:
                centre.left(place, number)
                place.silent = 0
                raise
            except BaseException:
                centre.left(place, number)
                raise
            now = clock()
            flight = centre.left(place, number)
            centre.answered(place, call.method, now - began)
            if flight is not None:
                centre.climb.shared = any(other is not centre and other.works() for other in self._centres.values())
                centre.came(place, flight, getattr(answer, "wire_size", 0) or call.limit, now)
                self._fit(centre)
            return answer

        return invoke

    def flooded(self, method: str) -> None:
        """The server makes us wait: PACE sends fewer requests, and fewer of them go out together."""
        if method != MEDIA:
            return
        self._dear = True
        for centre in self._centres.values():
            centre.share = max(LEAST, centre.share / 2)
            centre.climb.flood(asyncio.get_running_loop().time())

    # leases

    def centre(self, dc: int | None) -> Centre:
        """A data centre's state, made when first asked for."""
        number = self._home if dc is None else dc
        centre = self._centres.get(number)
        if centre is None:
            climb = Climb(self._start, self._connections, number)
            centre = self._centres[number] = Centre(number, climb, self._in_flight, Deadlines(self._shortest))
        return centre

    def senders(self, dc: int | None = None) -> int:
        """Open connections to a data centre."""
        return len(self.centre(dc).alive())

    async def take(self, centre: Centre, traffic: Traffic) -> Place:
        """A place for one more request; opens senders where there are too few."""
        if self._closed:
            raise LostError("the run is closing")
        place = None if traffic is Traffic.MEDIA and centre.waits(traffic) else self._free(centre, traffic)
        if place is not None:
            # History keeps off a connection that media fill, and media off any busy one, while there can be another.
            if place.leases[Traffic.MEDIA] or (traffic is Traffic.MEDIA and place.busy):
                self._grow(centre, 1 - len(centre.opening))
            place.leases[traffic] += 1
            return place
        waiter: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        centre.waiting[traffic].append(waiter)
        self._meet(centre)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give(centre, waiter.result(), traffic)
            raise

    def give(self, centre: Centre, place: Place, traffic: Traffic) -> None:
        """Take a place back and serve who waits."""
        place.leases[traffic] -= 1
        if traffic is Traffic.MEDIA and not place.leases[traffic] and not centre.waits(traffic):
            centre.climb.idle()
            if not centre.works():
                self._ended(centre)
        self._serve(centre)

    def _serve(self, centre: Centre) -> None:
        for traffic in (Traffic.HISTORY, Traffic.MEDIA):
            while centre.waits(traffic):
                place = self._free(centre, traffic)
                if place is None:
                    break
                place.leases[traffic] += 1
                centre.waiting[traffic].popleft().set_result(place)
        self._meet(centre)
        self._trim(centre)

    def _meet(self, centre: Centre) -> None:
        """Open connections for those who wait: one for each of media, and one for history if there is none."""
        alive, waiting = centre.alive(), len(centre.waiting[Traffic.MEDIA])
        if alive:
            centre.climb.wanted(waiting, asyncio.get_running_loop().time())
        nobody = not alive and not centre.opening and centre.waits(Traffic.HISTORY)
        self._grow(centre, max(int(nobody), waiting - len(centre.opening)))

    def _free(self, centre: Centre, traffic: Traffic) -> Place | None:
        if traffic is Traffic.HISTORY:
            places = centre.alive()
            if sum(place.leases[traffic] for place in places) >= self._history:
                return None
            return min(places, key=centre.load, default=None)
        return min((place for place in centre.used() if centre.takes(place)), key=centre.load, default=None)

    def _ended(self, centre: Centre) -> None:
        """A data centre has nothing to do: others may have more of the line."""
        now = asyncio.get_running_loop().time()
        working = [other for other in self._centres.values() if other is not centre and other.works()]
        for other in working:
            other.climb.shared = len(working) > 1
            other.climb.freed(now)

    # connections

    def _fit(self, centre: Centre) -> None:
        """After an answer: the target may have moved."""
        if centre.climb.ceiling < self._connections and asyncio.get_running_loop().time() >= centre.refused:
            centre.climb.limit(self._connections, centre.refused)
        if centre.waits(Traffic.MEDIA):
            self._serve(centre)

    def _grow(self, centre: Centre, wanted: int) -> None:
        """Open up to `wanted` further connections, within the target; one where there is none at all."""
        if not self._closed:
            self._open(centre, min(wanted, centre.climb.target - len(centre.alive()) - len(centre.opening)))

    def _open(self, centre: Centre, many: int) -> None:
        for _ in range(many):
            centre.opening.add(asyncio.get_running_loop().create_task(self._opened(centre)))

    async def _opened(self, centre: Centre) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            sender = await self._dial(centre.dc)
        except Exception as error:  # noqa: BLE001 - whoever waits must learn of it, a bug too
            centre.opening.discard(task)
            self._refused(centre, error)
            return
        except BaseException:
            centre.opening.discard(task)
            raise
        centre.opening.discard(task)
        if self._closed:
            await sender.close()
            return
        place = Place(sender)
        self._places = {key: found for key, found in self._places.items() if not found[1].sender.closed}
        self._places[id(sender)] = centre, place
        centre.places.append(place)
        self._serve(centre)

    def _refused(self, centre: Centre, error: Exception) -> None:
        """A connection could not be opened: there are as many as the data centre takes, for a while."""
        alive = len(centre.alive())
        if not alive:
            if not centre.opening:
                fail_waiting(centre.waiting.values(), error)
            return
        now = asyncio.get_running_loop().time()
        if now >= centre.refused:
            centre.refused = now + min(REFUSED * 2**centre.refusals, LONGEST)
            centre.refusals += 1
        centre.climb.limit(min(centre.climb.ceiling, alive + len(centre.opening)), now)
        if not centre.opening:
            log.info("data centre %d takes no more than %d connections: %s", centre.dc, alive, error)

    def _trim(self, centre: Centre) -> None:
        """Close connections that do not pay, as soon as nothing is asked on them."""
        if centre.climb.trying:
            return
        for place in centre.alive()[centre.climb.target :]:
            if not place.busy:
                self._retire(centre, place)

    def _retire(self, centre: Centre, place: Place) -> None:
        """Use a connection no more, and close it in the background."""
        if place in centre.places:
            centre.places.remove(place)
            self._in_background(centre, place.sender.close())

    @staticmethod
    def _in_background(centre: Centre, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        centre.closing.add(task)
        task.add_done_callback(centre.closing.discard)
