"""Paired comparison of two arms: Hodges-Lehmann estimate, exact signed-rank interval and p, looks that stay valid.

The data are differences d, one a block, of which a positive one speaks for the second arm; for ratios they are
logarithms. Nothing is assumed of their distribution but that it is symmetric about its centre.

Zeros and ties. Differences that are equal but for rounding (`SAME`) share the mean of their ranks; zeros are ranked
with the others and then carry no sign (Pratt). The p is exact for the ranks so found: every assignment of signs is
equally likely if the arms are alike. The interval is cut from the Walsh averages at the depth that holds without
ties; with ties it covers no less. Beyond `EXACT` differences both are taken from the normal approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SAME = 12
"""Decimals to which two differences must agree in order to be a tie."""

EXACT = 100
"""Differences up to which p and interval are exact: 0.1 s of CPU there, and it grows with the cube."""

LOOKS = (10, 15, 20)
"""Blocks after which an experiment looks whether it may stop."""
LOOK_ALPHA = 0.022
"""Level of each of the three looks: together they call .044 of no-effect experiments an effect (simulated)."""
FIXED_ALPHA = 0.05
MATERIAL = math.log(1.03)
"""An effect whose whole interval lies within ±3 % is not material."""

_VISIBLE = ((6, 1.42), (10, 0.99), (16, 0.75), (20, 0.66), (30, 0.53))
"""Blocks, and the effect in units of sd(d) that they show with a power of 80 % at the level .05 (simulated)."""
_ALARM = 0.03


@dataclass(frozen=True, slots=True)
class Rule:
    """When to look, and the level of each look. The last look ends the experiment whatever it shows."""

    looks: tuple[int, ...]
    alpha: float

    @property
    def most(self) -> int:
        """Blocks at which it ends."""
        return self.looks[-1]


SEQUENTIAL = Rule(LOOKS, LOOK_ALPHA)


def fixed(blocks: int) -> Rule:
    """One look, after so many blocks."""
    return Rule((blocks,), FIXED_ALPHA)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What n differences say. `low` and `high` are infinite where n is too small for the level.

    `visible` is the smallest effect that n differences of this spread show in four of five experiments; None below
    two differences.
    """

    n: int
    centre: float
    low: float
    high: float
    p: float
    visible: float | None

    @property
    def immaterial(self) -> bool:
        """Whether the interval lies wholly within ±3 % (of a logarithm)."""
        return self.low > -MATERIAL and self.high < MATERIAL


def estimate(differences: Sequence[float], alpha: float = FIXED_ALPHA) -> Estimate:
    """Centre, interval at the level 1 - alpha, and two-sided p. Raises ValueError for no differences."""
    averages = walsh_averages(differences)
    middle = len(averages) // 2
    centre = averages[middle] if len(averages) % 2 else (averages[middle - 1] + averages[middle]) / 2
    n = len(differences)
    depth = _depth(n, alpha)
    low, high = (-math.inf, math.inf) if depth is None else (averages[depth], averages[-1 - depth])
    spread = stdev(differences) if n > 1 else None
    visible = None if spread is None else spread * visible_effect(n)
    return Estimate(n, centre, low, high, signed_rank_p(differences), visible)


def walsh_averages(differences: Sequence[float]) -> list[float]:
    """Means of all pairs, each difference paired with itself too, rising."""
    if not differences:
        raise ValueError("no differences")
    return sorted((one + other) / 2 for place, one in enumerate(differences) for other in differences[place:])


def signed_rank_p(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, exact for these ranks; 1 if nothing differs."""
    ranked = _ranks([round(abs(d), SAME) for d in differences])
    signed = [(rank, d > 0) for rank, d in zip(ranked, differences, strict=True) if round(abs(d), SAME)]
    if not signed:
        return 1.0
    positive = sum(rank for rank, is_positive in signed if is_positive)
    ranks = tuple(sorted(rank for rank, _ in signed))
    smaller = min(positive, sum(ranks) - positive)
    if len(ranks) > EXACT:
        spread = math.sqrt(sum(rank * rank for rank in ranks)) / 2
        return min(1.0, 2 * NormalDist().cdf((smaller + 1 - sum(ranks) / 2) / spread))
    extreme = 2 * _cumulated(ranks)[smaller]
    return min(1.0, extreme / (1 << len(ranks)))


def _ranks(sizes: Sequence[float]) -> list[int]:
    """Twice the rank of each size, so that the mean rank of a tie is a whole number."""
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    ranks = [0] * len(sizes)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and sizes[order[end]] == sizes[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = start + 1 + end
        start = end
    return ranks


@lru_cache(maxsize=1024)
def _cumulated(ranks: tuple[int, ...]) -> tuple[int, ...]:
    """How many of the 2^n choices of positive ranks sum to at most 0, 1, 2 and so on."""
    counts = [1]
    for rank in ranks:
        longer = counts + [0] * rank
        for total, count in enumerate(counts):
            longer[total + rank] += count
        counts = longer
    return tuple(accumulate(counts))


@lru_cache(maxsize=1024)
def _depth(n: int, alpha: float) -> int | None:
    """How many Walsh averages lie outside the interval on either side; None if even none leaves too little."""
    if n > EXACT:
        middle, spread = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return math.floor(middle + NormalDist().inv_cdf(alpha / 2) * spread - 0.5)
    below = _cumulated(tuple(range(1, n + 1)))
    depth = sum(count <= alpha / 2 * 2**n for count in below)
    return depth - 1 if depth else None


def visible_effect(n: int) -> float:
    """The smallest visible effect in units of sd(d): the table, interpolated in logarithms; infinite below six."""
    first, last = _VISIBLE[0], _VISIBLE[-1]
    if n < first[0]:
        return math.inf
    if n >= last[0]:
        return last[1] * math.sqrt(last[0] / n)
    upper = next(place for place, (blocks, _) in enumerate(_VISIBLE) if blocks > n)
    (a, at_a), (b, at_b) = _VISIBLE[upper - 1], _VISIBLE[upper]
    share = math.log(n / a) / math.log(b / a)
    return math.exp(math.log(at_a) + share * math.log(at_b / at_a))


def holm(ps: Iterable[float]) -> list[float]:
    """Holm's corrected p-values in the given order: each is to be compared with the level of the whole family."""
    given = list(ps)
    corrected = [0.0] * len(given)
    largest = 0.0
    for done, place in enumerate(sorted(range(len(given)), key=given.__getitem__)):
        largest = max(largest, (len(given) - done) * given[place])
        corrected[place] = min(1.0, largest)
    return corrected


def stops_at(rule: Rule, blocks: int, ps: Sequence[float]) -> str | None:
    """Why an experiment ends after so many blocks, or None if it goes on. `ps` are of all comparisons, not corrected.

    Before the last look it ends when every comparison is decided, corrected for their number.
    """
    if blocks >= rule.most:
        return f"all {rule.most} blocks are done"
    if blocks in rule.looks and ps and max(holm(ps)) < rule.alpha:
        return f"p < {rule.alpha} at the look after {blocks} blocks"
    return None


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Experiments of an arm against itself: how many there were, and how many called it an effect.

    As many as `alarm` or more come by chance in fewer than three of a hundred such tests: then something favours an
    arm, and no result of this machine is to be trusted.
    """

    experiments: int
    positives: int
    alarm: int

    @property
    def sound(self) -> bool:
        """Whether there is nothing to worry about."""
        return self.positives < self.alarm


def self_test(differences: Sequence[float]) -> SelfTest:
    """Cut the differences of an arm and itself into experiments of ten blocks, and count false positives at .05."""
    size = LOOKS[0]
    cut = [differences[start : start + size] for start in range(0, len(differences) - size + 1, size)]
    positives = sum(signed_rank_p(one) < FIXED_ALPHA for one in cut)
    below = _cumulated(tuple(range(1, size + 1)))
    level = 2 * max(count for count in below if 2 * count < FIXED_ALPHA * 2**size) / 2**size
    return SelfTest(len(cut), positives, _alarm(len(cut), level))


def _alarm(experiments: int, level: float) -> int:
    """The smallest number of positives that so many experiments reach by chance with a probability below .03."""
    reached, number = 1.0, 0
    while reached >= _ALARM:
        reached -= math.comb(experiments, number) * level**number * (1 - level) ** (experiments - number)
        number += 1
    return number
