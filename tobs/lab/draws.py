"""Everything random of the content, drawn from keys: the same key gives the same in any process."""

from __future__ import annotations

import hashlib
import math
import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

T = TypeVar("T")


def key_digest(*key: str | int) -> bytes:
    """32 bytes that depend on the parts of `key` and on nothing else."""
    return hashlib.sha256("\0".join(map(str, key)).encode()).digest()


def seeded_bytes(size: int, *key: str | int) -> bytes:
    """`size` bytes without structure, the same for the same key. About 400 MB/s."""
    return hashlib.shake_256(key_digest(*key)).digest(size)


class Draws:
    """A stream of draws for one key.

    Only `Random.random()` is used: it alone is promised to give the same sequence in every version of Python.
    """

    __slots__ = ("unit",)

    def __init__(self, *key: str | int) -> None:
        self.unit = random.Random(int.from_bytes(key_digest(*key), "big")).random

    def below(self, end: int) -> int:
        """A whole number in [0, end)."""
        return int(self.unit() * end)

    def between(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """True in `share` (0 to 1) of the draws."""
        return self.unit() < share

    def pick(self, values: Sequence[T]) -> T:
        """One of `values`, all alike likely."""
        return values[int(self.unit() * len(values))]

    def shuffle(self, values: MutableSequence[T]) -> None:
        """Bring `values` into a drawn order, in place."""
        for last in range(len(values) - 1, 0, -1):
            other = int(self.unit() * (last + 1))
            values[last], values[other] = values[other], values[last]

    def exponential(self, mean: float) -> float:
        """A waiting time of the given mean."""
        return -mean * math.log(1.0 - self.unit())

    def lognormal(self, median: float, sigma: float) -> float:
        """A log-normal size: half of the draws exceed `median`, `sigma` is the deviation of the logarithm."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.unit()))
        return median * math.exp(sigma * radius * math.cos(2.0 * math.pi * self.unit()))

    def signed64(self) -> int:
        """A 64-bit whole number with sign, as access hashes are."""
        return (int(self.unit() * 2**32) << 32 | int(self.unit() * 2**32)) - 2**63
