"""The lines of a file are what OpenTelemetry's own encoder would write."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tobs.telemetry.otlp import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import MetricsData


@pytest.fixture
def data() -> Iterator[MetricsData]:
    reader = InMemoryMetricReader()
    provider = MeterProvider(
        [reader],
        Resource({"run": "r1", "seed": 2**60, "share": 0.5, "flag": True}),
        exemplar_filter=AlwaysOffExemplarFilter(),
        views=[View(instrument_type=Histogram, aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = provider.get_meter("tobs", "1")
    counter = meter.create_counter("count", "{message}", "Things.")
    counter.add(2**60, {"dc": 2, "method": "a"})
    counter.add(1)
    meter.create_counter("seconds", "s").add(0.25)
    meter.create_gauge("depth", "{item}").set(3)
    histogram = meter.create_histogram("duration", "s")
    for value in (0.0, 0.001, 0.5, 0.5, 90.0):
        histogram.record(value, {"dc": 4})
    collected = reader.get_metrics_data()
    assert collected is not None
    yield collected
    provider.shutdown()


def plain(encoded: Any) -> Any:
    """Without fields at their default, and without the buckets below zero, which no duration falls into."""
    if isinstance(encoded, dict):
        kept = {key: plain(value) for key, value in encoded.items() if key != "negative"}
        return {key: value for key, value in kept.items() if value not in ("", "0", 0, [], {}, None)}
    return [plain(value) for value in encoded] if isinstance(encoded, list) else encoded


def test_it_is_what_the_official_encoder_writes(data: MetricsData) -> None:
    official: Any = importlib.import_module("opentelemetry.exporter.otlp.json.common.metrics_encoder")
    ours = orjson.loads(orjson.dumps(encode(data)))
    theirs = orjson.loads(orjson.dumps(official.encode_metrics(data).to_dict()))
    assert plain(ours) == plain(theirs)


def test_integers_are_strings_and_say_so(data: MetricsData) -> None:
    (resource,) = encode(data)["resourceMetrics"]
    assert {"key": "seed", "value": {"intValue": str(2**60)}} in resource["resource"]["attributes"]
    (scope,) = resource["scopeMetrics"]
    count = next(metric for metric in scope["metrics"] if metric["name"] == "count")
    assert {point["asInt"] for point in count["sum"]["dataPoints"]} == {str(2**60), "1"}
    assert count["sum"]["aggregationTemporality"] == 2, "cumulative"
