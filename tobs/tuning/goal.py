"""What a search makes small: a metric's logarithm; over several scenarios, of the ratios to the start's own figures."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from tobs.experiment.weighted import terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tobs.experiment.metrics import Metric
    from tobs.tuning.journal import Done

WORST: Final = "worst"
MEAN: Final = "mean"
Over: TypeAlias = Literal["worst", "mean"]
"""What counts of several scenarios: the one where settings do worst, or the geometric mean of the ratios."""
TIMED = frozenset({"wall", "messages_per_second", "bytes_per_second", "page_latency", "time_to_all_messages"})
"""Metrics that a run past twice the best one's time cannot be good in."""


def objective(metric: Metric, measurements: Mapping[str, float]) -> float | None:
    """What is minimized on one scenario: the metric's logarithm, negative where more is better. None without one."""
    value = measurements.get(metric.name)
    if value is None or value <= 0:
        return None
    return math.log(value) if metric.direction == "down" else -math.log(value)


def objectives(metric: Metric, runs: Sequence[Mapping[str, float]]) -> list[float] | None:
    """The objectives of runs; None if one has none."""
    found = [objective(metric, one) for one in runs]
    return None if None in found else [one for one in found if one is not None]


def timed(metric: Metric) -> bool:
    """Whether a run that takes too long cannot be good in this metric, or in each of its set."""
    return all(name in TIMED for name, _ in terms(metric.name))


def fold(over: Over, logs: Sequence[float]) -> float:
    """One number of those of several scenarios."""
    return max(logs) if over == WORST else fmean(logs)


def relative(metric: Metric, runs: Sequence[Mapping[str, float]], start: Done | None) -> list[float] | None:
    """By scenario, the log of how many times as bad as the start runs are; all 0 for the start, which has no other."""
    own = objectives(metric, runs)
    if own is None or start is None:
        return None if own is None else [0.0] * len(own)
    against = objectives(metric, start.runs)
    return None if against is None else [one - other for one, other in zip(own, against, strict=False)]
