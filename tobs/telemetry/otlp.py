"""OTLP as JSON, a line an export: the SDK's metrics in the proto mapping of OTLP (opentelemetry-proto, OTLP/JSON).

Written here because OpenTelemetry's own file exporter costs more to import than the instruments do to run; the tests
hold every line against that exporter's encoding. 64-bit integers are strings; field names are lowerCamelCase, and
fields at their default are left out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import orjson
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    Gauge,
    MetricExporter,
    MetricExportResult,
    Sum,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opentelemetry.sdk.metrics.export import ExponentialHistogramDataPoint, Metric, MetricsData, NumberDataPoint

CUMULATIVE: dict[type, AggregationTemporality] = dict.fromkeys(
    (Counter, Histogram, ObservableCounter), AggregationTemporality.CUMULATIVE
)
"""Every line is the run's total so far, whatever the environment prefers."""


class LineExporter(MetricExporter):
    """Appends one line for each export to a file that it makes anew. Raises `OSError` if it cannot.

    A line that does not fit on the disk is taken back, so that the next one begins where a line begins.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(preferred_temporality=CUMULATIVE)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._end = 0

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:  # noqa: ARG002
        """Write one line."""
        line = orjson.dumps(encode(metrics_data)) + b"\n"
        try:
            view = memoryview(line)
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self._file.seek(self._end)
            self._file.truncate()
            raise
        self._end += len(line)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - the interface
        """Nothing is held back."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:  # noqa: ARG002 - the interface
        """Close the file, its bytes on the disk."""
        if not self._file.closed:
            try:
                os.fsync(self._file.fileno())
            finally:
                self._file.close()


def encode(data: MetricsData) -> dict[str, Any]:
    """An ExportMetricsServiceRequest."""
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": _attributes(resource.resource.attributes)},
                "scopeMetrics": [
                    {
                        "scope": {"name": scope.scope.name, "version": scope.scope.version},
                        "metrics": [_metric(metric) for metric in scope.metrics],
                    }
                    for scope in resource.scope_metrics
                ],
            }
            for resource in data.resource_metrics
        ]
    }


def _metric(metric: Metric) -> dict[str, Any]:
    held = metric.data
    encoded: dict[str, Any] = {"name": metric.name, "description": metric.description, "unit": metric.unit}
    if isinstance(held, Sum):
        encoded["sum"] = {
            "dataPoints": [_number(point) for point in held.data_points],
            "aggregationTemporality": int(held.aggregation_temporality),
            "isMonotonic": held.is_monotonic,
        }
    elif isinstance(held, ExponentialHistogram):
        encoded["exponentialHistogram"] = {
            "dataPoints": [_distribution(point) for point in held.data_points],
            "aggregationTemporality": int(held.aggregation_temporality),
        }
    elif isinstance(held, Gauge):
        encoded["gauge"] = {"dataPoints": [_number(point) for point in held.data_points]}
    return encoded


def _number(point: NumberDataPoint) -> dict[str, Any]:
    value = point.value
    encoded: dict[str, Any] = {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}
    encoded["timeUnixNano"] = str(point.time_unix_nano)
    if point.start_time_unix_nano:
        encoded["startTimeUnixNano"] = str(point.start_time_unix_nano)
    if point.attributes:
        encoded["attributes"] = _attributes(point.attributes)
    return encoded


def _distribution(point: ExponentialHistogramDataPoint) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        "startTimeUnixNano": str(point.start_time_unix_nano),
        "timeUnixNano": str(point.time_unix_nano),
        "count": str(point.count),
        "sum": point.sum,
        "scale": point.scale,
        "zeroCount": str(point.zero_count),
        "min": point.min,
        "max": point.max,
        "positive": {
            "offset": point.positive.offset,
            "bucketCounts": [str(count) for count in point.positive.bucket_counts],
        },
    }
    if point.attributes:
        encoded["attributes"] = _attributes(point.attributes)
    return encoded


def _attributes(attributes: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in (attributes or {}).items()]


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)}
