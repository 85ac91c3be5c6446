"""The SDK's side: provider, readers and exporters, and one voice for whatever goes wrong with them."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tobs import __version__
from tobs.errors import UsageError
from tobs.telemetry.otlp import CUMULATIVE, LineExporter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opentelemetry.sdk.metrics.export import MetricExporter

log = logging.getLogger("tobs.telemetry")
PATH = "/v1/metrics"
"""Where a collector takes metrics (OTLP specification, OTLP/HTTP request)."""
PATIENCE = 3.0
"""Seconds that one delivery to a collector may take, so that a dead one hardly delays a run's end."""


class Spokesman(logging.Handler):
    """Stands for OpenTelemetry's loggers while a run measures: says the first failure and leaves the others unsaid."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._logger = logging.getLogger("opentelemetry")
        self._before = (self._logger.propagate, self._logger.level)
        self._spoke = False
        self._logger.propagate = False
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the first."""
        error = record.exc_info[1] if record.exc_info else None
        self.say(str(error or record.getMessage()))

    def say(self, what: str) -> None:
        """Warn, once in a run."""
        if not self._spoke:
            self._spoke = True
            log.warning("metrics of this run are incomplete: %s (the export goes on)", what)

    def leave(self) -> None:
        """Let OpenTelemetry speak for itself again."""
        self._logger.removeHandler(self)
        self._logger.propagate, _ = self._before


class Output:
    """A provider with its readers; `meter` is where instruments are made."""

    def __init__(
        self, resource: Mapping[str, str | int], file: Path | None, endpoint: str | None, interval: float
    ) -> None:
        deliver = _collector(endpoint) if endpoint is not None else None  # a wrong setting ends before a thread begins
        self._spokesman = Spokesman()
        exporters: list[MetricExporter] = []
        if file is not None:
            try:
                exporters.append(LineExporter(file))
            except OSError as error:
                self._spokesman.say(str(error))
        if deliver is not None:
            exporters.append(deliver)
        # Readers start a thread each: only now, after any fork.
        self._readers = [PeriodicExportingMetricReader(exporter, interval * 1e3) for exporter in exporters]
        self._provider = MeterProvider(
            self._readers,
            Resource(dict(resource)),
            exemplar_filter=AlwaysOffExemplarFilter(),
            views=[View(instrument_type=Histogram, aggregation=ExponentialBucketHistogramAggregation())],
        )
        self.meter = self._provider.get_meter("tobs", __version__)

    def close(self) -> None:
        """Write what is left and end the threads. What goes wrong is said and not raised."""
        try:
            # The reader's own last collection may take no longer than an interval; this one may.
            if self._readers:
                self._readers[0].force_flush()
            self._provider.shutdown()
        except Exception as error:  # noqa: BLE001 - measuring never fails a run
            self._spokesman.say(f"{type(error).__name__}: {error}")
        finally:
            self._spokesman.leave()


def _collector(endpoint: str) -> MetricExporter:
    """An exporter to a collector. Raises `UsageError` for no address, or if the extra is not installed."""
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise UsageError(
            f"{endpoint!r} is no address of a collector", hint="Write it like http://localhost:4318 (OTLP/HTTP)."
        )
    try:
        module: Any = importlib.import_module("opentelemetry.exporter.otlp.proto.http.metric_exporter")
    except ImportError:
        raise UsageError(
            "sending metrics to a collector needs OpenTelemetry's OTLP/HTTP exporter",
            hint="Install it: pip install 'tobs[otlp]'",
        ) from None
    address = endpoint if parts.path.strip("/") else endpoint.rstrip("/") + PATH
    exporter: MetricExporter = module.OTLPMetricExporter(
        endpoint=address, timeout=PATIENCE, preferred_temporality=CUMULATIVE
    )
    return exporter
