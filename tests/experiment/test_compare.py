"""Ratios are speed-ups in every metric; what cannot be compared is said, and a promise is kept only in full."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tobs.experiment.compare import INCONCLUSIVE, WORSE, compare, differences, digests_equal, hopeless, kept, medians
from tobs.experiment.definition import Promise
from tobs.experiment.metrics import METRICS
from tobs.experiment.statistics import fixed

WALL, RATE, REQUESTS = METRICS["wall"], METRICS["messages_per_second"], METRICS["requests"]


def runs(*blocks: tuple[Any, ...], metric: str = "wall") -> list[dict[str, Any]]:
    """Runs of the arms that measured these values; None stands for an invalid run."""
    return [
        {
            "block": number,
            "arm": arm,
            "invalid": "it failed" if value is None else "",
            "digest": "" if value is None else "d",
            "truth": "d",
            "measurements": {} if value is None else {metric: value},
        }
        for number, block in enumerate(blocks, 1)
        for arm, value in enumerate(block)
    ]


def test_less_time_and_more_messages_a_second_are_the_same_speed_up() -> None:
    (time,) = compare(runs(*[(3.0, 2.0)] * 6), 2, WALL, fixed(6))
    (rate,) = compare(runs(*[(100.0, 150.0)] * 6, metric="messages_per_second"), 2, RATE, fixed(6))
    assert time.ratio == pytest.approx(1.5)
    assert rate.ratio == pytest.approx(1.5)
    assert time.verdict == rate.verdict == "better"


def test_a_block_counts_where_both_runs_do() -> None:
    found = differences(runs((2.0, 1.0), (None, 1.0), (2.0, None), (4.0, 1.0)), 1, WALL)
    assert found == pytest.approx([math.log(2), math.log(4)])


def test_two_zeros_are_alike_and_one_zero_has_no_ratio() -> None:
    assert differences(runs((0.0, 0.0), (3.0, 3.0), metric="requests"), 1, REQUESTS) == [0.0, 0.0]
    (one,) = compare(runs((0.0, 3.0), (3.0, 3.0), metric="requests"), 2, REQUESTS, fixed(2))
    assert (one.ratio, one.low, one.verdict) == (None, None, INCONCLUSIVE)
    assert "gives no ratio" in one.words


def test_what_was_not_measured_is_not_compared() -> None:
    (one,) = compare(runs(*[(3.0, 2.0)] * 6), 2, METRICS["peak_rss"], fixed(6))
    assert (one.estimate, one.verdict) == (None, INCONCLUSIVE)


def test_too_few_blocks_are_inconclusive_and_have_no_interval() -> None:
    (one,) = compare(runs(*[(3.0, 2.0)] * 3), 2, WALL, fixed(3))
    assert (one.low, one.high, one.visible, one.verdict) == (None, None, None, INCONCLUSIVE)
    assert "3 blocks are too few" in one.words


def test_inconclusive_says_what_would_have_shown() -> None:
    noisy = [(1.0, 1.3), (1.3, 1.0)] * 5
    (one,) = compare(runs(*noisy), 2, WALL, fixed(10))
    assert one.verdict == INCONCLUSIVE
    assert one.visible is not None
    assert f"x{one.visible:.3f} would have shown" in one.words


def test_hopeless_is_three_invalid_runs_of_the_first_arm_or_of_all_others() -> None:
    assert hopeless(runs((None, 1.0), (None, 1.0), (None, 1.0)), 2)
    assert hopeless(runs((1.0, None), (1.0, None), (1.0, None)), 2)
    assert not hopeless(runs((1.0, None), (1.0, None), (1.0, 1.0)), 2)
    assert not hopeless(runs(*[(1.0, None, 2.0)] * 3), 3)


def test_medians_are_of_runs_that_count_and_digests_of_all() -> None:
    given = runs((1.0, 5.0), (2.0, None), (9.0, 7.0))
    assert medians(given, 0) == {"wall": 2.0}
    assert medians(given, 1) == {"wall": 6.0}
    assert digests_equal(given, 0)
    assert not digests_equal(given, 1)
    assert not digests_equal([], 0)


@pytest.mark.parametrize(("second", "held"), [(0.69, "kept"), (0.75, "not kept"), (1.5, "not kept")])
def test_a_promise_of_less_time(second: float, held: str) -> None:
    noise = [1 + place / 1000 for place in range(20)]
    (one,) = compare(runs(*((n, second) for n in noise)), 2, WALL, fixed(20))
    is_kept, words = kept(Promise("wall", "down", 0.3, 0.9), one)
    assert words.startswith(f"{held}: wall -30 % and more was promised")
    assert is_kept == (held == "kept")


def test_a_promise_of_more_a_second_is_kept_past_its_range_too() -> None:
    given = runs(*[(100.0, 190.0)] * 20, metric="messages_per_second")
    (one,) = compare(given, 2, RATE, fixed(20))
    held, words = kept(Promise("messages_per_second", "up", 0.5, 0.6), one)
    assert held
    assert words == "kept: messages_per_second +50 % and more was promised, +90 % was measured"


def test_a_promise_is_not_kept_by_an_estimate_alone() -> None:
    wild = [(1.0, 0.2), (1.0, 2.4), (1.0, 0.3), (1.0, 2.1), (1.0, 0.2), (1.0, 1.9)]
    (one,) = compare(runs(*wild), 2, WALL, fixed(6))
    held, words = kept(Promise("wall", "down", 0.1, 0.9), one)
    assert not held
    assert "the interval holds no effect" in words


def test_a_promise_is_not_kept_by_an_arm_with_an_invalid_run() -> None:
    (one,) = compare(runs(*[(3.0, 1.0)] * 10, (3.0, None)), 2, WALL, fixed(11))
    held, words = kept(Promise("wall", "down", 0.1, 0.9), one)
    assert not held
    assert "1 of 11 runs of this arm are invalid (it failed)" in words


def test_slower_is_worse() -> None:
    (one,) = compare(runs(*[(2.0, 3.0)] * 6), 2, WALL, fixed(6))
    assert one.verdict == WORSE
    assert one.words.startswith("worse: wall x0.667")
