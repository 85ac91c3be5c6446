"""Any instrument of a run can be compared, by its name as the telemetry has it."""

from __future__ import annotations

import pytest

from tobs.errors import UsageError
from tobs.experiment.metrics import choose, measure, metric_of
from tobs.experiment.otel_metric import EXAMPLE, spell
from tobs.telemetry import RunMetrics, names
from tobs.telemetry.histogram import Histogram

FILE, HISTORY = {names.METHOD: "upload.getFile"}, {names.METHOD: "messages.getHistory"}
RUN = RunMetrics(
    {},
    2,
    torn=False,
    numbers={
        names.REQUESTS: {
            frozenset(FILE.items()): ((1.0, 3.0), (2.0, 9.0)),
            frozenset(HISTORY.items()): ((1.0, 1.0), (2.0, 2.0)),
        },
        names.QUEUE_DEPTH: {frozenset({(names.STAGE, "media")}): ((1.0, 5.0), (2.0, 1.0))},
    },
    histograms={
        names.RPC_DURATION: {
            # b = 2: index i holds (2**i, 2**(i + 1)] seconds
            frozenset(FILE.items()): Histogram(4, 10.0, 1.0, 4.0, 0, 0, {0: 2, 1: 2}),
            frozenset(HISTORY.items()): Histogram(1, 16.0, 16.0, 16.0, 0, 0, {3: 1}),
        }
    },
)


@pytest.mark.parametrize(
    ("text", "value", "direction"),
    [
        ("tobs.requests:down", 11, "down"),
        ("tobs.requests{rpc.method=upload.getFile}:down", 9, "down"),
        ("tobs.requests{rpc.method=messages.getHistory}:total:up", 2, "up"),
        ("tobs.queue.depth{tobs.stage=media}:down", 1, "down"),
        ("tobs.queue.depth{tobs.stage=media}:max:down", 5, "down"),
        ("tobs.rpc.duration:count:up", 5, "up"),
        ("tobs.rpc.duration{rpc.method=upload.getFile}:down", 2.5, "down"),
        ("tobs.rpc.duration{ rpc.method = upload.getFile }:sum:down", 10, "down"),
        ("tobs.rpc.duration{rpc.method=upload.getFile}:min:down", 1, "down"),
        ("tobs.rpc.duration:max:down", 16, "down"),
        (EXAMPLE, 2, "down"),
        ("tobs.rpc.duration:p100:down", 16, "down"),
    ],
)
def test_a_spelled_instrument_is_read(text: str, value: float, direction: str) -> None:
    metric = metric_of(text)
    assert (metric.name, metric.direction) == (text, direction)
    assert metric.read(RUN) == pytest.approx(value)
    assert measure(RUN, [text])[text] == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["tobs.nothing:up", "tobs.requests{rpc.method=x}:up", "tobs.rpc.duration{tobs.dc=9}:up"]
)
def test_what_a_run_has_none_of_is_not_measured(text: str) -> None:
    assert metric_of(text).read(RUN) is None
    assert text not in measure(RUN, [text])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tobs.requests", "no metric"),
        ("tobs.requests:sideways", "no metric"),
        ("wall:down", "no metric"),
        ("tobs.requests:mode:down", "no statistic 'mode'"),
        ("tobs.requests:p101:down", "no percentile"),
        ("tobs.requests{rpc.method}:down", "no attribute"),
    ],
)
def test_a_wrong_spelling_is_refused_before_anything_runs(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        choose(["wall", text])
    assert refused.value.hint


@pytest.mark.parametrize("text", ["tobs.requests:p50:down", "tobs.rpc.duration:total:down"])
def test_a_statistic_that_an_instrument_has_not_is_named_with_those_it_has(text: str) -> None:
    with pytest.raises(UsageError, match="has no statistic") as refused:
        metric_of(text).read(RUN)
    assert refused.value.hint.startswith("It has: ")


def test_numbers_in_braces_are_numbers() -> None:
    spelled = spell("tobs.io{tobs.dc=4,tobs.stage=media}:down")
    assert spelled is not None
    assert spelled.attributes == {"tobs.dc": 4, "tobs.stage": "media"}
