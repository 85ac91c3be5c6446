"""How long an answer may take, from how long answers took."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

KEPT = 128
"""Answers of each method that the quantile is of."""
ENOUGH = 32
"""Answers of a method before anything is concluded."""
EVERY = 16
"""Answers between two looks at the quantile."""
QUANTILE = 0.95
"""Above it lie what stalls and what is lost, which are no measure of the living."""
TIMES_USUAL, TIMES_EXPECTED = 3.0, 3.0
"""Multiples of the quantile and of what this request should take, by its bytes and those before it."""
CALM = 0.97
"""What an answer leaves of the stretch that a deadline which fired has caused."""


@dataclass(slots=True)
class _Method:
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    usual: float | None = None
    fresh: int = 0


class Deadlines:
    """Deadlines of one data centre, by method, never below `shortest` seconds.

    One that fires doubles the following ones until answers come again, so that a slow link is not asked for the same
    again and again.
    """

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._methods: dict[str, _Method] = {}
        self._stretch = 1.0

    def came(self, method: str, seconds: float) -> None:
        """An answer took so long."""
        known = self._methods.setdefault(method, _Method())
        known.seconds.append(seconds)
        known.fresh += 1
        if known.fresh >= EVERY and len(known.seconds) >= ENOUGH:
            known.fresh = 0
            known.usual = sorted(known.seconds)[int(QUANTILE * len(known.seconds))]
        self._stretch = max(1.0, self._stretch * CALM)

    def fired(self) -> None:
        """No answer came in time."""
        self._stretch *= 2

    def of(self, method: str, expected: float, longest: float) -> float:
        """Seconds for one request that should take `expected`; `longest` while little is known."""
        known = self._methods.get(method)
        if known is None or known.usual is None:
            return longest
        due = max(self._shortest, TIMES_USUAL * known.usual, TIMES_EXPECTED * expected)
        return min(longest, due * self._stretch)
