"""async_pipeline's stages: commit before media, bounded, and nothing held or running when they end."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.fakes import CHAT, FakeBooks, Seen, batch_of, page_of, ref
from tests.engine.virtual import now, virtually
from tests.plugins.fakes_history import History, whole
from tobs.engine.budget import ByteBudget
from tobs.ports import Flow, Range
from tobs.values import Batch, MediaRef, Page, Traffic
from tobs_async_pipeline.runner import PipelinedRunner
from tobs_async_pipeline.source import PipelinedSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from tobs.values import Chat

PAGES = 30


class BrokenError(Exception):
    """What a stage fails with."""


@dataclass
class Bookkeeper:
    """A budget that counts who holds."""

    holding: int = 0
    most: int = 0
    taken: int = 0

    @asynccontextmanager
    async def hold(self, size: int, traffic: Traffic) -> AsyncIterator[None]:
        assert size > 0
        assert traffic is Traffic.HISTORY
        await asyncio.sleep(0)
        self.holding += 1
        self.taken += 1
        self.most = max(self.most, self.holding)
        try:
            yield
        finally:
            self.holding -= 1


@dataclass
class Line:
    """A flow of `PAGES` pages whose stages take their time, and one of which may fail at its `at`-th item."""

    breaks: str = ""
    at: int = 5
    slow: str = ""
    budget: Any = field(default_factory=Bookkeeper)
    books: FakeBooks = field(default_factory=FakeBooks)
    seen: Seen = field(default_factory=Seen)
    log: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    closed: bool = False

    async def step(self, stage: str) -> None:
        self.note(stage)
        await asyncio.sleep(100.0 if stage == self.slow else 0.01)

    def note(self, stage: str) -> None:
        self.counts[stage] = self.counts.get(stage, 0) + 1
        if stage == self.breaks and self.counts[stage] == self.at:
            raise BrokenError(stage)

    async def source(self, chat: Chat, ranges: Sequence[Range]) -> AsyncGenerator[Page]:
        assert chat is CHAT
        assert ranges
        try:
            for number in range(PAGES, 0, -1):
                await self.step("source")
                yield page_of([number])
        finally:
            self.closed = True

    def normalise(self, page: Page) -> Batch:
        self.note("normalise")
        number = page.messages[0].id
        return batch_of(page, [ref(number, message_id=number)] if number % 2 else [])

    async def commit(self, batch: Batch) -> None:
        await self.step("commit")
        self.log.append(f"commit {batch.messages[0].id}")

    async def settle(self, outcomes: Any) -> None:
        raise AssertionError(outcomes)

    async def submit(self, refs: Sequence[MediaRef]) -> None:
        self.log.append(f"media {refs[0].message_id}")
        await self.step("submit")

    def expect_nothing_left(self) -> None:
        """Now, not when the loop ends: what is collected as garbage then was lost until then."""
        assert len(asyncio.all_tasks()) == 1
        assert self.closed == ("source" in self.counts)
        assert self.budget.holding == 0

    @property
    def flow(self) -> Flow:
        return Flow(self.source, self.normalise, self, self.submit, self.budget, [self.seen])


def runner(batches: int = 4, media: int = 8) -> PipelinedRunner:
    return PipelinedRunner(cast("Any", History([])), 0, batches, media)


@given(batches=st.integers(1, 5), media=st.integers(1, 5), slow=st.sampled_from(("", "source", "commit", "submit")))
@settings(max_examples=20)
def test_every_page_is_committed_and_only_then_are_its_media_submitted(batches: int, media: int, slow: str) -> None:
    line = Line(slow=slow)

    async def main() -> None:
        await runner(batches, media)(CHAT, whole(), line.flow)
        assert len(asyncio.all_tasks()) == 1

    virtually(main)
    assert [entry for entry in line.log if entry.startswith("commit")] == [f"commit {n}" for n in range(PAGES, 0, -1)]
    for number in range(1, PAGES + 1, 2):
        assert line.log.index(f"commit {number}") < line.log.index(f"media {number}")
    assert len(line.seen.batches) == PAGES
    assert line.budget.taken == PAGES
    assert line.budget.holding == 0
    # In the queue, in the commit, and one that waits to be handed on.
    assert line.budget.most <= batches + 2


def test_stages_overlap() -> None:
    line = Line()

    async def main() -> float:
        await runner()(CHAT, whole(), line.flow)
        return now()

    assert virtually(main) < 0.01 * (PAGES + 5)


def test_media_that_are_not_accepted_stop_the_reading() -> None:
    line = Line(slow="submit")

    async def main() -> None:
        run = asyncio.create_task(runner(batches=2, media=1)(CHAT, whole(), line.flow))
        await asyncio.sleep(90)
        # Every other page has media: one is submitted, one waits, one cannot be handed on, then batches pile up.
        assert line.counts["source"] <= 2 * 3 + 2 + 2
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        line.expect_nothing_left()

    virtually(main)


@pytest.mark.parametrize("slow", ["", "commit", "submit"])
@pytest.mark.parametrize("at", [1, 2, 9])
@pytest.mark.parametrize("breaks", ["source", "normalise", "commit", "submit"])
def test_the_first_failure_stops_all_stages_and_gives_everything_back(breaks: str, at: int, slow: str) -> None:
    line = Line(breaks, at, slow)

    async def main() -> None:
        with pytest.raises(BrokenError, match=breaks):
            await asyncio.wait_for(runner(1, 1)(CHAT, whole(), line.flow), 10_000)
        line.expect_nothing_left()

    virtually(main)


@given(after=st.floats(0, 0.5), slow=st.sampled_from(("", "source", "commit", "submit")), queue=st.integers(1, 4))
@settings(max_examples=40)
def test_cancelled_anywhere_it_gives_everything_back(after: float, slow: str, queue: int) -> None:
    line = Line(slow=slow)

    async def main() -> None:
        run = asyncio.create_task(runner(queue, queue)(CHAT, whole(), line.flow))
        await asyncio.sleep(after)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        line.expect_nothing_left()

    virtually(main)


def test_a_budget_of_one_page_at_a_time_is_enough() -> None:
    line = Line(budget=ByteBudget(1, 1))
    virtually(lambda: runner()(CHAT, whole(), line.flow))
    assert len(line.seen.batches) == PAGES
    assert line.budget._free[Traffic.HISTORY] == 1


def rows(page: Page) -> Batch:
    """A batch of messages that are no more than ids."""
    return Batch(CHAT.id, page.span, cast("Any", page.messages), [], [])


@pytest.mark.parametrize(("slow", "name"), [("commit", "batches"), ("submit", "media")])
def test_a_queue_of_its_own_size_stays_small_before_a_stage_that_is_always_late(slow: str, name: str) -> None:
    line, ctx = Line(slow=slow), History([])
    virtually(lambda: PipelinedRunner(cast("Any", ctx), 0, 0, 0)(CHAT, whole(), line.flow))
    assert len(line.seen.batches) == PAGES
    assert ctx.meters.queues[name].capacity <= 4


def test_queues_of_their_own_size_widen_for_bursts_up_to_the_requests_in_flight() -> None:
    """All answers come at the same moment, and there is time until the next."""
    history, line = History(range(1, 4_001)), Line()

    async def main() -> None:
        source = PipelinedSource(cast("Any", history), 16, 0)
        flow = Flow(source, rows, line, line.submit, line.budget, [])
        await PipelinedRunner(cast("Any", history), 16, 0, 0)(CHAT, whole(), flow)

    virtually(main)
    assert 8 <= history.meters.queues["pages"].capacity <= 16
    assert history.meters.queues["batches"].capacity <= 16
    assert all(queue.depth == 0 for queue in history.meters.queues.values())


def test_waiting_for_bytes_is_told() -> None:
    line, ctx = Line(budget=ByteBudget(1, 1), slow="commit"), History([])
    virtually(lambda: PipelinedRunner(cast("Any", ctx), 0, 4, 4)(CHAT, whole(), line.flow))
    assert ctx.meters.stages["normalise"].blocked_put > 0
    assert ctx.meters.stages["normalise"].items == ctx.meters.stages["commit"].items == PAGES


@given(seed=st.integers(0, 1_000), fails=st.one_of(st.none(), st.integers(1, 60)))
@settings(max_examples=30)
def test_source_and_runner_together_keep_everything_or_end_with_the_error(seed: int, fails: int | None) -> None:
    chance = random.Random(seed)
    history = History(range(1, 4_001), lambda: chance.uniform(0.01, 0.1), fails=fails)
    books, budget = FakeBooks(), Bookkeeper()

    async def nothing(refs: Sequence[MediaRef]) -> None:
        raise AssertionError(refs)

    async def main() -> None:
        source = PipelinedSource(cast("Any", history), 8, 2)
        flow = Flow(source, rows, books, nothing, budget, [])
        if fails is not None and fails <= 40:
            with pytest.raises(ConnectionError):
                await runner(1, 1)(CHAT, whole(), flow)
        else:
            await runner(1, 1)(CHAT, whole(), flow)
            assert books.kept == set(range(1, 4_001))
        assert len(asyncio.all_tasks()) == 1
        assert budget.holding == 0

    virtually(main)
    # Whatever is covered is kept, also after a failure: the next run goes on from there.
    assert {one for span in books.covered for one in range(span.low, min(span.high, 4_000) + 1)} <= books.kept
