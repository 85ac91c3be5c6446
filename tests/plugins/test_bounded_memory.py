"""bounded_memory: shares that are never overdrawn, and what is set for a run holds no longer."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.virtual import settle_down
from tobs.meters import Level, Meters
from tobs.values import Traffic
from tobs_bounded_memory import manifest, system
from tobs_bounded_memory.budget import PAGE_COST, PART_COST, BoundedBudget, cost
from tobs_bounded_memory.plugin import BoundedMemory
from tobs_bounded_memory.watch import MEGA

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.ports import Budget

HISTORY, MEDIA = Traffic.HISTORY, Traffic.MEDIA
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the system does not say what the process holds")


def budget_of(history: int, media: int, meters: Meters | None = None) -> BoundedBudget:
    made = BoundedBudget(meters or Meters(), lambda: None)
    made.resize(cost(history, HISTORY), cost(media, MEDIA))
    return made


class Holder:
    """Holds bytes until told to let go."""

    def __init__(self, budget: Budget, size: int, traffic: Traffic = MEDIA) -> None:
        self.held = False
        self.go = asyncio.Event()
        self.task = asyncio.ensure_future(self._hold(budget, size, traffic))

    async def _hold(self, budget: Budget, size: int, traffic: Traffic) -> None:
        async with budget.hold(size, traffic):
            self.held = True
            await self.go.wait()
        self.held = False


async def let_go(*holders: Holder) -> None:
    for one in holders:
        one.go.set()
    await asyncio.gather(*(one.task for one in holders))


# ---------------------------------------------------------------- the shares


async def test_who_comes_first_is_served_first_even_if_a_later_one_would_fit() -> None:
    budget = budget_of(10, 100)
    held, large, small = Holder(budget, 50), Holder(budget, 80), Holder(budget, 10)
    await settle_down()
    assert (held.held, large.held, small.held) == (True, False, False)
    await let_go(held)
    await settle_down()
    assert (large.held, small.held) == (True, True)
    await let_go(large, small)


async def test_more_than_a_share_is_granted_alone() -> None:
    budget = budget_of(10, 100)
    small, huge, after = Holder(budget, 1), Holder(budget, 10**9), Holder(budget, 1)
    await settle_down()
    assert (small.held, huge.held, after.held) == (True, False, False)
    await let_go(small)
    await settle_down()
    assert (huge.held, after.held) == (True, False)
    await let_go(huge, after)


async def test_without_any_room_one_page_and_one_part_move_at_a_time() -> None:
    budget = budget_of(0, 0)
    pages = [Holder(budget, 10, HISTORY) for _ in range(3)]
    parts = [Holder(budget, 10) for _ in range(3)]
    for _ in range(3):
        await settle_down()
        moving = [one for one in (*pages, *parts) if one.held]
        assert len(moving) == 2
        await let_go(*moving)


async def test_pages_and_parts_count_as_what_they_take_in_memory() -> None:
    meters = Meters()
    budget = budget_of(30, 30, meters)
    async with budget.hold(10, HISTORY), budget.hold(10, HISTORY), budget.hold(7 * PART_COST, MEDIA):
        levels = {name: (level.held, level.limit) for name, level in meters.levels.items()}
    assert levels == {"budget_history": (20 * PAGE_COST, 30 * PAGE_COST), "budget_media": (7, 30 // PART_COST)}
    assert (budget.most(HISTORY), budget.most(MEDIA)) == (20 * PAGE_COST, 7)
    assert meters.stages["budget_history"].items == 2


async def test_a_share_that_shrinks_takes_nothing_away_and_lets_nobody_in_before_there_is_room() -> None:
    budget = budget_of(0, 100)
    first, second = Holder(budget, 60), Holder(budget, 40)
    await settle_down()
    budget.resize(0, cost(50, MEDIA))
    third = Holder(budget, 10)
    await let_go(second)
    await settle_down()
    assert (first.held, third.held) == (True, False)
    budget.resize(0, cost(72, MEDIA))
    await settle_down()
    assert third.held
    await let_go(first, third)


async def test_a_cancelled_waiter_lets_the_next_one_in() -> None:
    budget = budget_of(10, 100)
    held, large, small = Holder(budget, 50), Holder(budget, 80), Holder(budget, 10)
    await settle_down()
    large.task.cancel()
    await settle_down()
    assert small.held
    await let_go(held, small)


async def test_a_waiter_cancelled_in_the_moment_it_is_served_gives_back() -> None:
    meters = Meters()
    budget = budget_of(10, 100, meters)
    async with budget.hold(100, MEDIA):
        next_one = Holder(budget, 100)
        await settle_down()
    next_one.task.cancel()  # it is served, and does not know yet
    await settle_down()
    assert meters.levels["budget_media"].held == 0


async def test_waiting_for_room_is_booked() -> None:
    meters = Meters()
    budget = budget_of(0, 10, meters)
    first, second = Holder(budget, 10), Holder(budget, 10)
    await settle_down()
    await let_go(first)
    await let_go(second)
    stage = meters.stages["budget_media"]
    assert stage.items == 2
    assert stage.blocked_put > 0


class Checked(Level):
    """A level that keeps what was let in, in order: what fits into the limit of that moment, or is alone."""

    let_in: list[int]

    def change(self, by: int) -> None:
        assert by <= 0 or not self.held or self.held + by <= self.limit
        super().change(by)
        if by > 0:
            self.let_in.append(by)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=60)
def test_whatever_happens_no_share_is_overdrawn_all_come_in_order_and_all_is_given_back(seed: int) -> None:
    chance = random.Random(seed)
    meters = Meters()
    for name in ("budget_history", "budget_media"):
        level = meters.levels[name] = Checked(name)
        level.let_in = []
    asked: dict[Traffic, list[int]] = {HISTORY: [], MEDIA: []}

    async def main() -> None:
        budget = budget_of(150, 300, meters)

        async def once(size: int, traffic: Traffic) -> None:
            asked[traffic].append(size)
            async with budget.hold(size, traffic):
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)

        tasks = []
        for size in chance.sample(
            range(PART_COST, 130 * PART_COST, PART_COST), 80
        ):  # each another one, so that each is known again
            tasks.append(asyncio.ensure_future(once(size, chance.choice([HISTORY, MEDIA]))))
            if chance.random() < 0.3:
                await asyncio.sleep(0)
            if chance.random() < 0.2:
                chance.choice(tasks).cancel()
            if chance.random() < 0.1:
                budget.resize(chance.randrange(150 * PAGE_COST), chance.randrange(300 // PART_COST))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
        assert any(outcome is None for outcome in outcomes)

    asyncio.run(asyncio.wait_for(main(), 20))
    for traffic in Traffic:
        checked = meters.levels[f"budget_{traffic}"]
        assert isinstance(checked, Checked)
        let_in = set(checked.let_in)
        assert checked.let_in == [cost(size, traffic) for size in asked[traffic] if cost(size, traffic) in let_in]
        assert checked.held == 0


# ---------------------------------------------------------------- the system


@LINUX
def test_the_system_says_what_is_held(tmp_path: Path) -> None:
    before = system.resident()
    block = bytearray(b"x" * (64 * MEGA))
    after = system.resident()
    assert before is not None
    assert after is not None
    assert after - before > 48 * MEGA
    assert len(block) == 64 * MEGA
    assert system.resident(tmp_path / "none") is None


def limit_of_sqlite() -> int:
    with closing(sqlite3.connect(":memory:")) as db:
        return int(db.execute("PRAGMA soft_heap_limit").fetchone()[0])


def test_the_database_is_bounded_in_every_connection_and_no_longer_afterwards() -> None:
    assert limit_of_sqlite() == 0
    with system.database_bounded(2 * MEGA):
        assert limit_of_sqlite() == 2 * MEGA
        with system.database_bounded(8 * MEGA):
            assert limit_of_sqlite() == 2 * MEGA, "a lower bound stays"
        assert limit_of_sqlite() == 2 * MEGA
    assert limit_of_sqlite() == 0


# ---------------------------------------------------------------- the plugin


class Scope:
    """Of the context, what the plugin takes."""

    def __init__(self) -> None:
        self.meters = Meters()


def plugin(**knobs: int) -> BoundedMemory:
    return BoundedMemory({knob.name: knobs.get(knob.name, knob.default) for knob in manifest.knobs})


def asked(made: BoundedMemory) -> tuple[Any, BoundedBudget]:
    ctx: Any = Scope()
    budget = made.tobs_budget(ctx)
    assert isinstance(budget, BoundedBudget)
    return ctx, budget


async def test_what_it_sets_holds_for_the_lifespan_and_no_longer() -> None:
    made = plugin()
    ctx, _ = asked(made)
    assert gc.get_freeze_count() == 0

    async def failing() -> None:
        async with made.tobs_lifespan(ctx):
            assert gc.get_freeze_count() > 0
            assert limit_of_sqlite() == 2 * MEGA
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await failing()
    assert gc.get_freeze_count() == 0
    assert limit_of_sqlite() == 0


@LINUX
async def test_the_most_that_was_held_is_told(caplog: pytest.LogCaptureFixture) -> None:
    made = plugin(memory_mb=4096)
    ctx, budget = asked(made)
    with caplog.at_level(logging.INFO, "tobs_bounded_memory"):
        async with made.tobs_lifespan(ctx), budget.hold(6 * MEGA, MEDIA), budget.hold(100_000, HISTORY):
            pass
    assert "pages 2.0, parts 2.0;" in caplog.text
    assert ctx.meters.levels["memory"].peak > 10 * MEGA
    assert ctx.meters.levels["memory"].limit == 4096 * MEGA


@LINUX
async def test_an_aim_that_cannot_be_had_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    made = plugin(memory_mb=16)
    ctx, _ = asked(made)
    async with made.tobs_lifespan(ctx):
        pass
    assert "bounded_memory.memory_mb=16 is less than" in caplog.text
