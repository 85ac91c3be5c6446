"""2,000 simulated experiments of known effect: how often the statistics are right on a shared machine's noise."""

from __future__ import annotations

import math
import random
from functools import cache
from itertools import islice
from statistics import correlation, fmean, stdev

import pytest

from tobs.experiment.statistics import SEQUENTIAL, fixed, signed_rank_p, visible_effect
from tobs.experiment.synthetic import MACHINE, Simulated, noise_of_runs, simulate

EXPERIMENTS = 2_000


@cache
def experiments(effect: float) -> list[Simulated]:
    """Experiments of arms of which the second is 1 + effect times as fast."""
    return [simulate(math.log1p(effect), SEQUENTIAL, seed) for seed in range(EXPERIMENTS)]


def share_decided(effect: float) -> float:
    """How many of them called it an effect."""
    return sum(one.decided for one in experiments(effect)) / EXPERIMENTS


def share_covered(found: list[Simulated], effect: float) -> float:
    """How many had the truth in their interval."""
    truth = math.log1p(effect)
    return sum(one.estimate.low <= truth <= one.estimate.high for one in found) / len(found)


def test_no_effect_is_called_one_in_at_most_six_of_a_hundred() -> None:
    assert 0.02 < share_decided(0.0) <= 0.06


@pytest.mark.parametrize("effect", [0.0, 0.1])
def test_the_interval_at_a_fixed_number_of_blocks_covers_the_truth(effect: float) -> None:
    found = [simulate(math.log1p(effect), fixed(20), seed) for seed in range(EXPERIMENTS)]
    assert 0.94 <= share_covered(found, effect) <= 0.97


@pytest.mark.parametrize("effect", [0.0, 0.03, 0.05, 0.1, -0.1])
def test_the_interval_at_a_stop_covers_the_truth(effect: float) -> None:
    """A large effect is seen at the first look, so that its interval covers the 97.8 % that it has at that look."""
    assert 0.94 <= share_covered(experiments(effect), effect) <= (0.985 if effect else 0.97)


@pytest.mark.parametrize(("effect", "power"), [(0.10, 0.985), (0.05, 0.71), (0.03, 0.31)])
def test_power(effect: float, power: float) -> None:
    assert share_decided(effect) == pytest.approx(power, abs=0.05)


def test_a_large_effect_needs_few_blocks() -> None:
    blocks = [one.blocks for one in experiments(0.10)]
    assert fmean(blocks) == pytest.approx(11.5, abs=0.3)
    assert set(blocks) <= {10, 15, 20}


def test_a_slower_arm_is_found_as_surely_as_a_faster_one() -> None:
    assert share_decided(-0.10) == pytest.approx(0.985, abs=0.02)
    assert all(one.estimate.centre < 0 for one in experiments(-0.10) if one.decided)


def test_looking_after_every_block_would_not_be_valid() -> None:
    """The rule is what keeps false positives down: the same data looked at ever again give three times as many."""

    def peeking(seed: int) -> bool:
        draws = random.Random(seed)
        slowness = noise_of_runs(draws)
        differences = [next(slowness) - next(slowness) for _ in range(20)]
        return any(signed_rank_p(differences[:n]) < 0.05 for n in range(6, 21))

    assert sum(peeking(seed) for seed in range(1000)) / 1000 > 0.12


def test_the_estimate_is_not_biased() -> None:
    fixed_size = [simulate(math.log(1.05), fixed(10), seed).estimate.centre for seed in range(EXPERIMENTS)]
    assert fmean(fixed_size) == pytest.approx(math.log(1.05), abs=0.003)


@pytest.mark.parametrize("n", [10, 16, 20, 30])
def test_the_smallest_visible_effect_shows_in_four_of_five(n: int) -> None:
    draws = random.Random(n)
    effect = visible_effect(n)
    found = [signed_rank_p([draws.gauss(effect, 1) for _ in range(n)]) < 0.05 for _ in range(EXPERIMENTS)]
    assert sum(found) / EXPERIMENTS == pytest.approx(0.8, abs=0.045)


def test_the_noise_is_that_of_the_recipe() -> None:
    runs = [list(islice(noise_of_runs(random.Random(seed)), 2)) for seed in range(20_000)]
    assert stdev(one for one, _ in runs) == pytest.approx(MACHINE.whole, abs=0.003)
    shared = MACHINE.memory * MACHINE.drift**2 / MACHINE.whole**2
    assert correlation(*zip(*runs, strict=True)) == pytest.approx(shared, abs=0.03)
