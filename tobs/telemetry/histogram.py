"""Distributions of seconds as they stand in a file: base-2 exponential histograms."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Histogram:
    """`buckets` maps an index to its count; index i holds (b**i, b**(i + 1)], b = 2**(2**-scale).

    `zeros` counts what was 0. An empty one has `low` and `high` 0.
    """

    count: int = 0
    sum: float = 0.0
    low: float = 0.0
    high: float = 0.0
    scale: int = 0
    zeros: int = 0
    buckets: Mapping[int, int] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The exact mean; 0 if nothing was counted."""
        return self.sum / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The value that `share` (0 to 1) of all stay below; right to the width of a bucket, 0 if it is empty."""
        if not 0 <= share <= 1:
            raise ValueError(f"a quantile lies between 0 and 1, not at {share}")
        rank = share * self.count
        if not self.count or rank <= self.zeros:
            return self.low
        seen = float(self.zeros)
        for index in sorted(self.buckets):
            held = self.buckets[index]
            if seen + held >= rank:
                # Between the bucket's bounds values are taken as spread evenly on the logarithmic scale.
                exponent = math.ldexp(index + (rank - seen) / held, -self.scale)
                return min(self.high, max(self.low, math.exp2(exponent)))
            seen += held
        return self.high

    def coarser(self, scale: int) -> Histogram:
        """The same at a lower scale: every step down joins two neighbouring buckets."""
        joined: dict[int, int] = {}
        for index, held in self.buckets.items():
            wide = index >> (self.scale - scale)
            joined[wide] = joined.get(wide, 0) + held
        return Histogram(self.count, self.sum, self.low, self.high, scale, self.zeros, joined)


def merge(parts: Iterable[Histogram]) -> Histogram:
    """All of them as one, at the coarsest scale among them."""
    filled = [part for part in parts if part.count]
    if not filled:
        return Histogram()
    scale = min(part.scale for part in filled)
    buckets: dict[int, int] = {}
    for part in filled:
        for index, held in part.coarser(scale).buckets.items():
            buckets[index] = buckets.get(index, 0) + held
    return Histogram(
        sum(part.count for part in filled),
        sum(part.sum for part in filled),
        min(part.low for part in filled),
        max(part.high for part in filled),
        scale,
        sum(part.zeros for part in filled),
        buckets,
    )
