"""Estimate, interval and p are exact: held against every assignment of signs, and against published numbers."""

from __future__ import annotations

import math
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tobs.experiment import statistics
from tobs.experiment.statistics import (
    LOOK_ALPHA,
    SEQUENTIAL,
    estimate,
    fixed,
    holm,
    self_test,
    signed_rank_p,
    stops_at,
    visible_effect,
    walsh_averages,
)

# A coarse grid makes ties and zeros as often as not.
coarse = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=9)
distinct = st.lists(st.floats(0.01, 10), min_size=6, max_size=12, unique_by=lambda size: round(size, 9)).flatmap(
    lambda sizes: st.tuples(*(st.sampled_from([size, -size]) for size in sizes))
)


def by_hand(differences: list[float]) -> float:
    """The p as its definition has it: the share of all assignments of signs that are as far from the middle."""
    sizes = [abs(d) for d in differences]
    ranks = [sum(o < size for o in sizes) + (sum(o == size for o in sizes) + 1) / 2 for size in sizes]
    signed = [rank for rank, size in zip(ranks, sizes, strict=True) if size]
    if not signed:
        return 1.0
    centre = sum(signed) / 2
    seen = abs(sum(rank for rank, d in zip(ranks, differences, strict=True) if d > 0) - centre)
    extreme = [
        abs(sum(rank for rank, up in zip(signed, ups, strict=True) if up) - centre) >= seen - 1e-9
        for ups in product([True, False], repeat=len(signed))
    ]
    return sum(extreme) / len(extreme)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_many_differences_are_judged_as_the_exact_rule_would(monkeypatch: pytest.MonkeyPatch, shift: float) -> None:
    draws = Random(7)
    differences = [draws.gauss(shift, 1) for _ in range(120)]
    near = estimate(differences)
    monkeypatch.setattr(statistics, "EXACT", 1000)
    statistics._depth.cache_clear()
    exact = estimate(differences)
    statistics._depth.cache_clear()
    assert near.p == pytest.approx(exact.p, rel=0.1)  # the tail is where it is least exact
    assert (near.low, near.high) == pytest.approx((exact.low, exact.high), abs=0.005)


def test_a_thousand_differences_are_judged_at_once() -> None:
    found = estimate([(-1) ** number * (1 + number / 1000) + 0.2 for number in range(1000)])
    assert found.low < 0.2 < found.high
    assert found.p < 0.001


@given(coarse)
def test_p_is_that_of_all_assignments_of_signs_with_ties_and_zeros_too(differences: list[float]) -> None:
    assert signed_rank_p(differences) == pytest.approx(by_hand(differences))


def test_p_of_published_tables() -> None:
    """Two-sided critical values of Wilcoxon's T: n = 10 at .05 is 8, at .02 is 5; n = 20 at .05 is 52."""

    def with_sum(n: int, negative: set[int]) -> float:
        return signed_rank_p([-float(rank) if rank in negative else float(rank) for rank in range(1, n + 1)])

    assert with_sum(10, {8}) <= 0.05 < with_sum(10, {9})
    assert with_sum(10, {5}) <= 0.02 < with_sum(10, {6})
    assert with_sum(20, {20, 19, 13}) <= 0.05 < with_sum(20, {20, 19, 14})
    assert with_sum(5, set()) == 2 / 2**5


def test_rounding_does_not_untie() -> None:
    tied = [math.log(10 / 9), math.log(9 / 10), 0.3]
    assert signed_rank_p(tied) == by_hand([1.0, -1.0, 3.0])


@given(distinct, st.sampled_from([0.05, LOOK_ALPHA]))
def test_the_interval_holds_no_effect_exactly_where_p_is_above_the_level(
    differences: tuple[float, ...], alpha: float
) -> None:
    averages = walsh_averages(differences)
    assume(all(abs(one - other) > 1e-9 for one, other in pairwise(averages)) and 0 not in averages)
    found = estimate(differences, alpha)
    assert (found.low <= 0 <= found.high) == (found.p > alpha)


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=20), st.floats(-2, 2))
def test_the_estimate_moves_with_the_data_and_lies_in_its_interval(differences: list[float], by: float) -> None:
    found, moved = estimate(differences), estimate([d + by for d in differences])
    assert found.low <= found.centre <= found.high
    assert moved.centre == pytest.approx(found.centre + by, abs=1e-9)
    assert moved.low == pytest.approx(found.low + by, abs=1e-9)


def test_the_estimate_is_the_median_of_the_walsh_averages() -> None:
    assert walsh_averages([1.0, 3.0]) == [1.0, 2.0, 3.0]
    assert estimate([1.0, 3.0]).centre == 2.0
    assert estimate([1.0, 2.0, 40.0]).centre == 11.25  # of 1, 1.5, 2, 20.5, 21, 40
    with pytest.raises(ValueError, match="no differences"):
        estimate([])


def test_too_few_differences_have_no_interval_and_show_nothing() -> None:
    found = estimate([0.1, 0.2, 0.3, 0.4, 0.5])
    assert (found.low, found.high, found.p, found.visible) == (-math.inf, math.inf, 0.0625, math.inf)
    six = estimate([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (six.low, six.high) == (0.1, 0.6)
    assert estimate([0.1]).visible is None


def test_nothing_differs() -> None:
    found = estimate([0.0] * 10)
    assert (found.centre, found.low, found.high, found.p, found.visible) == (0, 0, 0, 1.0, 0.0)
    assert found.immaterial


def test_an_interval_within_three_percent_is_immaterial() -> None:
    near = [(-1) ** n * 0.01 + n * 1e-4 for n in range(10)]
    assert estimate(near).immaterial
    assert not estimate([d * 5 for d in near]).immaterial


def test_the_smallest_visible_effect_is_the_table_and_falls_between() -> None:
    assert [visible_effect(n) for n in (6, 10, 16, 20, 30)] == pytest.approx([1.42, 0.99, 0.75, 0.66, 0.53])
    values = [visible_effect(n) for n in range(6, 60)]
    assert values == sorted(values, reverse=True)
    assert visible_effect(5) == math.inf
    assert visible_effect(120) == pytest.approx(0.53 / 2)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert max(holm([2 / 2**10] * 14)) < 0.05 < max(holm([2 / 2**9] * 14)), "Holm over 14 needs ten blocks"


def test_an_experiment_stops_at_a_look_that_decides_all_or_at_the_last() -> None:
    assert stops_at(SEQUENTIAL, 10, [0.021]) == "p < 0.022 at the look after 10 blocks"
    assert stops_at(SEQUENTIAL, 10, [0.022]) is None
    assert stops_at(SEQUENTIAL, 11, [0.001]) is None, "between looks nobody looks"
    assert stops_at(SEQUENTIAL, 15, [0.001, 0.2]) is None
    assert stops_at(SEQUENTIAL, 15, [0.012, 0.001]) is not None
    assert stops_at(SEQUENTIAL, 15, [0.015, 0.012]) is None, "two arms share the level"
    assert stops_at(SEQUENTIAL, 20, [0.9]) == "all 20 blocks are done"
    assert stops_at(fixed(3), 3, []) == "all 3 blocks are done"


def test_a_hundred_experiments_of_an_arm_with_itself_alarm_at_ten_positives() -> None:
    quiet = [(-1) ** n * (n % 10 + 1.0) for n in range(1000)]
    found = self_test(quiet)
    assert (found.experiments, found.positives, found.alarm, found.sound) == (100, 0, 10, True)
    favoured = quiet[:900] + [1.0 + n for n in range(100)]
    assert self_test(favoured).positives == 10
    assert not self_test(favoured).sound
    assert self_test(quiet[:9]).experiments == 0
