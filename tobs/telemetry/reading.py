"""Reads a run's metrics back from its OTLP JSON file: what experiments, tuner and advisor know of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from tobs.errors import TobsError
from tobs.telemetry import names
from tobs.telemetry.histogram import Histogram, merge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Key: TypeAlias = "frozenset[tuple[str, str | int | float | bool]]"
"""A series' attributes."""
Wanted: TypeAlias = "Mapping[str, str | int] | None"
"""Attributes that a series must have, whatever others it has; None takes every series."""


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """A run's metrics. Totals are those of the last line; `exports` counts the lines.

    `complete` says whether the run ended well: without it a run counts as invalid. `torn` says that the file ends in
    the middle of a line, as it does when a process is killed while it writes.
    """

    resource: Mapping[str, str | int | float | bool]
    exports: int
    torn: bool
    numbers: Mapping[str, Mapping[Key, tuple[tuple[float, float], ...]]]
    histograms: Mapping[str, Mapping[Key, Histogram]]

    @property
    def complete(self) -> bool:
        """Whether the run said that it ended well."""
        return self.value(names.RUN_COMPLETE) == 1

    @property
    def seconds(self) -> float:
        """Seconds from the run's start to its last export."""
        return self.value(names.RUN_DURATION) or 0.0

    def total(self, name: str, attributes: Wanted = None) -> float:
        """The sum over all series with these attributes; 0 if there is none. For counters."""
        return sum(series[-1][1] for series in self._matching(name, attributes))

    def by(self, name: str, attribute: str, attributes: Wanted = None) -> dict[str | int, float]:
        """Totals by the value of one attribute; series without it are left out."""
        found: dict[str | int, float] = {}
        for key, series in self.numbers.get(name, {}).items():
            if _matches(key, attributes):
                for its, value in key:
                    if its == attribute and isinstance(value, str | int):
                        found[value] = found.get(value, 0.0) + series[-1][1]
        return found

    def value(self, name: str, attributes: Wanted = None) -> float | None:
        """The last value of the one series with these attributes, None if there is none. For gauges.

        Raises `TobsError` if the attributes leave several to choose from.
        """
        found = self._matching(name, attributes)
        if len(found) > 1:
            raise TobsError(f"{name} has {len(found)} series", hint="Name the attributes of one of them.")
        return found[0][-1][1] if found else None

    def series(self, name: str, attributes: Wanted = None) -> tuple[tuple[float, float], ...]:
        """How the sum over these series grew: pairs of seconds since the run's start and value, oldest first."""
        summed: dict[float, float] = {}
        for series in self._matching(name, attributes):
            for when, value in series:
                summed[when] = summed.get(when, 0.0) + value
        return tuple(sorted(summed.items()))

    def histogram(self, name: str, attributes: Wanted = None) -> Histogram:
        """All series with these attributes as one distribution; empty if there is none."""
        return merge(held for key, held in self.histograms.get(name, {}).items() if _matches(key, attributes))

    def _matching(self, name: str, attributes: Wanted) -> list[tuple[tuple[float, float], ...]]:
        return [series for key, series in self.numbers.get(name, {}).items() if _matches(key, attributes)]


def read(file: Path) -> RunMetrics:
    """Read a file that a run wrote.

    Raises `TobsError` if there is none, if it holds no whole line, or if it is something else.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise TobsError(
            f"no metrics at {file}: {error.strerror}", hint="The run did not start, or wrote none."
        ) from None
    torn = lines.pop() != b""
    if not lines:
        raise TobsError(f"{file} holds no whole export", hint="The run ended within its first interval: run it again.")
    numbers: dict[str, dict[Key, list[tuple[float, float]]]] = {}
    histograms: dict[str, dict[Key, Histogram]] = {}
    resource: dict[str, Any] = {}
    for number, line in enumerate(lines, 1):
        try:
            for whole in orjson.loads(line)["resourceMetrics"]:
                resource = _attributes(whole["resource"].get("attributes", ()))
                metrics = [metric for scope in whole["scopeMetrics"] for metric in scope["metrics"]]
                _take(metrics, numbers, histograms)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise TobsError(
                f"{file}, line {number}, is not OTLP JSON as TOBS writes it: {error}", hint="Run the trial again."
            ) from None
    frozen = {name: {key: tuple(points) for key, points in held.items()} for name, held in numbers.items()}
    return RunMetrics(resource, len(lines), torn, frozen, histograms)


def _take(
    metrics: list[dict[str, Any]],
    numbers: dict[str, dict[Key, list[tuple[float, float]]]],
    histograms: dict[str, dict[Key, Histogram]],
) -> None:
    """Take one export in: numbers are appended to their series, histograms replace their earlier state."""
    (duration,) = (metric["gauge"]["dataPoints"] for metric in metrics if metric["name"] == names.RUN_DURATION)
    when = _number(duration[0])
    for metric in metrics:
        name = metric["name"]
        if "exponentialHistogram" in metric:
            for point in metric["exponentialHistogram"]["dataPoints"]:
                histograms.setdefault(name, {})[_key(point)] = _histogram(point)
            continue
        for point in (metric.get("sum") or metric["gauge"])["dataPoints"]:
            series = numbers.setdefault(name, {}).setdefault(_key(point), [])
            if series and series[-1][0] == when:
                series.pop()  # a run's end is written twice, lest its last interval be lost
            series.append((when, _number(point)))


def _number(point: dict[str, Any]) -> float:
    value: int | float = int(point["asInt"]) if "asInt" in point else float(point["asDouble"])
    return value


def _histogram(point: dict[str, Any]) -> Histogram:
    positive = point.get("positive", {})
    offset = int(positive.get("offset", 0))
    counts = [int(count) for count in positive.get("bucketCounts", ())]
    return Histogram(
        count=int(point["count"]),
        sum=float(point.get("sum", 0.0)),
        low=float(point.get("min", 0.0)),
        high=float(point.get("max", 0.0)),
        scale=int(point.get("scale", 0)),
        zeros=int(point.get("zeroCount", 0)),
        buckets={offset + place: count for place, count in enumerate(counts) if count},
    )


def _key(point: dict[str, Any]) -> Key:
    return frozenset(_attributes(point.get("attributes", ())).items())


def _attributes(given: Any) -> dict[str, str | int | float | bool]:
    return {pair["key"]: _value(pair["value"]) for pair in given}


def _value(value: dict[str, Any]) -> str | int | float | bool:
    (kind, held), *_ = value.items()
    if kind == "intValue":
        return int(held)
    if kind == "doubleValue":
        return float(held)
    return bool(held) if kind == "boolValue" else str(held)


def _matches(key: Key, attributes: Wanted) -> bool:
    return not attributes or all(pair in key for pair in attributes.items())
