"""Two-level designs: which toggles are on in which run, and what their contrasts mean.

The design is a fold-over of a Sylvester-Hadamard matrix, `[H; -H]`, with a column for each toggle: resolution IV, so
that no main effect is mixed with an interaction of two. Interactions of two are mixed with one another in groups: the
columns of that matrix multiply by XOR of their numbers, so pairs with the same XOR cannot be told apart.
Source: Box, Hunter and Hunter, Statistics for Experimenters, chapters on fractional factorials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

MOST = 31
"""Toggles; 64 runs."""


@dataclass(frozen=True, slots=True)
class Design:
    """`runs` holds for each run which toggles are on; `groups` the pairs of toggles, by number, that are aliased."""

    toggles: int
    runs: tuple[tuple[bool, ...], ...]
    groups: tuple[tuple[tuple[int, int], ...], ...]

    def main(self, toggle: int) -> tuple[int, ...]:
        """The signs of a main effect: +1 for runs with the toggle on."""
        return tuple(1 if run[toggle] else -1 for run in self.runs)

    def group(self, number: int) -> tuple[int, ...]:
        """The signs of a group of interactions: those of any of its pairs."""
        one, other = self.groups[number][0]
        return tuple(1 if run[one] == run[other] else -1 for run in self.runs)


def fold_over(toggles: int) -> Design:
    """The smallest fold-over for so many toggles (1 to 31): 4, 8, 16, 32 or 64 runs."""
    if not 1 <= toggles <= MOST:
        raise ValueError(f"a design is for 1 to {MOST} toggles, not {toggles}")
    size = 2 ** math.ceil(math.log2(toggles + 1))
    half = [tuple(_sign(row, column) > 0 for column in range(1, toggles + 1)) for row in range(size)]
    folded = [tuple(not on for on in run) for run in half]
    groups: dict[int, list[tuple[int, int]]] = {}
    for one, other in combinations(range(toggles), 2):
        groups.setdefault((one + 1) ^ (other + 1), []).append((one, other))
    return Design(toggles, (*half, *folded), tuple(tuple(groups[key]) for key in sorted(groups)))


def _sign(row: int, column: int) -> int:
    """An entry of the Sylvester-Hadamard matrix."""
    return -1 if (row & column).bit_count() % 2 else 1


def contrast(signs: tuple[int, ...], values: list[float]) -> float:
    """The mean of the values with sign +1 less the mean of those with -1; signs are balanced."""
    return 2 * sum(sign * value for sign, value in zip(signs, values, strict=True)) / len(values)
