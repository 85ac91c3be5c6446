"""async_pipeline reads every message, proves every id, and asks for hardly a page more than there are."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from contextlib import aclosing
from math import ceil
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.fakes import CHAT
from tests.engine.virtual import now, settle_down, virtually
from tests.plugins.fakes_history import History, Wrap, ids_of, read, unread, whole, with_gaps
from tobs.engine.spans import NEWEST
from tobs.ports import Range
from tobs.values import PAGE, Span
from tobs_async_pipeline import manifest
from tobs_async_pipeline.chunks import Chunk
from tobs_async_pipeline.plugin import AsyncPipeline, seldom_collected
from tobs_async_pipeline.source import PipelinedSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.values import Page

DEPTHS = st.integers(1, 64)
COUNTS = st.one_of(st.integers(0, 350), st.integers(0, 5_000))
GAPS = st.sampled_from((0.0, 0.03, 0.5, 0.9))
SEEDS = st.integers(0, 2**32)
QUEUE = 4


def source(history: History, depth: int, queue: int = QUEUE) -> PipelinedSource:
    return PipelinedSource(cast("Any", history), depth, queue)


def scattered(seed: int) -> Callable[[], float]:
    """Round trips of which some take ten times as long as others: answers come in any order."""
    chance = random.Random(seed)
    return lambda: chance.uniform(0.01, 0.1)


def some_ranges(ids: Sequence[int], many: int, seed: int) -> list[Range]:
    """Up to `many` ranges with stretches between them that nobody wants, newest first."""
    chance = random.Random(seed)
    borders = sorted({chance.randint(1, max(ids, default=1) + 5) for _ in range(2 * many)}, reverse=True)
    return [Range(Span(low, high)) for high, low in zip(borders[::2], borders[1::2], strict=False)]


def read_all(history: History, depth: int, ranges: Sequence[Range]) -> tuple[list[Page], float]:
    """Pages, and the seconds that they took. Nothing is left running."""

    async def main() -> tuple[list[Page], float]:
        pages = await read(source(history, depth), ranges)
        assert len(asyncio.all_tasks()) == 1
        return pages, now()

    return virtually(main)


# ---------------------------------------------------------------- a server that keeps its word


@given(count=COUNTS, gaps=GAPS, depth=DEPTHS, seed=SEEDS)
@example(count=5_000, gaps=0.9, depth=64, seed=1)
@example(count=100, gaps=0.0, depth=2, seed=1)
@example(count=0, gaps=0.0, depth=64, seed=1)
@settings(max_examples=60)
def test_a_whole_history_comes_once_and_for_hardly_a_page_too_many(
    count: int, gaps: float, depth: int, seed: int
) -> None:
    history = History(with_gaps(count, gaps, seed), scattered(seed))
    pages, _ = read_all(history, depth, whole())
    assert ids_of(pages) == sorted(history.ids)
    assert unread(pages, whole(), max(history.ids, default=0)) == []
    assert len(history.asked) <= 1.02 * ceil(count / PAGE) + depth
    assert history.most <= depth


@given(count=COUNTS, gaps=GAPS, depth=DEPTHS, seed=SEEDS, newest=st.booleans())
@example(count=5_000, gaps=0.9, depth=2, seed=3, newest=True)
@settings(max_examples=60)
def test_a_range_above_what_is_known_keeps_the_bound_though_its_count_is_not_told(
    *, count: int, gaps: float, depth: int, seed: int, newest: bool
) -> None:
    history = History(with_gaps(count, gaps, seed), scattered(seed))
    top = max(history.ids, default=0)
    low = random.Random(seed).randint(2, top + 2)
    ranges = [Range(Span(low, NEWEST if newest else max(low, top - top // 10)))]
    pages, _ = read_all(history, depth, ranges)
    wanted = history.inside(ranges)
    assert ids_of(pages) == wanted[::-1]
    assert unread(pages, ranges, top) == []
    assert len(history.asked) <= 1.02 * ceil(len(wanted) / PAGE) + depth
    assert history.most <= depth


@given(count=COUNTS, gaps=GAPS, depth=DEPTHS, seed=SEEDS, many=st.integers(1, 12))
@settings(max_examples=60)
def test_several_ranges_cost_each_what_a_straight_reader_asks_and_together_a_depth_more(
    count: int, gaps: float, depth: int, seed: int, many: int
) -> None:
    history = History(with_gaps(count, gaps, seed), scattered(seed))
    ranges = some_ranges(history.ids, many, seed)
    pages, _ = read_all(history, depth, ranges)
    assert ids_of(pages) == history.inside(ranges)[::-1]
    assert unread(pages, ranges, max(history.ids, default=0)) == []
    # A range whose last full page ends above its low end is asked once more, by whoever reads it.
    assert len(history.asked) <= 1.02 * history.worth(ranges) + len(ranges) + depth


@pytest.mark.parametrize("depth", [1, 2, 3, 16, 64])
@pytest.mark.parametrize("gaps", [0.0, 0.9])
def test_requests_in_flight_save_their_share_of_the_time(depth: int, gaps: float) -> None:
    history = History(with_gaps(5_000, gaps, 7))
    _, seconds = read_all(history, depth, whole())
    rounds = 1 + ceil(49 / depth)
    assert seconds <= 0.1 * (rounds + 2)


def test_a_lagging_cursor_gives_away_what_it_has_not_read() -> None:
    slow = iter([0.1, 20.0])
    history = History(range(1, 5_001), lambda: next(slow, 0.1))
    pages, seconds = read_all(history, 4, whole())
    assert ids_of(pages) == list(range(1, 5_001))
    assert seconds < 20.3  # what it holds is one page: the others have read the rest long before
    assert len(history.asked) == 50


@pytest.mark.parametrize(("seconds", "most"), [(0.001, 2), (0.02, 10), (1.0, 16)])
def test_the_depth_is_set_from_the_round_trip(seconds: float, most: int) -> None:
    history = History(range(1, 5_001), lambda: seconds)
    pages, _ = read_all(history, 0, whole())
    assert history.most == most
    assert ids_of(pages) == list(range(1, 5_001))
    assert history.meters.stages["fetch"].workers == most


def test_many_small_ranges_are_read_at_once_too() -> None:
    history = History(range(1, 5_001))
    ranges = [Range(Span(low, low + 9)) for low in range(4_001, 1, -200)]
    pages, _ = read_all(history, 0, ranges)
    assert ids_of(pages) == history.inside(ranges)[::-1]
    assert len(history.asked) == len(ranges)
    assert history.most == 16


def test_an_empty_range_above_does_not_keep_the_others_shallow() -> None:
    history = History(range(1, 5_001))
    ranges = [Range(Span(5_001, NEWEST)), Range(Span(1, 4_000))]
    read_all(history, 0, ranges)
    assert history.most == 16


def test_what_a_range_wraps_its_requests_in_stays_around_all_of_them() -> None:
    history = History(range(1, 3_001))

    def wrap(invoke: Any) -> Any:
        return invoke

    read_all(history, 8, [Range(Span(500, NEWEST), wrap)])
    assert history.most > 1
    assert all(within.wrap is wrap for within, _ in history.asked)


@given(
    count=st.integers(0, 3_000),
    gaps=GAPS,
    depth=DEPTHS,
    seed=SEEDS,
    parts=st.integers(1, 6),
    own=st.booleans(),
    positions=st.booleans(),
)
@example(count=3_000, gaps=0.0, depth=16, seed=1, parts=4, own=True, positions=True)
@example(count=3_000, gaps=0.0, depth=16, seed=1, parts=4, own=False, positions=True)
@settings(max_examples=60)
def test_ranges_with_wraps_of_their_own_are_each_read_within_theirs(
    *, count: int, gaps: float, depth: int, seed: int, parts: int, own: bool, positions: bool
) -> None:
    """As a takeout divides a history: what a position counts may be the range's own messages or all."""
    history = History(with_gaps(count, gaps, seed), scattered(seed), own=own, positions=positions)
    ranges = split_ranges(history.ids, parts)
    pages, _ = read_all(history, depth, ranges)
    found = ids_of(pages)
    assert (found if own and positions else sorted(set(found))) == sorted(history.ids)
    assert unread(pages, ranges, max(history.ids, default=0)) == []
    assert history.most <= depth
    for within, _ in history.asked:
        wrap = cast("Wrap", within.wrap)
        assert wrap.span.low <= within.span.low or within.span == Span(
            1, wrap.span.low - 1
        )  # below it: once, to measure
        assert within.span.high <= wrap.span.high
    if own and positions:
        assert len(history.asked) <= 1.02 * history.worth(ranges) + len(ranges) + depth


def split_ranges(ids: Sequence[int], parts: int) -> list[Range]:
    """Ranges that divide all ids, newest first, each with its wrap; the newest has no end."""
    size = ceil((max(ids, default=0) + 1) / parts)
    starts = [1 + part * size for part in range(parts)]
    spans = [Span(low, NEWEST if low == starts[-1] else low + size - 1) for low in reversed(starts)]
    return [Range(span, Wrap(span)) for span in spans]


def test_ranges_with_wraps_are_read_at_once() -> None:
    history = History(range(1, 6_401))
    pages, seconds = read_all(history, 16, split_ranges(history.ids, 4))
    assert ids_of(pages) == list(range(1, 6_401))
    assert history.most == 16
    assert seconds <= 0.1 * (64 / 16 + 4)


def test_nothing_is_spent_on_measuring_while_requests_wait_for_their_turn() -> None:
    times = iter([5.0, 0.1])
    history = History(range(1, 5_001), lambda: next(times, 5.0))
    pages, _ = read_all(history, 16, [Range(Span(2_001, NEWEST)), Range(Span(1_501, 1_600))])
    assert ids_of(pages) == [*range(1_501, 1_601), *range(2_001, 5_001)]
    assert len(history.asked) == 31


def test_pages_that_were_handed_on_are_held_by_nobody() -> None:
    """However long the history: what remains of a page is where its chunk began."""
    history = History(range(1, 20_001))
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    async def main() -> None:
        nonlocal most
        async for page in source(history, 16)(CHAT, whole()):
            alive.add(page.messages[0])
            most = max(most, len(alive))

    virtually(main)
    assert most <= 3


def test_the_books_of_the_fetch_stage_are_complete() -> None:
    history = History(range(1, 2_001))
    pages, _ = read_all(history, 16, whole())
    stage = history.meters.stages["fetch"]
    assert stage.items == len(history.asked) == len(pages)
    assert stage.busy == pytest.approx(0.1 * stage.items)
    assert stage.wait_get > 0  # fifteen cursors wait for the first page


# ---------------------------------------------------------------- a server that does not


@given(
    count=st.integers(0, 2_500),
    gaps=GAPS,
    depth=DEPTHS,
    seed=SEEDS,
    positions=st.booleans(),
    offsets=st.booleans(),
    hidden=st.sampled_from((0, 1, 700)),
    many=st.integers(0, 4),
)
@example(count=2_500, gaps=0.9, depth=64, seed=5, positions=False, offsets=False, hidden=0, many=0)
@example(count=666, gaps=0.5, depth=3, seed=633_593, positions=False, offsets=False, hidden=0, many=3)
@settings(max_examples=80)
def test_nothing_is_lost_whatever_the_server_leaves_out(
    *, count: int, gaps: float, depth: int, seed: int, positions: bool, offsets: bool, hidden: int, many: int
) -> None:
    history = History(
        with_gaps(count, gaps, seed), scattered(seed), positions=positions, offsets=offsets, hidden=hidden
    )
    ranges = some_ranges(history.ids, many, seed) if many else whole()
    pages, _ = read_all(history, depth, ranges)
    assert set(ids_of(pages)) == set(history.inside(ranges))
    assert unread(pages, ranges, max(history.ids, default=0)) == []


@given(count=st.integers(0, 2_500), depth=DEPTHS, seed=SEEDS, positions=st.booleans(), many=st.integers(0, 3))
@settings(max_examples=80)
def test_a_page_cut_short_in_the_middle_is_no_end_or_is_told_to_be_doubtful(
    *, count: int, depth: int, seed: int, positions: bool, many: int
) -> None:
    chance = random.Random(seed)
    history = History(with_gaps(count, 0.5, seed), scattered(seed), positions=positions)
    history.shorten = lambda found: chance.randint(min(1, found), found) if chance.random() < 0.2 else found
    ranges = some_ranges(history.ids, many, seed) if many else whole()
    pages, _ = read_all(history, depth, ranges)
    assert unread(pages, ranges, max(history.ids, default=0)) == []
    missing = set(history.inside(ranges)) - set(ids_of(pages))
    doubted = [(page.span.low, page.messages[-1].id) for page in pages if page.doubtful]
    assert all(any(low <= one < high for low, high in doubted) for one in missing)
    if positions and not many:
        assert not missing  # positions say how much there is: nothing need be doubted


@given(count=st.integers(1, 2_500), gaps=GAPS, depth=DEPTHS, seed=SEEDS, positions=st.booleans())
@example(count=2_001, gaps=0.0, depth=9, seed=64_821, positions=True)
@settings(max_examples=80)
def test_what_stands_all_the_while_is_read_while_others_come_and_go(
    *, count: int, gaps: float, depth: int, seed: int, positions: bool
) -> None:
    chance = random.Random(seed)

    def meanwhile(history: History) -> None:
        if chance.random() < 0.3:
            for _ in range(chance.choice((1, 1, 3, 60))):
                if history.newest_first and chance.random() < 0.6:
                    del history.newest_first[chance.randrange(len(history.newest_first))]
                else:
                    history.newest_first.insert(0, max(history.newest_first, default=0) + 1)

    history = History(with_gaps(count, gaps, seed), scattered(seed), positions=positions, meanwhile=meanwhile)
    pages, _ = read_all(history, depth, whole())
    standing = set(history.ids) & set(history.newest_first)
    assert standing <= set(ids_of(pages))
    read: set[int] = set()
    for page in pages:  # after which a run may be stopped: what is told to be read then must have been
        read.update(message.id for message in page.messages)
        assert {one for one in standing if page.span.low <= one <= page.span.high} <= read
    assert unread(pages, whole(), min(max(standing, default=0), max(ids_of(pages), default=0))) == []


def test_positions_that_fit_by_accident_prove_nothing() -> None:
    """A message that was read goes, and then one comes on top: the positions fit together, and 100 lies between."""
    history = History(range(1, 301))

    async def main() -> None:
        upper = Chunk(Range(Span(1, 300)), 300, 1, left=300)
        lower = upper.split()
        first = await history.page(CHAT, Range(Span(upper.low, upper.high)))
        upper.begin(first)
        upper.advance(first)
        history.newest_first.remove(250)
        below = await history.page(CHAT, Range(Span(lower.low, lower.high)), skip=lower.skip)
        lower.begin(below)
        history.newest_first.insert(0, 301)
        last = await history.page(CHAT, Range(Span(upper.low, upper.high)))
        upper.advance(last)
        assert last.newer is not None
        assert last.newer + len(last.messages) == below.newer
        assert not upper.cut(last).ended
        assert (upper.low, upper.high) == (100, 100)

    virtually(main)


def test_a_server_that_disobeys_offsets_is_not_asked_in_parallel_for_long() -> None:
    history = History(range(1, 5_001), offsets=False)
    pages, _ = read_all(history, 8, whole())
    assert set(ids_of(pages)) == set(history.ids)
    assert len(history.asked) <= 50 + 2 * 8


def test_a_count_that_is_never_handed_out_does_not_cost_more_than_a_depth() -> None:
    history = History(range(1, 2_001), hidden=3_000)
    read_all(history, 8, whole())
    assert len(history.asked) <= 20 + 2 * 8


# ---------------------------------------------------------------- stopping


@pytest.mark.parametrize("fails", [1, 2, 7, 50])
@pytest.mark.parametrize("depth", [0, 1, 2, 16])
def test_a_request_that_fails_ends_the_source_with_its_error(depth: int, fails: int) -> None:
    history = History(range(1, 5_001), fails=fails)

    async def main() -> None:
        with pytest.raises(ConnectionError, match=f"request {fails}"):
            await asyncio.wait_for(read(source(history, depth), whole()), 60)
        assert len(asyncio.all_tasks()) == 1
        asked = len(history.asked)
        await settle_down()
        assert len(history.asked) == asked

    virtually(main)


def test_a_failure_of_a_cursor_that_came_later_is_told_at_once() -> None:
    history = History(range(1, 100_001), fails=30)

    async def main() -> None:
        with pytest.raises(ConnectionError):
            await read(source(history, 0), whole())

    virtually(main)
    assert len(history.asked) < 60


@pytest.mark.parametrize("depth", [1, 3, 16])
@pytest.mark.parametrize("queue", [1, 4])
def test_a_consumer_that_stops_reading_stops_the_requests(depth: int, queue: int) -> None:
    history = History(range(1, 50_001))

    async def main() -> None:
        pages = source(history, depth, queue)(CHAT, whole())
        async with aclosing(pages):
            await anext(pages)
            await asyncio.sleep(60)
            assert len(history.asked) <= 1 + queue + depth
            await anext(pages)
            await asyncio.sleep(60)
            assert len(history.asked) <= 2 + queue + depth
        assert len(asyncio.all_tasks()) == 1
        assert history.in_flight == 0

    virtually(main)


@given(depth=DEPTHS, after=st.integers(0, 40), seed=SEEDS)
@settings(max_examples=30)
def test_closed_early_it_leaves_nothing_behind(depth: int, after: int, seed: int) -> None:
    history = History(range(1, 5_001), scattered(seed))

    async def main() -> None:
        pages = source(history, depth)(CHAT, whole())
        async with aclosing(pages):
            for _ in range(after):
                await anext(pages)
        assert len(asyncio.all_tasks()) == 1

    virtually(main)


@given(depth=DEPTHS, after=st.floats(0, 0.3), seed=SEEDS)
@settings(max_examples=30)
def test_cancelled_it_leaves_nothing_behind(depth: int, after: float, seed: int) -> None:
    history = History(range(1, 50_001), scattered(seed))

    async def main() -> None:
        reading = asyncio.create_task(read(source(history, depth), whole()))
        await asyncio.sleep(after)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert len(asyncio.all_tasks()) == 1

    virtually(main)


@pytest.mark.parametrize(("before", "inside"), [((700, 10, 10), 10_000), ((50_000, 5, 5), 50_000), ((0, 10, 10), 0)])
def test_the_garbage_collector_is_left_as_it_was_found(before: tuple[int, int, int], inside: int) -> None:
    async def main() -> None:
        async with seldom_collected():
            assert gc.get_threshold() == (inside, *before[1:])
            raise LookupError

    own = gc.get_threshold()
    try:
        gc.set_threshold(*before)
        with pytest.raises(LookupError):
            virtually(main)
        assert gc.get_threshold() == before
    finally:
        gc.set_threshold(*own)


def test_the_knobs_are_declared_as_the_plugin_reads_them() -> None:
    plugin = AsyncPipeline({knob.name: knob.default for knob in manifest.knobs})
    history = History(range(1, 1_001))
    assert len(virtually(lambda: read(plugin.tobs_source(cast("Any", history)), whole()))) == 10
