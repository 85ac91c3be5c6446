"""What an advisor is told of a run, and what it answers.

Times are seconds, ratios are of the time before to the time after: above 1 is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.knobs import Value

Attributes = frozenset[tuple[str, str | int | float | bool]]
"""What tells one series of an instrument from another: pairs of a name and a value."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a histogram holds of `count` values: their sum, the lowest, the median (to some 2 %) and the highest."""

    count: int
    sum: float
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run left of itself: its metrics, and the plan that they are of.

    `numbers` are the last values of counters and gauges, `distributions` the histograms, both by instrument and
    attributes (docs/telemetry.md). `knobs` are values by `owner.knob`, core's and those of the `plugins` that were on.
    `runs` says of how many runs these are the medians. `complete` is false for a run that did not end well.
    """

    arm: str
    plugins: frozenset[str]
    knobs: Mapping[str, Value]
    numbers: Mapping[str, Mapping[Attributes, float]]
    distributions: Mapping[str, Mapping[Attributes, Distribution]]
    complete: bool = True
    runs: int = 1

    def total(self, name: str, **wanted: str | int) -> float:
        """The sum over the series of an instrument that have these attributes.

        They are written without their prefix: `dc` for `tobs.dc`, `method` for `rpc.method`.
        """
        return sum(value for key, value in self.numbers.get(name, {}).items() if _has(key, wanted))

    def by(self, name: str, attribute: str, **wanted: str | int) -> dict[str | int, float]:
        """Totals by the value of one attribute; series without it are left out."""
        found: dict[str | int, float] = {}
        for key, value in self.numbers.get(name, {}).items():
            its = dict(key).get(_LONG.get(attribute, attribute))
            if isinstance(its, str | int) and _has(key, wanted):
                found[its] = found.get(its, 0.0) + value
        return found

    def spread(self, name: str, **wanted: str | int) -> list[Distribution]:
        """The distributions of an instrument that have these attributes, empty ones left out."""
        held = self.distributions.get(name, {})
        return [one for key, one in held.items() if one.count and _has(key, wanted)]


_LONG = {
    "stage": "tobs.stage",
    "dc": "tobs.dc",
    "outcome": "tobs.outcome",
    "method": "rpc.method",
    "size": "tobs.size",
    "active": "tobs.active",
    "mode": "cpu.mode",
}


def _has(key: Attributes, wanted: Mapping[str, str | int]) -> bool:
    return all((_LONG.get(name, name), value) in key for name, value in wanted.items())


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a change is expected to do: the `ratio` of a metric before to after, above 1 is better.

    `low` and `high` are what it may come to if what `rests_on` is wrong.
    """

    metric: str
    ratio: float
    low: float
    high: float
    rests_on: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Something to change: in words, and as an arm where the program can do it; `why` it should help."""

    what: str
    why: str
    predicted: Prediction
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """How a stage was used: shares of the run in which it was busy, and alone; what waited; what failed.

    `kind` is cpu, latency, bandwidth, server or disk: what its time is spent on. `utilization` is busy workers or
    requests over those there may be, `saturation` how many waited on average, `errors` what failed.
    """

    stage: str
    kind: str
    busy: float
    alone: float
    utilization: float
    saturation: float
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Advice:
    """What limits a run and what to do. `evidence` are sentences, each with its numbers.

    `ceiling` is the ratio of times if the bottleneck took none; `changes` stand best first; `after` is the bottleneck
    that the first of them leaves. `littles_law` is the largest disagreement between instruments that must agree, a
    share; `distrust` says why these figures may mislead, empty if nothing does.
    """

    bottleneck: Load
    evidence: tuple[str, ...]
    ceiling: float
    changes: tuple[Change, ...]
    after: Load | None
    stages: tuple[Load, ...]
    critical_path: Mapping[str, float]
    littles_law: float
    distrust: tuple[str, ...] = ()
