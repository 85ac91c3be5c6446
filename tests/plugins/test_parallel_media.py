"""parallel_media's agenda: how many files at once, which first, and that nothing is left when it ends."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.fakes import ref
from tests.engine.virtual import now, settle_down, virtually
from tobs.engine.media import HomeLanes
from tobs.errors import LostError, UsageError
from tobs.meters import Meters
from tobs.ports import Closes
from tobs_parallel_media import manifest
from tobs_parallel_media.agenda import FURTHER, SharedAgenda
from tobs_parallel_media.plugin import ParallelMedia, read_shares
from tobs_parallel_media.windows import Centres

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.values import MediaRef


class BrokenError(Exception):
    """What stops a file and all others."""


@dataclass
class Work:
    """Files that move for `seconds` each; counts how many do. `breaks` is the file that fails."""

    seconds: Callable[[MediaRef], float] = lambda _: 1.0
    breaks: int = -1
    moving: Counter[int] = field(default_factory=Counter)
    most: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    begun: list[int] = field(default_factory=list)
    ended: dict[int, float] = field(default_factory=dict)

    async def __call__(self, one: MediaRef) -> None:
        self.begun.append(one.file_id)
        self.moving[one.dc] += 1
        self.kinds[one.kind] += 1
        self.most[one.dc] = max(self.most[one.dc], self.moving[one.dc])
        try:
            await asyncio.sleep(self.seconds(one))
            if one.file_id == self.breaks:
                raise BrokenError(str(one.file_id))
            self.ended[one.file_id] = now()
        finally:
            self.moving[one.dc] -= 1
            self.kinds[one.kind] -= 1


@dataclass
class Rooms:
    """A pool, as much of one as the agenda needs: room by data centre, and one size of parts."""

    room_of: dict[int, int] = field(default_factory=dict)
    step: int = 1_000_000

    def room(self, dc: int) -> int:
        return self.room_of.get(dc, 4)

    def part_size(self, dc: int, size: int) -> int:
        assert dc
        assert size >= 0
        return self.step


def agenda(
    work: Callable[[MediaRef], Any],
    meters: Meters | None = None,
    rooms: Rooms | None = None,
    lanes: Any = None,
    *,
    reserve: float = 0.0,
    **knobs: Any,
) -> SharedAgenda:
    chosen: dict[str, Any] = {"files": 3, "backlog": 1_000, "ageing": 0.0, "shares": {}} | knobs
    pool: Any = rooms or Rooms()
    centres = Centres(lambda: pool, reserve=reserve)
    return SharedAgenda(work, meters or Meters(), lanes or HomeLanes(), centres, clock=now, **chosen)


def alone() -> None:
    """Nothing else runs."""
    assert len(asyncio.all_tasks()) == 1


@given(
    files=st.integers(0, 8),
    backlog=st.integers(1, 10),
    many=st.integers(0, 60),
    seed=st.integers(0, 1_000),
    givers=st.integers(1, 3),
)
@settings(max_examples=50)
def test_every_file_moves_once_and_never_more_than_allowed(
    files: int, backlog: int, many: int, seed: int, givers: int
) -> None:
    chance = random.Random(seed)
    kinds = ("photo", "video_file", "file")
    refs = [
        ref(number, chance.randint(1, 10**7), dc=chance.choice((2, 4)), kind=chance.choice(kinds))
        for number in range(many)
    ]
    work = Work(lambda one: one.size / 10**6)
    meters = Meters()

    async def main() -> None:
        it = agenda(work, meters, files=files, backlog=backlog)
        await asyncio.gather(*(it.put(refs[giver::givers]) for giver in range(givers)))
        assert meters.queues["files"].depth <= FURTHER * backlog
        await asyncio.gather(it.drain(), it.drain())
        alone()

    virtually(main)
    assert sorted(work.begun) == list(range(many))
    assert sorted(work.ended) == list(range(many))
    assert all(most <= (files or 2 * 4 + 4) for most in work.most.values())
    assert not +work.moving
    assert meters.queues["files"].depth == 0
    assert meters.stages["media"].items == many


def test_small_files_go_first() -> None:
    work = Work()

    async def main() -> None:
        it = agenda(work, files=1)
        await it.put([ref(number, size) for number, size in enumerate((50, 40, 10, 30, 20))])
        await it.drain()

    virtually(main)
    assert work.begun == [2, 4, 3, 1, 0]


@pytest.mark.parametrize(("ageing", "place"), [(0.0, 40), (100.0, 10)])
def test_a_large_file_goes_at_last_where_waiting_counts(ageing: float, place: int) -> None:
    """Every second a file of size 1 comes and one goes; 1,000 bytes at 100 bytes/s are worth ten seconds."""
    work = Work()

    async def main() -> None:
        it = agenda(work, files=1, ageing=ageing)
        await it.put([ref(0, 1), ref(1_000, 1_000)])
        for number in range(1, 41):
            await it.put([ref(number, 1)])
            await asyncio.sleep(1)
        await it.drain()

    virtually(main)
    assert abs(work.begun.index(1_000) - place) <= 1


def test_kinds_share_the_places_by_their_weights() -> None:
    work = Work()

    async def main() -> None:
        it = agenda(work, files=6, shares={"photo": 2.0})
        await it.put([ref(number, 1, kind="photo") for number in range(60)])
        await it.put([ref(100 + number, 10**6, kind="video_file") for number in range(30)])
        await asyncio.sleep(3.5)
        assert work.kinds == {"photo": 4, "video_file": 2}
        await it.drain()

    virtually(main)


def test_a_share_counts_requests_and_not_files() -> None:
    work = Work()

    async def main() -> None:
        it = agenda(work, rooms=Rooms({2: 6}), files=0)
        await it.put([ref(number, 1, kind="photo") for number in range(60)])
        await it.put([ref(100 + number, 3 * 10**6, kind="video_file") for number in range(30)])
        await asyncio.sleep(3.5)
        assert work.kinds == {"photo": 4, "video_file": 1}  # the video of three parts has two places now
        await it.drain()

    virtually(main)


def test_a_kind_alone_has_all_places() -> None:
    work = Work()

    async def main() -> float:
        it = agenda(work, files=6, shares={"photo": 2.0})
        await it.put([ref(number, kind="file") for number in range(12)])
        await it.drain()
        return now()

    assert virtually(main) == pytest.approx(2.0)


def test_data_centres_do_not_wait_for_one_another() -> None:
    work = Work(lambda one: 100.0 if one.dc == 4 else 1.0)

    async def main() -> None:
        it = agenda(work, files=2)
        await it.put([ref(number, dc=4) for number in range(4)] + [ref(10 + number, dc=2) for number in range(10)])
        await asyncio.sleep(5.5)
        assert len(work.ended) == 10
        await it.drain()

    virtually(main)


def test_put_waits_at_the_backlog_and_goes_on_when_a_file_has_begun() -> None:
    work = Work()

    async def main() -> None:
        it = agenda(work, files=2, backlog=3)
        await it.put([ref(number) for number in range(5)])  # two move, three wait
        more = [asyncio.create_task(it.put([ref(10 + number)])) for number in range(2)]
        await settle_down()
        assert not any(each.done() for each in more)
        await asyncio.sleep(1.5)
        assert all(each.done() for each in more)
        await it.drain()
        alone()

    virtually(main)
    assert len(work.ended) == 7


@pytest.mark.parametrize(("size", "at_once"), [(1, 4), (1_000_000, 4), (1_000_001, 2), (2_500_000, 2), (9_000_000, 1)])
def test_as_many_files_move_as_fill_the_room(size: int, at_once: int) -> None:
    work = Work()

    async def main() -> None:
        it = agenda(work, files=0)
        await it.put([ref(number, size) for number in range(20)])
        await it.drain()

    virtually(main)
    assert work.most == {2: at_once}
    assert len(work.ended) == 20


def test_small_files_are_not_kept_out_by_large_ones_that_fill_the_room() -> None:
    work = Work(lambda one: one.size / 1_000_000)

    async def main() -> None:
        it = agenda(work, files=0)
        await it.put([ref(1, 100_000_000)])
        await asyncio.sleep(1)
        await it.put([ref(10 + number, 1_000_000) for number in range(8)])
        await asyncio.sleep(2.5)
        assert len(work.ended) == 8
        await it.put([ref(30, 90_000_000)])
        await settle_down()
        assert 30 in work.begun  # smaller than the one that moves
        await it.put([ref(31, 110_000_000)])
        await settle_down()
        assert 31 not in work.begun
        await it.drain()

    virtually(main)


def test_the_largest_file_moves_beside_the_small_ones_where_room_is_kept_for_it() -> None:
    work = Work(lambda one: 9.5 if one.size > 10**6 else 1.0)

    async def main() -> None:
        it = agenda(work, rooms=Rooms({2: 8}), files=0, reserve=0.25)
        await it.put([ref(number, 10**6) for number in range(60)] + [ref(100 + n, n * 10**7) for n in (1, 3, 2)])
        await settle_down()
        assert work.begun[0] == 103
        assert work.moving == {2: 1 + 6}
        await asyncio.sleep(9)
        assert [each for each in work.begun if each >= 100] == [103]
        await asyncio.sleep(1)
        assert [each for each in work.begun if each >= 100] == [103, 102]
        await it.drain()

    virtually(main)


@pytest.mark.parametrize(("room", "reserve"), [(1, 0.5), (3, 0.125), (8, 0.0)])
def test_too_little_room_is_not_divided(room: int, reserve: float) -> None:
    work = Work()

    async def main() -> None:
        it = agenda(work, rooms=Rooms({2: room}), files=0, reserve=reserve)
        await it.put([ref(1, 50_000_000), *(ref(10 + number, 10) for number in range(9))])
        await it.drain()

    virtually(main)
    assert work.begun[-1] == 1


def test_lanes_say_whose_file_begins_where_there_is_a_choice() -> None:
    work = Work()
    asked: list[dict[int, int]] = []

    class Last(HomeLanes):
        def first(self, left: Any) -> int:
            asked.append(dict(left))
            return int(list(left)[-1])

    async def main() -> None:
        it = agenda(work, rooms=Rooms({2: 2, 4: 1, 5: 1}), lanes=Last(), files=0)
        await it.put([ref(1, 10, dc=4), ref(2, 20, dc=2), ref(3, 30, dc=4), ref(4, 40, dc=5), ref(5, 1, dc=2)])
        await settle_down()
        assert work.begun == [4, 5, 2, 1]  # each as soon as its data centre is named, and none is left idle
        assert [list(left.items()) for left in asked] == [
            [(4, 40), (2, 21), (5, 40)],
            [(4, 40), (2, 21)],
            [(4, 40), (2, 20)],
        ]
        await it.drain()

    virtually(main)
    assert len(asked) == 3  # with one place at a time there is nothing to choose


def test_a_full_backlog_of_one_data_centre_does_not_keep_another_idle() -> None:
    work = Work(lambda one: 50.0 if one.dc == 2 else 1.0)
    meters = Meters()

    async def main() -> None:
        it = agenda(work, meters, files=0, backlog=3)
        await it.put([ref(0, dc=4)])
        near = [ref(1 + number, dc=2) for number in range(12)]
        putting = asyncio.create_task(it.put([*near, ref(20, dc=4), *(ref(30 + number, dc=2) for number in range(90))]))
        await asyncio.sleep(2.5)
        assert {0, 20} <= work.ended.keys()
        assert not putting.done()
        assert meters.queues["files"].depth == FURTHER * 3  # data centre 4 is dry again, and refs are bounded
        await putting
        await it.drain()

    virtually(main)
    assert len(work.ended) == 104


def test_a_backlog_of_one_data_centre_is_not_passed() -> None:
    work = Work()
    meters = Meters()

    async def main() -> None:
        it = agenda(work, meters, files=0, backlog=3)
        putting = asyncio.create_task(it.put([ref(number) for number in range(30)]))
        await asyncio.sleep(1.5)
        assert meters.queues["files"].depth == 3
        await putting
        await it.drain()

    virtually(main)


@pytest.mark.parametrize("files", [0, 3])
def test_references_to_one_file_follow_one_another_and_hold_no_place_meanwhile(files: int) -> None:
    work = Work()
    meters = Meters()

    async def main() -> float:
        it = agenda(work, meters, files=files)
        same = [ref(7, message_id=number) for number in range(4)]
        await it.put([*same, *(ref(10 + number) for number in range(5))])
        await settle_down()
        assert work.begun.count(7) == 1
        assert len(work.begun) == (files or 4)
        await it.drain()
        return now()

    assert virtually(main) == pytest.approx(4.0 if not files else 5.0)  # with fewer places others go between
    assert work.begun.count(7) == 4
    assert meters.queues["files"].depth == 0
    assert meters.stages["media"].items == 9


@pytest.mark.parametrize("waits", ["put", "drain", "both"])
def test_the_first_failure_reaches_whoever_waits_and_nothing_moves_any_more(waits: str) -> None:
    work = Work(lambda one: 1.0 if one.file_id == 1 else 50.0, breaks=1)

    async def main() -> None:
        it = agenda(work, files=3, backlog=4)
        await it.put([ref(number, number + 1) for number in range(7)])
        waiting = []
        if waits != "drain":
            waiting.append(asyncio.create_task(it.put([ref(20)])))
        if waits != "put":
            waiting.append(asyncio.create_task(it.drain()))
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, BrokenError)
        alone()
        for again in (it.put([ref(30)]), it.drain()):
            with pytest.raises(BrokenError):
                await again
        await it.close()
        assert now() < 2

    virtually(main)
    assert len(work.begun) == 3
    assert not +work.moving


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_close_stops_what_moves_and_starts_nothing(after: float) -> None:
    work = Work()
    meters = Meters()

    async def main() -> None:
        it = agenda(work, meters, files=2)
        await it.put([ref(number) for number in range(9)])
        if after:
            await asyncio.sleep(after)
        await it.close()
        alone()
        await settle_down()
        alone()
        for ended in (it.put([ref(99)]), it.drain()):
            with pytest.raises(LostError):
                await ended

    virtually(main)
    assert len(work.begun) == (2 if after else 0)
    assert not work.ended
    assert not +work.moving
    assert meters.queues["files"].depth == 0


def test_a_file_that_was_cancelled_from_within_is_not_taken_for_finished() -> None:
    async def work(one: MediaRef) -> None:
        raise asyncio.CancelledError(str(one.file_id))

    async def main() -> None:
        it = agenda(work, files=1)
        await it.put([ref(1)])
        with pytest.raises(asyncio.CancelledError):
            await it.drain()

    virtually(main)


def test_closed_by_core_it_ends_what_still_moves() -> None:
    work = Work()

    class Surroundings:
        meters = Meters()
        pool = Rooms({2: 12})

    async def main() -> None:
        plugin = ParallelMedia({knob.name: knob.default for knob in manifest.knobs})
        ctx: Any = Surroundings()
        it = plugin.tobs_agenda(ctx, work, HomeLanes())
        assert isinstance(it, Closes)
        await it.put([ref(number) for number in range(50)])
        await asyncio.sleep(0.5)
        await it.close()
        alone()

    virtually(main)
    assert len(work.begun) == 12


@pytest.mark.parametrize(
    ("text", "shares"),
    [("", {}), ("photo=2", {"photo": 2.0}), (" photo = 2 , video_file=0.5,", {"photo": 2.0, "video_file": 0.5})],
)
def test_shares_are_read(text: str, shares: dict[str, float]) -> None:
    assert read_shares(text) == shares


@pytest.mark.parametrize("text", ["photo", "photo=", "photo=0", "photo=-1", "photo=nan", "photo=inf", "=2", "photo=x"])
def test_shares_that_are_no_weights_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="shares"):
        read_shares(text)
