"""parallel_media's parts: each once, the window never exceeded, the bytes the same in any order."""

from __future__ import annotations

import asyncio
import gc
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.fakes import MemorySink, content, ref
from tests.engine.virtual import now, virtually
from tobs.engine.budget import ByteBudget
from tobs.values import Part, Traffic
from tobs_parallel_media.parts import ParallelParts
from tobs_parallel_media.windows import Centres

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = 64


class BrokenError(Exception):
    """What a part fails with."""


@dataclass
class Surroundings:
    """As much of a `Context` as parts need: it is its own pool."""

    budget: ByteBudget
    places: int = 8

    @property
    def pool(self) -> Surroundings:
        return self

    def room(self, dc: int) -> int:
        assert dc
        return self.places

    def part_size(self, dc: int, size: int) -> int:
        assert dc
        assert size >= 0
        return STEP


@dataclass
class Server:
    """Serves the parts of one file and counts how many are asked for at once."""

    size: int
    delay: Callable[[], float] = lambda: 0.1
    breaks: int = -1
    asked: list[int] = field(default_factory=list)
    moving: int = 0
    most: int = 0

    async def read(self, part: Part) -> bytes:
        self.asked.append(part.offset)
        self.moving += 1
        self.most = max(self.most, self.moving)
        try:
            await asyncio.sleep(self.delay())
            if part.offset == self.breaks:
                raise BrokenError(str(part.offset))
        finally:
            self.moving -= 1
        return content(1, self.size)[part.offset : part.offset + part.limit]


def parts_of(window: int, budget: int = 10**6) -> tuple[ParallelParts, ByteBudget]:
    bytes_in_flight = ByteBudget(1, budget)
    around: Any = Surroundings(bytes_in_flight)
    return ParallelParts(around, Centres(lambda: around.pool, most=window)), bytes_in_flight


@given(
    size=st.integers(0, 40 * STEP),
    window=st.integers(0, 64),
    seed=st.integers(0, 10_000),
    budget=st.sampled_from((1, STEP, 5 * STEP, 10**6)),
)
@example(size=STEP, window=8, seed=0, budget=10**6)
@example(size=STEP + 1, window=8, seed=0, budget=10**6)
@settings(max_examples=80)
def test_each_part_comes_once_and_the_file_is_the_same_whatever_the_order(
    size: int, window: int, seed: int, budget: int
) -> None:
    chance = random.Random(seed)
    server, sink = Server(size, lambda: chance.uniform(0.01, 1)), MemorySink()
    copy, held = parts_of(window, budget)

    async def main() -> int:
        return await copy(ref(1, size), server.read, sink, size)

    assert virtually(main) == size
    assert bytes(sink.data) == content(1, size)
    assert sorted(server.asked) == sorted(sink.writes) == list(range(0, size, STEP))
    assert server.most <= min(window or 8, 8)
    assert held._free[Traffic.MEDIA] == budget


@given(seed=st.integers(0, 10_000), window=st.integers(0, 8), cells=st.sets(st.integers(0, 19)))
@settings(max_examples=40)
def test_what_the_sink_holds_already_is_not_asked_for(seed: int, window: int, cells: set[int]) -> None:
    chance, size = random.Random(seed), 20 * STEP - 10
    server, sink = Server(size, lambda: chance.uniform(0.01, 1)), MemorySink()
    copy, _ = parts_of(window)
    whole = content(1, size)
    have = [Part(cell * STEP, STEP) for cell in cells]

    async def main() -> int:
        for part in have:
            await sink.write(part.offset, whole[part.offset : part.offset + STEP])
        return await copy(ref(1, size), server.read, sink, size, have)

    assert virtually(main) == size
    assert bytes(sink.data) == whole
    assert sorted(server.asked) == [cell * STEP for cell in range(20) if cell not in cells]


def test_several_failures_at_once_leave_none_untaken() -> None:
    size = 8 * STEP
    copy, _ = parts_of(8)
    untold: list[Any] = []

    async def read(part: Part) -> bytes:
        await asyncio.sleep(1)
        raise BrokenError(str(part.offset))

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: untold.append(context))
        with pytest.raises(BrokenError):
            await copy(ref(1, size), read, MemorySink(), size)
        gc.collect()

    virtually(main)
    gc.collect()
    assert untold == []


@pytest.mark.parametrize("breaks", [0, 5, 19])
def test_the_first_failure_stops_the_other_parts(breaks: int) -> None:
    size = 20 * STEP
    server, sink = Server(size, breaks=breaks * STEP), MemorySink()
    copy, held = parts_of(4)

    async def main() -> None:
        with pytest.raises(BrokenError, match=str(breaks * STEP)):
            await copy(ref(1, size), server.read, sink, size)
        assert len(asyncio.all_tasks()) == 1

    virtually(main)
    assert server.moving == 0
    assert len(server.asked) <= breaks + 2 * 4  # who ends in the same instant may ask once more
    assert held._free[Traffic.MEDIA] == 10**6


@given(after=st.floats(0, 0.45), window=st.integers(0, 16))
@settings(max_examples=20)
def test_cancelled_it_gives_its_bytes_back(after: float, window: int) -> None:
    size = 80 * STEP
    server = Server(size)
    copy, held = parts_of(window, 6 * STEP)

    async def main() -> None:
        copying = asyncio.create_task(copy(ref(1, size), server.read, MemorySink(), size))
        await asyncio.sleep(after)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
        assert len(asyncio.all_tasks()) == 1

    virtually(main)
    assert server.moving == 0
    assert held._free[Traffic.MEDIA] == 6 * STEP


@pytest.mark.parametrize(("window", "seconds"), [(1, 8.0), (2, 4.0), (0, 1.0), (64, 1.0)])
def test_a_large_file_alone_keeps_its_window_full_to_the_end(window: int, seconds: float) -> None:
    size = 80 * STEP
    server = Server(size)
    copy, _ = parts_of(window)

    async def main() -> float:
        await copy(ref(1, size), server.read, MemorySink(), size)
        return now()

    assert virtually(main) <= seconds + 0.101


async def test_a_file_of_no_bytes_asks_for_nothing() -> None:
    server, sink = Server(0), MemorySink()
    copy, _ = parts_of(0)
    assert await copy(ref(1, 0), server.read, sink, 0) == 0
    assert not server.asked


def test_the_window_follows_the_room_while_the_file_moves() -> None:
    size = 400 * STEP
    server = Server(size)
    around: Any = Surroundings(ByteBudget(1, 10**6))
    centres = Centres(lambda: around)
    seen: list[int] = []

    async def main() -> None:
        copying = asyncio.create_task(ParallelParts(around, centres)(ref(1, size), server.read, MemorySink(), size))
        for places in (8, 3, 1, 20, 5):
            around.places = places
            await asyncio.sleep(0.25)  # two parts' time: those who are too many have come to their end
            seen.append(server.moving)
        await copying
        assert len(asyncio.all_tasks()) == 1

    virtually(main)
    assert seen == [8, 3, 1, 20, 5]
    assert sorted(server.asked) == list(range(0, size, STEP))


def test_two_files_share_the_room_and_the_second_has_it_when_the_first_ends() -> None:
    one, other = Server(40 * STEP), Server(400 * STEP)
    around: Any = Surroundings(ByteBudget(1, 10**6))
    centres = Centres(lambda: around, reserve=0.25)
    copy = ParallelParts(around, centres)

    async def main() -> None:
        async def move(file_id: int, server: Server, *, large: bool) -> None:
            centres.begin(file_id, 2, server.size, float(server.size), large=large)
            try:
                await copy(ref(file_id, server.size), server.read, MemorySink(), server.size)
            finally:
                centres.end(file_id)

        large = asyncio.create_task(move(2, other, large=True))
        await asyncio.sleep(0.25)
        assert other.moving == 8
        small = asyncio.create_task(move(1, one, large=False))
        await asyncio.sleep(0.25)
        assert (one.moving, other.moving) == (6, 2)
        await small
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert other.moving == 8  # at once, not only when a part is there
        await large
        assert len(asyncio.all_tasks()) == 1

    virtually(main)


@given(
    flights=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1000)), max_size=12),
    large=st.integers(-1, 11),
    room=st.integers(1, 40),
    most=st.sampled_from((0, 1, 3, 64)),
    reserve=st.sampled_from((0.0, 0.125, 0.5)),
)
def test_shares_fill_the_room_and_leave_nobody_out(
    flights: list[tuple[int, int]], large: int, room: int, most: int, reserve: float
) -> None:
    around: Any = Surroundings(ByteBudget(1, 1), places=room)
    centre = Centres(lambda: around, most=most, reserve=reserve)[2]
    moving = [centre.begin(parts, float(rank), large=number == large) for number, (parts, rank) in enumerate(flights)]
    shares = {flight: min(centre.share(flight), flight.parts) for flight in moving}
    wanted = sum(min(flight.parts, most or room, room) for flight in moving)
    busy = sum(1 for flight in moving if flight.parts)
    assert all(share >= 1 for flight, share in shares.items() if flight.parts)
    assert sum(shares.values()) <= room + busy
    if not most:
        kept = centre.reserves() if centre.has_large() else 0
        assert sum(shares.values()) >= min(wanted, room) - kept
