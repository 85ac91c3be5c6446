"""Any instrument of a run's telemetry as a metric, written `INSTRUMENT{attribute=value,…}:STATISTIC:DIRECTION`.

Attributes and statistic may be left out: `tobs.requests:down`, `tobs.rpc.duration{rpc.method=upload.getFile}:p50:down`,
`tobs.queue.depth{tobs.stage=media}:max:down`. Counters and gauges have `total` (the last value, summed over the series;
what is meant without a statistic) and `max` (of that sum, over the exports); distributions have `mean` (what is meant
without one), `count`, `sum`, `min`, `max` and `p0` to `p100`. The direction says what is better: `up` or `down`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tobs.telemetry.histogram import Histogram
    from tobs.telemetry.reading import RunMetrics

_SPELLING = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+)(?:\{(?P<attributes>[^{}]*)\})?"
    r"(?::(?P<statistic>[a-z]+|p\d+(?:\.\d+)?))?:(?P<direction>up|down)"
)
EXAMPLE = "tobs.rpc.duration{rpc.method=upload.getFile}:p50:down"
_PERCENT = 100
_OF_NUMBERS: Mapping[str, Callable[[tuple[tuple[float, float], ...]], float]] = {
    "total": lambda series: series[-1][1],
    "max": lambda series: max(value for _, value in series),
}
_OF_HISTOGRAMS: Mapping[str, Callable[[Histogram], float]] = {
    "mean": lambda histogram: histogram.mean,
    "count": lambda histogram: histogram.count,
    "sum": lambda histogram: histogram.sum,
    "min": lambda histogram: histogram.low,
    "max": lambda histogram: histogram.high,
}


@dataclass(frozen=True, slots=True)
class Spelled:
    """An instrument of which `read` gives the statistic; None where the run has no such series."""

    name: str
    attributes: Mapping[str, str | int]
    statistic: str
    direction: Literal["up", "down"]

    def read(self, run: RunMetrics) -> float | None:
        """The number. Raises `UsageError` for a statistic that this kind of instrument has not."""
        if self.name in run.histograms:
            return self._of_histogram(run.histogram(self.name, self.attributes))
        series = run.series(self.name, self.attributes)
        if not series:
            return None
        statistic = self.statistic or "total"
        if statistic not in _OF_NUMBERS:
            raise self._refuse(_OF_NUMBERS)
        return _OF_NUMBERS[statistic](series)

    def _of_histogram(self, histogram: Histogram) -> float | None:
        if not histogram.count:
            return None
        statistic = self.statistic or "mean"
        if statistic in _OF_HISTOGRAMS:
            return _OF_HISTOGRAMS[statistic](histogram)
        if not statistic[1:2].isdigit():
            raise self._refuse([*_OF_HISTOGRAMS, "p0 to p100"])
        return histogram.quantile(float(statistic[1:]) / _PERCENT)

    def _refuse(self, known: object) -> UsageError:
        words = ", ".join(map(str, known)) if isinstance(known, list | dict) else str(known)
        return UsageError(f"{self.name} has no statistic {self.statistic!r}", hint=f"It has: {words}.")


def spell(text: str) -> Spelled | None:
    """What a text of that form means; None if it has another form. Raises `UsageError` for a wrong part of it."""
    found = _SPELLING.fullmatch(text.strip())
    if found is None:
        return None
    attributes: dict[str, str | int] = {}
    for pair in filter(None, (found["attributes"] or "").split(",")):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not name or not equals or not value:
            raise UsageError(f"{pair.strip()!r} in {text!r} is no attribute", hint="Write {name=value,name=value}.")
        attributes[name] = int(value) if value.isdecimal() else value
    statistic = found["statistic"] or ""
    if statistic[1:2].isdigit():
        if float(statistic[1:]) > _PERCENT:
            raise UsageError(f"{statistic} in {text!r} is no percentile", hint="p0 to p100.")
    elif statistic and statistic not in {*_OF_NUMBERS, *_OF_HISTOGRAMS}:
        known = ", ".join(sorted({*_OF_NUMBERS, *_OF_HISTOGRAMS}))
        raise UsageError(f"there is no statistic {statistic!r}", hint=f"Known: {known}, p0 to p100.")
    return Spelled(found["name"], attributes, statistic, "up" if found["direction"] == "up" else "down")
