"""Bytes in flight: bounded, first come first served, a share for each traffic."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.virtual import settle_down
from tobs.engine.budget import ByteBudget
from tobs.values import Traffic

HISTORY, MEDIA = Traffic.HISTORY, Traffic.MEDIA


class Holder:
    """Holds bytes until told to let go."""

    def __init__(self, budget: ByteBudget, size: int, traffic: Traffic = MEDIA) -> None:
        self.held = False
        self.go = asyncio.Event()
        self.task = asyncio.ensure_future(self._hold(budget, size, traffic))

    async def _hold(self, budget: ByteBudget, size: int, traffic: Traffic) -> None:
        async with budget.hold(size, traffic):
            self.held = True
            await self.go.wait()
        self.held = False


async def test_a_budget_tells_what_is_held_of_its_shares() -> None:
    budget = ByteBudget(10, 100)
    first, second = Holder(budget, 60), Holder(budget, 50)
    await settle_down()
    assert budget.shares() == [("budget_history", 0, 10), ("budget_media", 60, 100)]
    for holder in (first, second):
        holder.go.set()
    await asyncio.gather(first.task, second.task)
    assert budget.shares() == [("budget_history", 0, 10), ("budget_media", 0, 100)]


async def test_a_share_is_never_overdrawn() -> None:
    budget = ByteBudget(10, 100)
    first, second, third = Holder(budget, 60), Holder(budget, 40), Holder(budget, 1)
    await settle_down()
    assert (first.held, second.held, third.held) == (True, True, False)
    second.go.set()
    await settle_down()
    assert third.held
    first.go.set()
    third.go.set()
    await asyncio.gather(first.task, second.task, third.task)


async def test_who_comes_first_is_served_first_even_if_a_later_one_would_fit() -> None:
    budget = ByteBudget(10, 100)
    held, large, small = Holder(budget, 50), Holder(budget, 80), Holder(budget, 10)
    await settle_down()
    assert (large.held, small.held) == (False, False)
    held.go.set()
    await settle_down()
    assert (large.held, small.held) == (True, True)
    large.go.set()
    small.go.set()
    await asyncio.gather(held.task, large.task, small.task)


async def test_shares_do_not_touch_each_other() -> None:
    budget = ByteBudget(10, 100)
    batches = [Holder(budget, 10, HISTORY) for _ in range(5)]
    part = Holder(budget, 100)
    await settle_down()
    assert part.held
    assert [one.held for one in batches] == [True, False, False, False, False]
    for one in [part, *batches]:
        one.go.set()
    await asyncio.gather(part.task, *(one.task for one in batches))


async def test_more_than_a_share_is_granted_alone() -> None:
    budget = ByteBudget(10, 100)
    small, huge = Holder(budget, 1), Holder(budget, 10**9)
    await settle_down()
    assert (small.held, huge.held) == (True, False)
    small.go.set()
    await settle_down()
    after = Holder(budget, 1)
    await settle_down()
    assert (huge.held, after.held) == (True, False)
    huge.go.set()
    after.go.set()
    await asyncio.gather(small.task, huge.task, after.task)


async def test_a_cancelled_waiter_lets_the_next_one_in() -> None:
    budget = ByteBudget(10, 100)
    held, large, small = Holder(budget, 50), Holder(budget, 80), Holder(budget, 10)
    await settle_down()
    large.task.cancel()
    await settle_down()
    assert small.held
    held.go.set()
    small.go.set()
    await asyncio.gather(held.task, small.task)


async def test_a_waiter_cancelled_in_the_moment_it_is_served_gives_back() -> None:
    budget = ByteBudget(10, 100)
    async with budget.hold(100, MEDIA):
        next_one = Holder(budget, 100)
        await settle_down()
    next_one.task.cancel()  # it is served, and does not know yet
    await settle_down()
    last = Holder(budget, 100)
    await settle_down()
    assert last.held
    last.go.set()
    await last.task


async def test_bytes_come_back_when_the_block_fails() -> None:
    budget = ByteBudget(10, 100)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            async with budget.hold(100, MEDIA):
                raise RuntimeError
    async with budget.hold(100, MEDIA):
        pass


@given(seed=st.integers(0, 10_000))
@settings(max_examples=50)
def test_whatever_happens_the_bound_holds_and_all_is_given_back(seed: int) -> None:
    chance = random.Random(seed)

    async def main() -> None:
        budget = ByteBudget(50, 100)
        bound = {HISTORY: 50, MEDIA: 100}
        held = {HISTORY: 0, MEDIA: 0}

        async def once(size: int, traffic: Traffic) -> None:
            async with budget.hold(size, traffic):
                held[traffic] += min(size, bound[traffic])
                try:
                    assert held[traffic] <= bound[traffic]
                    for _ in range(chance.randrange(4)):
                        await asyncio.sleep(0)
                finally:
                    held[traffic] -= min(size, bound[traffic])

        tasks = []
        for _ in range(60):
            tasks.append(asyncio.ensure_future(once(chance.randrange(130), chance.choice([HISTORY, MEDIA]))))
            if chance.random() < 0.3:
                await asyncio.sleep(0)
            if chance.random() < 0.2:
                chance.choice(tasks).cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
        async with budget.hold(50, HISTORY), budget.hold(100, MEDIA):
            pass

    asyncio.run(asyncio.wait_for(main(), 20))
