"""Metrics by name are read from OpenTelemetry data and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tobs.errors import UsageError
from tobs.experiment.metrics import CPU_BEFORE, DEFAULT, METRICS, choose, measure
from tobs.telemetry import RunMetrics, names


def metrics(**numbers: Any) -> RunMetrics:
    """Series by instrument: a number, or (attributes, points) pairs."""
    held: dict[str, Any] = {}
    for name, given in numbers.items():
        series = given if isinstance(given, list) else [({}, [(10.0, given)])]
        held[getattr(names, name)] = {frozenset(attributes.items()): tuple(points) for attributes, points in series}
    return RunMetrics({CPU_BEFORE: 500_000}, 1, torn=False, numbers=held, histograms={})


RUN = metrics(
    RUN_DURATION=10.0,
    MESSAGES=[({}, [(1.0, 0), (2.0, 100), (4.0, 1000), (10.0, 1000)])],
    PAGES=10,
    IO=[
        ({names.STAGE: "history"}, [(10.0, 400)]),
        ({names.STAGE: "media"}, [(10.0, 2100)]),
        ({names.STAGE: "store"}, [(10.0, 2000)]),
    ],
    FILES=[({names.OUTCOME: "done"}, [(1.0, 0), (3.0, 4), (10.0, 8)]), ({names.OUTCOME: "skipped"}, [(1.0, 9)])],
    FILE_TIME=34.0,
    CPU=[({names.MODE: "user"}, [(10.0, 3.0)]), ({names.MODE: "system"}, [(10.0, 1.0)])],
    MEMORY_PEAK=7e7,
    REQUESTS=20,
    FLOOD_WAITS=2,
    FLOOD_TIME=5.0,
)


def test_every_metric_of_a_run() -> None:
    assert measure(RUN) == {
        "wall": 10.0,
        "messages_per_second": 100.0,
        "bytes_per_second": 200.0,
        "page_latency": 1.0,
        "file_latency": 2.0,
        "time_to_half_of_files": 3.0,
        "time_to_all_messages": 4.0,
        "cpu": 3.5,
        "peak_rss": 7e7,
        "requests": 20.0,
        "bytes_received": 2500.0,
        "floods": 2.0,
        "flood_seconds": 5.0,
        "complete": 1.0,
        "errors": 0.0,
    }


@pytest.mark.parametrize(("points", "half"), [([(2.0, 8)], 1.0), ([(2.0, 2), (4.0, 6), (6.0, 8)], 3.0)])
def test_half_of_the_files_lies_between_two_exports(points: list[tuple[float, int]], half: float) -> None:
    run = metrics(RUN_DURATION=10.0, FILES=[({names.OUTCOME: "done"}, points)])
    assert measure(run)["time_to_half_of_files"] == half


def test_what_a_run_has_none_of_is_left_out() -> None:
    found = measure(metrics(RUN_DURATION=2.0))
    assert found["wall"] == 2.0
    assert not found.keys() & {"page_latency", "file_latency", "time_to_half_of_files", "peak_rss"}


def test_metrics_are_chosen_by_name_each_once() -> None:
    assert [metric.name for metric in choose(["cpu", DEFAULT, "cpu"])] == ["cpu", "wall"]
    with pytest.raises(UsageError, match="no metric 'speed'") as refused:
        choose(["speed"])
    assert all(name in refused.value.hint for name in METRICS)


def test_the_page_has_every_metric_with_its_unit_and_direction() -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")
    for metric in METRICS.values():
        assert f"| `{metric.name}` | {metric.unit} | {metric.direction} |".replace("|  |", "| |") in page
