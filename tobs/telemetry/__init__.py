"""What a run measures of itself: OpenTelemetry instruments over plain numbers, written as OTLP and read back.

Importing this room imports no OpenTelemetry; a run that measures nothing does not pay for it.
"""

from tobs.telemetry.histogram import Histogram
from tobs.telemetry.reading import RunMetrics, read
from tobs.telemetry.session import Telemetry

__all__ = ["Histogram", "RunMetrics", "Telemetry", "read"]
