"""Metrics by name: each a number read from a run's OpenTelemetry data, and whether more of it is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tobs.errors import UsageError
from tobs.experiment.otel_metric import EXAMPLE, spell
from tobs.experiment.weighted import joined, mean, terms
from tobs.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tobs.telemetry.reading import RunMetrics

CPU_BEFORE = "tobs.process.cpu.before"
"""Attribute of a run's resource: microseconds of CPU that its process had used when the run began."""
DEFAULT = "wall"
COMPLETE = "complete"
"""Whether a run ended with the truth; of it shares are compared, not ratios, and invalid runs count as 0."""


@dataclass(frozen=True, slots=True)
class Metric:
    """`read` gives the number in `unit`, None where the run has none (no files, not measured on this system)."""

    name: str
    unit: str
    direction: Literal["up", "down"]
    says: str
    read: Callable[[RunMetrics], float | None]


def _share(amount: float, of: float) -> float | None:
    return amount / of if of else None


def _cpu(run: RunMetrics) -> float:
    before = run.resource.get(CPU_BEFORE, 0)
    return run.total(names.CPU) - float(before) / 1e6


def _until(run: RunMetrics, name: str, share: float, attributes: dict[str, str | int] | None = None) -> float | None:
    """Seconds until a counter had this share of its final value, interpolated between two exports."""
    series = run.series(name, attributes)
    if not series or not series[-1][1]:
        return None
    wanted = share * series[-1][1]
    earlier, had = 0.0, 0.0
    for when, has in series:
        if has >= wanted:
            return earlier + (when - earlier) * (wanted - had) / (has - had) if has > had else when
        earlier, had = when, has
    return None


_METRICS = (
    Metric(DEFAULT, "s", "down", "time of the run", lambda run: run.value(names.RUN_DURATION)),
    Metric(
        "messages_per_second",
        "1/s",
        "up",
        "messages committed a second",
        lambda run: _share(run.total(names.MESSAGES), run.seconds),
    ),
    Metric(
        "bytes_per_second",
        "B/s",
        "up",
        "bytes of files stored a second",
        lambda run: _share(run.total(names.IO, {names.STAGE: "store"}), run.seconds),
    ),
    Metric(
        "page_latency",
        "s",
        "down",
        "time of the run a history page",
        lambda run: _share(run.seconds, run.total(names.PAGES)),
    ),
    Metric(
        "file_latency",
        "s",
        "down",
        "mean time of a file, first request to settled",
        lambda run: _share(run.total(names.FILE_TIME), run.total(names.FILES)),
    ),
    Metric(
        "time_to_half_of_files",
        "s",
        "down",
        "time until half of the files were there",
        lambda run: _until(run, names.FILES, 0.5, {names.OUTCOME: "done"}),
    ),
    Metric(
        "time_to_all_messages",
        "s",
        "down",
        "time until all messages were committed",
        lambda run: _until(run, names.MESSAGES, 1.0),
    ),
    Metric("cpu", "s", "down", "processor time of the run and its children, without imports before it", _cpu),
    Metric(
        "peak_rss",
        "B",
        "down",
        "most memory ever held (Linux)",
        lambda run: run.value(names.MEMORY_PEAK),
    ),
    Metric("requests", "", "down", "attempts at a request", lambda run: run.total(names.REQUESTS)),
    Metric(
        "bytes_received",
        "B",
        "down",
        "bytes received in answers",
        lambda run: run.total(names.IO) - run.total(names.IO, {names.STAGE: "store"}),
    ),
    Metric(
        "io_calls",
        "",
        "down",
        "system calls that read or write (Linux)",
        lambda run: run.total(names.IO_CALLS) if names.IO_CALLS in run.numbers else None,
    ),
    Metric("floods", "", "down", "flood waits the server asked for", lambda run: run.total(names.FLOOD_WAITS)),
    Metric("flood_seconds", "s", "down", "waits the server asked for", lambda run: run.total(names.FLOOD_TIME)),
    Metric(COMPLETE, "", "up", "whether the archive is the truth: compared as shares of runs", lambda _: 1.0),
    Metric("errors", "", "down", "attempts lost or refused", lambda run: run.total(names.ERRORS)),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
"""Every metric, by name."""


def metric_of(name: str) -> Metric:
    """The metric of this name, the instrument that it spells (see `tobs.experiment.otel_metric`), or a weighted set.

    Sets are those of `tobs.experiment.weighted`. Raises `UsageError` for what is none of these.
    """
    if name in METRICS:
        return METRICS[name]
    spelled = spell(name)
    if spelled is None and (set(name) & {"=", ","}):
        return _weighted(name)
    if spelled is None:
        hint = f"Known: {', '.join(METRICS)}; or any instrument, for example {EXAMPLE}."
        raise UsageError(f"there is no metric {name!r}", hint=hint)
    return Metric(name, "", spelled.direction, "an instrument of the run's telemetry", spelled.read)


def _weighted(text: str) -> Metric:
    parts = [(metric_of(name), weight) for name, weight in terms(text)]
    if any(metric.name == COMPLETE for metric, _ in parts):
        hint = "Take it alone: of it shares of runs are compared."
        raise UsageError(f"{COMPLETE} cannot be part of {text!r}", hint=hint)
    if len(parts) == 1:
        return parts[0][0]

    def read(run: RunMetrics) -> float | None:
        return mean([(metric.read(run), weight, metric.direction == "up") for metric, weight in parts])

    return Metric(joined([text]), "", "down", "a weighted geometric mean of metrics", read)


def choose(wanted: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of these names, each once, in this order. Raises `UsageError` for one that does not exist."""
    return tuple({name: metric_of(name) for name in wanted}.values())


def measure(run: RunMetrics, further: Iterable[str] = ()) -> dict[str, float]:
    """All metrics that the run has: the named ones, and `further` ones that are spelled."""
    asked = {**METRICS, **{name: metric_of(name) for name in further}}
    found = {name: metric.read(run) for name, metric in asked.items()}
    return {name: float(value) for name, value in found.items() if value is not None}
