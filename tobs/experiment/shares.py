"""Which arm ends more often with the truth: paired shares, compared by McNemar's exact test.

A run is complete when it counts as valid: it ended well and its archive equals the lab's truth. Only blocks in which
exactly one of the two arms is complete say anything about their difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Shares:
    """Of n blocks, the shares of the first arm and the other that are complete, and the difference (other - first).

    `gained` and `lost` count the blocks in which only the other, only the first arm is complete. `low` and `high` bound
    the difference: Clopper-Pearson on these blocks, given their number.
    """

    n: int
    first: float
    other: float
    gained: int
    lost: int
    low: float
    high: float
    p: float

    @property
    def difference(self) -> float:
        """How many points more of the other arm's runs are complete, as a share of 1."""
        return (self.gained - self.lost) / self.n


def compare_shares(pairs: Sequence[tuple[bool, bool]], alpha: float = 0.05) -> Shares:
    """Shares of (first, other) over blocks. Raises ValueError for none."""
    if not pairs:
        raise ValueError("no blocks")
    n = len(pairs)
    gained = sum(other and not first for first, other in pairs)
    lost = sum(first and not other for first, other in pairs)
    differing = gained + lost
    low, high = clopper_pearson(gained, differing, alpha)
    return Shares(
        n,
        sum(first for first, _ in pairs) / n,
        sum(other for _, other in pairs) / n,
        gained,
        lost,
        (2 * low - 1) * differing / n,
        (2 * high - 1) * differing / n,
        mcnemar_p(gained, lost),
    )


def mcnemar_p(gained: int, lost: int) -> float:
    """Two-sided exact p: how likely so uneven a split is if either arm is as likely to be the complete one."""
    differing = gained + lost
    tail = sum(math.comb(differing, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / (1 << differing))


def clopper_pearson(successes: int, of: int, alpha: float) -> tuple[float, float]:
    """The exact interval of a proportion; (0, 1) for nothing."""
    low = 0.0 if successes == 0 else _solve(lambda share: 1 - _at_most(successes - 1, of, share) > alpha / 2)
    high = 1.0 if successes == of else _solve(lambda share: _at_most(successes, of, share) < alpha / 2)
    return low, high


def _at_most(successes: int, of: int, share: float) -> float:
    return math.fsum(math.comb(of, k) * math.pow(share, k) * math.pow(1 - share, of - k) for k in range(successes + 1))


def _solve(is_above: Callable[[float], bool]) -> float:
    """The share at which a condition that holds for all greater ones begins to hold."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high
