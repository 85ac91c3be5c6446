"""Queues keep their books, stay bounded, and widen only for bursts."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.virtual import virtually
from tobs.meters import MeteredQueue, Meters


def queue_of(meters: Meters, capacity: int, most: int = 0) -> MeteredQueue[int]:
    return MeteredQueue(meters, "queue", capacity, meters.stage("giver"), meters.stage("taker"), most=most)


async def pass_on(queue: MeteredQueue[int], bursts: int, size: int, *, every: float, work: float) -> list[int]:
    """`bursts` times `size` items at once, `every` so many seconds; each takes the taker `work` seconds."""
    taken: list[int] = []

    async def give() -> None:
        for burst in range(bursts):
            givers = [asyncio.ensure_future(queue.put(burst * size + number)) for number in range(size)]
            await asyncio.gather(*givers)
            await asyncio.sleep(every)

    async def take() -> None:
        while len(taken) < bursts * size:
            taken.append(await queue.get())
            await asyncio.sleep(work)

    await asyncio.gather(give(), take())
    return taken


def test_bursts_that_the_taker_has_time_for_widen_the_queue_until_they_fit() -> None:
    meters = Meters()
    taken = virtually(lambda: pass_on(queue_of(meters, 2, 16), 8, 12, every=10, work=0.1))
    assert taken == list(range(96))
    assert meters.queues["queue"].capacity == 16


def test_a_taker_that_is_always_late_finds_no_more_waiting_for_it() -> None:
    meters = Meters()
    virtually(lambda: pass_on(queue_of(meters, 2, 16), 8, 12, every=0.1, work=1.0))
    assert meters.queues["queue"].capacity <= 4  # it waited for the very first item alone
    assert meters.stages["giver"].blocked_put > 0
    assert meters.queues["queue"].depth == 0


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_queue_that_may_not_widen_stays_as_it_is(most: int) -> None:
    meters = Meters()
    queue = queue_of(meters, 2, most)
    assert len(virtually(lambda: pass_on(queue, 8, 12, every=10, work=0.1))) == 96
    assert meters.queues["queue"].capacity == 2


def test_both_sides_are_told_how_long_they_waited() -> None:
    meters = Meters()

    async def main() -> None:
        queue = queue_of(meters, 1)
        getting = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        await queue.put(1)
        await getting
        await queue.put(2)
        putting = asyncio.ensure_future(queue.put(3))
        await asyncio.sleep(0)
        assert not putting.done()
        assert await queue.get() == 2
        await putting
        assert await queue.get() == 3

    virtually(main)
    assert meters.stages["taker"].wait_get > 0
    assert meters.stages["giver"].blocked_put > 0
    assert meters.queues["queue"].depth == 0


def test_steps_add_up_and_the_run_is_cut_by_what_was_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("tobs.meters.time.perf_counter", lambda: now)
    meters = Meters()
    far, near, disk = meters.step("media", 4), meters.step("media", 2), meters.step("write")
    for seconds, begins, ends in (
        (1.0, [far], []),
        (2.0, [near], []),
        (3.0, [far, disk], []),
        (4.0, [], [far, far]),
        (5.0, [], [near]),
        (6.0, [], [disk]),
    ):
        for step in begins:
            step.begin()
        for step in ends:
            step.end()
        now += seconds
    assert meters.step("media", 4) is far
    assert (far.count, far.peak, far.active, far.integral) == (2, 2, 6.0, 1 + 2 + 2 * 3)
    assert (near.count, near.active, near.integral) == (1, 9.0, 9.0)
    bits = meters.activity.bits
    with disk:
        pass
    assert meters.activity.held == {bits["media"]: 3.0, bits["media"] | bits["write"]: 7.0, bits["write"]: 5.0, 0: 6.0}


def test_a_step_that_goes_on_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.0
    monkeypatch.setattr("tobs.meters.time.perf_counter", lambda: now)
    step = Meters().step("pace")
    with step:
        now += 1
        step.end()
        now += 10
        step.begin(0)
        now += 1
    assert (step.count, step.active, step.integral, step.under_way) == (1, 2.0, 2.0, 0)
