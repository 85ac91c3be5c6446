"""How a run went, drawn from its telemetry: rates, queues, requests in flight, floods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.experiment.chart import Series, lines, rates
from tobs.telemetry import names

if TYPE_CHECKING:
    from tobs.telemetry import RunMetrics

_SECONDS = "s"


def figures(run: RunMetrics) -> list[str]:
    """The charts that the run has data for; a run of fewer than three exports has none."""
    drawn = []
    for title, series, unit in (
        ("Files", [Series("bytes stored a second", rates(run.series(names.IO, {names.STAGE: "store"})))], "B/s"),
        ("Messages", [Series("messages committed a second", rates(run.series(names.MESSAGES)))], "1/s"),
        ("Queues", _by(run, names.QUEUE_DEPTH, names.STAGE), "items"),
        ("Requests in flight", [Series("in flight", run.series(names.IN_FLIGHT))], ""),
        ("Flood waits", _growing(run, names.FLOOD_TIME, names.METHOD), "s"),
    ):
        held = [one for one in series if len(one.points) > 1 and any(value for _, value in one.points)]
        if held:
            drawn.append(lines(title, held, _SECONDS, unit))
    return drawn


def _by(run: RunMetrics, name: str, attribute: str) -> list[Series]:
    """A series for each value of an attribute."""
    return [
        Series(str(value), run.series(name, {attribute: value})) for value in sorted(run.by(name, attribute), key=str)
    ]


def _growing(run: RunMetrics, name: str, attribute: str) -> list[Series]:
    """As `_by`, for counters that begin at 0 when they first count."""
    return [Series(one.name, ((0.0, 0.0), *one.points)) for one in _by(run, name, attribute)]
