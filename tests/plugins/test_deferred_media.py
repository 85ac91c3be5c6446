"""deferred_media's backlog: accepted at once, bounded, handed on in order, and nothing left when it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.fakes import ref
from tests.engine.virtual import now, settle_down, virtually
from tobs.errors import ArchiveError, LostError
from tobs.meters import Meters
from tobs_deferred_media import manifest
from tobs_deferred_media.ages import Ages
from tobs_deferred_media.backlog import CHUNK, Backlog
from tobs_deferred_media.plugin import DeferredMedia

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tobs.values import MediaRef

FULL = ArchiveError("full", hint="Make room.")


class Surroundings:
    """The part of core that the plugin takes; reading messages again takes no time and finds all of them."""

    def __init__(self) -> None:
        self.meters = Meters()
        self.asked: list[int] = []

    async def refresh(self, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        wanted = list(refs)
        self.asked.append(len(wanted))
        return {(one.message_id, one.file_id): one._replace(reference=b"new") for one in wanted}


@dataclass
class Inner:
    """What stands below: takes `seconds` a file, and fails at the file `breaks`."""

    seconds: float = 0.0
    breaks: int = -1
    failure: BaseException = FULL
    got: list[list[int]] = field(default_factory=list)
    since: list[float] = field(default_factory=list)

    async def __call__(self, refs: Sequence[MediaRef]) -> None:
        self.got.append([one.file_id for one in refs])
        self.since.append(now())
        for one in refs:
            if self.seconds:
                await asyncio.sleep(self.seconds)
            if one.file_id == self.breaks:
                raise self.failure

    @property
    def files(self) -> list[int]:
        return [number for chunk in self.got for number in chunk]


def backlog(inner: Inner, ctx: Any = None, *, size: int = 1_000, after: bool = False, age: float = 1e9) -> Backlog:
    around: Any = ctx or Surroundings()
    return Backlog(inner, around, Ages(age, now), size=size, after=after)


def page(number: int, files: int = 10) -> list[MediaRef]:
    """A page's references, by message id as by file id."""
    first = number * 100
    return [ref(first + place, message_id=first + place) for place in range(files)]


def alone() -> None:
    """Nothing else runs."""
    assert len(asyncio.all_tasks()) == 1


def test_history_does_not_wait_for_media() -> None:
    inner = Inner(seconds=1.0)

    async def main() -> None:
        it = backlog(inner)
        async with it.fed():
            for number in range(5):
                await it(page(number))
            assert now() == 0.0
            await asyncio.sleep(7)
            assert inner.got, "media flow while history is read, also where that waits"
            await it.drain()
        alone()

    virtually(main)
    assert inner.files == [one.file_id for number in range(5) for one in page(number)]


@pytest.mark.parametrize("after", [False, True])
def test_media_begin_when_they_should(*, after: bool) -> None:
    inner = Inner()

    async def main() -> None:
        it = backlog(inner, after=after)
        async with it.fed():
            await it(page(0))
            await asyncio.sleep(10)
            await it(page(1))
            await asyncio.sleep(10)
            await it.drain()

    virtually(main)
    assert inner.since == ([20.0] if after else [0.0, 10.0])
    assert len(inner.files) == 20


@given(
    size=st.integers(0, 60),
    pages=st.lists(st.integers(1, 30), max_size=12),
    seconds=st.sampled_from((0.0, 0.1, 1.0)),
    pause=st.sampled_from((0.0, 0.5, 5.0)),
    after=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_never_more_wait_than_may_and_what_does_not_fit_is_the_archives(
    size: int, pages: list[int], seconds: float, pause: float, *, after: bool
) -> None:
    inner = Inner(seconds)
    ctx = Surroundings()
    everything = [one for number, files in enumerate(pages) for one in page(number, files)]

    async def main() -> None:
        it = backlog(inner, ctx, size=size, after=after)
        waiting = ctx.meters.queues["deferred"]
        async with it.fed():
            for number, files in enumerate(pages):
                await it(page(number, files))
                assert waiting.depth <= size
                await asyncio.sleep(pause)
                assert waiting.depth <= size
            await it.drain()
            assert waiting.depth == 0
            left = [one for one in everything if one.file_id not in set(inner.files)]
            for start in range(0, len(left), CHUNK):  # as core does, from its ledger
                await it(left[start : start + CHUNK])
            await it.drain()
        alone()

    virtually(main)
    assert sorted(inner.files) == [one.file_id for one in everything], "nothing is lost, and nothing handed on twice"
    assert not ctx.asked, "what this run read is fresh, whether it was kept or let go"
    assert all(len(chunk) <= CHUNK for chunk in inner.got)
    assert ctx.meters.stages["deferred"].items == len(everything)


def test_drain_returns_when_the_agenda_has_everything_and_not_before() -> None:
    inner = Inner(seconds=1.0)

    async def main() -> None:
        it = backlog(inner)
        async with it.fed():
            await it(page(0))
            await it.drain()
            assert now() == 10.0
            await it.drain()
            assert now() == 10.0

    virtually(main)


def test_drain_hands_on_where_nobody_feeds() -> None:
    inner = Inner(seconds=1.0)

    async def main() -> None:
        it = backlog(inner)
        await it(page(0))
        assert not inner.got
        await it.drain()
        assert now() == 10.0

    virtually(main)


def test_after_drain_whoever_submits_waits_for_the_agenda() -> None:
    inner = Inner(seconds=1.0)

    async def main() -> None:
        it = backlog(inner)
        async with it.fed():
            await it.drain()
            await it(page(0))
            assert now() == 10.0

    virtually(main)


@pytest.mark.parametrize("failure", [FULL, RuntimeError("odd"), asyncio.CancelledError()])
def test_what_stops_the_feeding_stops_the_run_at_once(failure: BaseException) -> None:
    inner = Inner(seconds=1.0, breaks=3, failure=failure)

    async def run(it: Backlog) -> None:
        async with it.fed():
            await it(page(0))
            await asyncio.sleep(1_000)  # history waits, for a flood perhaps

    async def main() -> None:
        it = backlog(inner)
        with pytest.raises(BaseExceptionGroup) as failed:
            await run(it)
        assert now() == 4.0
        (raised,) = failed.value.exceptions
        if isinstance(failure, asyncio.CancelledError):
            assert isinstance(raised, LostError)
        else:
            assert raised is failure
        with pytest.raises(type(raised)):
            await it(page(1))
        with pytest.raises(type(raised)):
            await it.drain()
        alone()

    virtually(main)
    assert inner.files == [one.file_id for one in page(0)]


def test_what_fails_the_run_ends_the_feeding() -> None:
    inner = Inner(seconds=1.0)
    ctx = Surroundings()

    async def run(it: Backlog) -> None:
        async with it.fed():
            for number in range(30):
                await it(page(number))
            await asyncio.sleep(2.5)
            raise FULL

    async def main() -> None:
        it = backlog(inner, ctx)
        with pytest.raises(BaseExceptionGroup) as failed:
            await run(it)
        assert failed.value.exceptions == (FULL,)
        assert now() == 2.5
        alone()
        with pytest.raises(LostError):
            await it(page(31))

    virtually(main)
    assert len(inner.got) == 1
    assert ctx.meters.queues["deferred"].depth == 0


@pytest.mark.parametrize("moment", [0.0, 2.5])
def test_a_run_that_is_cancelled_leaves_no_task(moment: float) -> None:
    inner = Inner(seconds=1.0)

    async def run() -> None:
        it = backlog(inner)
        async with it.fed():
            await it(page(0))
            await it.drain()

    async def main() -> None:
        running = asyncio.ensure_future(run())
        await settle_down()
        await asyncio.sleep(moment)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        alone()

    virtually(main)


def test_small_batches_that_wait_are_handed_on_together() -> None:
    inner = Inner(seconds=1.0)

    async def main() -> None:
        it = backlog(inner)
        async with it.fed():
            await it(page(0, 1))
            await settle_down()
            for number in range(1, 30):
                await it(page(number, 7))
            await it.drain()

    virtually(main)
    assert [len(chunk) for chunk in inner.got] == [1, 98, 98, 7]


def test_the_plugin_feeds_in_its_lifespan_and_ends_with_it() -> None:
    inner = Inner(seconds=1.0)
    ctx: Any = Surroundings()

    async def main() -> None:
        plugin = DeferredMedia({knob.name: knob.default for knob in manifest.knobs})
        submit: Any = plugin.tobs_submit(ctx)(inner)
        async with plugin.tobs_lifespan(ctx):
            await submit(page(0))
            await submit.drain()
            assert now() == 10.0
        alone()

    virtually(main)


async def test_without_an_export_there_is_nothing_to_feed() -> None:
    plugin = DeferredMedia({knob.name: knob.default for knob in manifest.knobs})
    ctx: Any = Surroundings()
    async with plugin.tobs_lifespan(ctx):
        alone()
