"""The data centre with most left to do has the line: the others ask no faster than it takes to be done before it."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from tests.engine.virtual import now, virtually
from tobs_parallel_media.evenly import BEFORE, SHORT, WINDOW, Evenly

MB = 1_000_000


def known(left: dict[int, int], speeds: dict[int, float]) -> Evenly:
    """With speeds that were measured over one window."""
    clock = [0.0]
    evenly = Evenly(lambda: clock[0] or now())
    for dc, size in left.items():
        evenly.wanted(dc, size)
    for dc, speed in speeds.items():
        clock[0] = 100.0
        evenly.came(dc, 1)
        clock[0] = 100.0 + WINDOW
        evenly.came(dc, int(speed * WINDOW))
    clock[0] = 0.0
    return evenly


def test_whoever_would_be_done_long_before_the_last_one_is_slowed_down_to_end_before_it() -> None:
    evenly = known({1: 50 * MB, 4: 300 * MB}, {1: 10.0 * MB, 4: 10.0 * MB})
    assert evenly.rate(4) == inf
    assert evenly.rate(1) == pytest.approx(50 * MB / (BEFORE * 30))


def test_speeds_count_and_not_bytes_alone() -> None:
    evenly = known({1: 50 * MB, 4: 300 * MB}, {1: 1.0 * MB, 4: 10.0 * MB})
    assert evenly.rate(1) == inf
    assert evenly.rate(4) == pytest.approx(300 * MB / (BEFORE * 50))


def test_whoever_takes_nearly_as_long_is_let_alone() -> None:
    evenly = known({1: 250 * MB, 4: 300 * MB}, {1: 10.0 * MB, 4: 10.0 * MB})
    assert evenly.rate(1) == inf


def test_nothing_is_divided_while_speeds_are_unknown_nor_at_the_end() -> None:
    assert known({1: 50 * MB, 4: 300 * MB}, {4: 10.0 * MB}).rate(1) == inf
    assert known({1: MB, 4: 300 * MB}, {1: 10.0 * MB, 4: (300 / SHORT + 1) * MB}).rate(1) == inf
    alone = Evenly()
    alone.wanted(2, 10**9)
    assert alone.rate(2) == inf


def test_requests_are_spaced_by_the_rate_and_those_who_wait_learn_that_it_has_changed() -> None:
    async def main() -> None:
        evenly = known({1: 21 * MB, 4: 300 * MB}, {1: 10.0 * MB, 4: 10.0 * MB})  # 1 MB/s for data centre 1
        began, went = now(), list[float]()

        async def ask() -> None:
            await evenly.turn(1, MB)
            went.append(now() - began)

        asked = [asyncio.ensure_future(ask()) for _ in range(20)]
        await asyncio.sleep(5.05)
        assert went[0] == 0.0
        assert went[1:] == pytest.approx([number - 0.2 for number in range(1, len(went))], abs=0.25)
        assert 5 <= len(went) <= 7
        evenly.wanted(4, -300 * MB)
        await asyncio.gather(*asked)
        assert now() - began < 5.5
        await evenly.turn(4, MB)

    virtually(main)


def test_one_who_is_cancelled_while_it_waits_holds_nobody_up() -> None:
    async def main() -> None:
        evenly = known({1: 21 * MB, 4: 300 * MB}, {1: 10.0 * MB, 4: 10.0 * MB})
        await evenly.turn(1, MB)
        waiting = asyncio.ensure_future(evenly.turn(1, MB))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait([waiting])
        began = now()
        await evenly.turn(1, MB)
        assert now() - began < 1.1

    virtually(main)
