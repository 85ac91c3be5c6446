"""How many parts of each file may be in flight: the room of a data centre, shared among its files."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from tobs_parallel_media.evenly import Evenly

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.api import Pool


@dataclass(slots=True, eq=False)
class Flight:
    """A file that moves. `parts` are still to come, those in flight among them; a lower `rank` is served first.

    At most one file of a data centre is `large`: room is kept for it. `grow` is called when there may be room for more
    of the file's parts.
    """

    parts: int
    rank: float = 0.0
    large: bool = False
    grow: Callable[[], None] | None = None


@dataclass(slots=True)
class Centre:
    """A data centre's files in motion.

    `room` is the pool's word as it was last asked. `most` is the number of parts that one file may have in flight (0:
    no bound), `reserve` the share of the room that is kept for the large file while others want it.
    """

    dc: int
    pool: Callable[[], Pool]
    most: int = 0
    reserve: float = 0.0
    moved: Callable[[int], None] = lambda _: None
    flights: list[Flight] = field(default_factory=list)
    room: int = 1

    def look(self) -> bool:
        """Ask the pool how much room there is; whether it has changed."""
        before, self.room = self.room, max(1, self.pool().room(self.dc))
        return self.room != before

    def step(self, size: int) -> int:
        """Bytes of one request of a file of `size`."""
        return self.pool().part_size(self.dc, size)

    def parts(self, size: int) -> int:
        """Requests that a file of `size` takes."""
        return -(-size // self.step(size))

    def begin(self, parts: int, rank: float = 0.0, *, large: bool = False) -> Flight:
        """A file begins to move."""
        flight = Flight(parts, rank, large)
        insort(self.flights, flight, key=lambda each: each.rank)
        return flight

    def end(self, flight: Flight) -> None:
        """A file moves no longer, for whatever reason."""
        self.flights.remove(flight)

    def freed(self) -> None:
        """There may be room: another file may begin, then those that move may ask for more."""
        self.moved(self.dc)
        for flight in tuple(self.flights):
            if flight.grow is not None:
                flight.grow()

    def free(self, rank: float = inf) -> int:
        """Requests left for a file of this rank, whose place no file of a higher one can hold; may be below 0."""
        before = (each for each in self.flights if each.rank <= rank and not each.large)
        return self.room - self._kept() - sum(self._wanted(each) for each in before)

    def share(self, flight: Flight) -> int:
        """Parts of `flight` that may be in flight now, at least 1.

        The lowest rank is served first; the large file takes what is left, but no less than is kept for it.
        """
        kept = self._kept()
        rest = self.room - kept
        for each in self.flights:
            if each is flight and not each.large:
                return max(1, min(self._wanted(each), rest))
            if not each.large:
                rest -= min(self._wanted(each), max(1, rest))
        return max(1, min(self._most, kept + max(0, rest)))

    def reserves(self) -> int:
        """Room that is kept for a large file once there is one; 0 where there is too little to divide."""
        return min(int(self.room * self.reserve + 0.5), self.room - 1)

    def has_large(self) -> bool:
        """Whether a large file moves that has parts left."""
        return any(each.large and each.parts for each in self.flights)

    def _kept(self) -> int:
        return self.reserves() if self.has_large() else 0

    def _wanted(self, flight: Flight) -> int:
        return min(flight.parts, self._most)

    @property
    def _most(self) -> int:
        return min(self.room, self.most) if self.most else self.room


class Centres:
    """All data centres, each made when it is first asked for, and which file moves in which."""

    def __init__(self, pool: Callable[[], Pool], *, most: int = 0, reserve: float = 0.0) -> None:
        self._pool = pool
        self._most = most
        self._reserve = reserve
        self._centres: dict[int, Centre] = {}
        self._flights: dict[int, tuple[Centre, Flight]] = {}
        self.evenly = Evenly()
        self.moved: Callable[[int], None] = lambda _: None
        """Called with a data centre when another of its files may begin."""

    def __getitem__(self, dc: int) -> Centre:
        """The centre of this number, with the room that it has now."""
        centre = self._centres.get(dc)
        if centre is None:
            centre = Centre(dc, self._pool, self._most, self._reserve, self._freed)
            self._centres[dc] = centre
        centre.look()
        return centre

    def begin(
        self, file_id: int, dc: int, size: int, rank: float = 0.0, *, large: bool = False
    ) -> tuple[Centre, Flight]:
        """A file begins to move."""
        centre = self[dc]
        begun = self._flights[file_id] = centre, centre.begin(centre.parts(size), rank, large=large)
        return begun

    def end(self, file_id: int) -> None:
        """It moves no longer: what it held is free."""
        centre, flight = self._flights.pop(file_id)
        centre.end(flight)
        centre.freed()

    def _freed(self, dc: int) -> None:
        self.moved(dc)

    def find(self, file_id: int) -> tuple[Centre, Flight] | None:
        """Where a file moves, if it does."""
        return self._flights.get(file_id)
