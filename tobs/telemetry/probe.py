"""The probe: what an attempt, a batch, a file and a flood leave behind, in plain attributes.

The event loop's thread writes them; the exporting thread reads them once an interval. An entry is only ever added and
a number only ever grows, so a reading in between is a little old and never wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tobs.errors import FLOODS
from tobs.telemetry.names import DC, KIND, METHOD, OUTCOME, SIZE, STAGE, Attributes

if TYPE_CHECKING:
    from tobs.values import Attempt, Batch, Page, Settled, Traffic

PART = "upload.getFile"
OK = "ok"
CANCELLED = "cancelled"
DONE = "done"


class Records(Protocol):
    """A histogram that takes one value with its attributes; OpenTelemetry's is one."""

    def record(self, amount: float, attributes: Attributes | None = None) -> None:
        """Count one value, in seconds or bytes."""
        ...


@dataclass(slots=True)
class Series:
    """What is counted of one method at one data centre for one kind of traffic; `size` is bytes received.

    `parts` has the attributes of file parts by the number of bits of their size, `part_sizes` their bytes; None for
    what are no parts.
    """

    attributes: Attributes
    parts: dict[int, Attributes] | None
    traffic: Attributes
    size: int = 0
    part_sizes: dict[int, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    answered: dict[str, Attributes] = field(default_factory=dict)


@dataclass(slots=True)
class RunProbe:
    """See `tobs.ports.Probe`.

    `rpc`, `part` and `wait` take the seconds of each attempt, of each part that came and of each wait that the server
    asks for, `file_size` the bytes and `file_duration` the seconds of each file that came. `connections` by data centre
    are those that were used.
    """

    rpc: Records
    part: Records
    wait: Records
    file_size: Records
    file_duration: Records
    messages: int = 0
    pages: int = 0
    stored: int = 0
    batch_time: float = 0.0
    file_time: float = 0.0
    in_flight: int = 0
    in_flight_peak: int = 0
    files: Counter[str] = field(default_factory=Counter)
    floods: Counter[str] = field(default_factory=Counter)
    flood_time: dict[str, float] = field(default_factory=dict)
    series: dict[tuple[str, int, str], Series] = field(default_factory=dict)
    connections: dict[int, set[int]] = field(default_factory=dict)

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:  # noqa: ARG002 - the port
        """A page is committed."""
        self.pages += 1
        self.messages += len(batch.messages)
        self.batch_time += seconds

    def file(self, outcome: Settled, seconds: float) -> None:
        """A reference is settled."""
        self.files[outcome.status] += 1
        self.stored += outcome.size
        self.file_time += seconds
        if outcome.status == DONE:
            what: Attributes = {KIND: outcome.ref.kind, DC: outcome.ref.dc}
            self.file_size.record(outcome.size, what)
            self.file_duration.record(seconds, what)

    def attempt(self, attempt: Attempt) -> None:
        """A request was answered, refused, lost or given up."""
        method, traffic, dc, seconds, outcome = (
            attempt.method,
            attempt.traffic,
            attempt.dc,
            attempt.seconds,
            attempt.outcome,
        )
        series = self.series.get((method, dc, traffic)) or self._open(method, dc, traffic)
        attributes = series.answered.get(outcome)
        if attributes is None:
            attributes = series.answered[outcome] = {**series.attributes, OUTCOME: outcome}
            series.outcomes[outcome] = 0
        series.outcomes[outcome] += 1
        series.size += attempt.size
        self.rpc.record(seconds, attributes)
        if series.parts is not None and outcome == OK:
            bits = attempt.size.bit_length()
            part = series.parts.get(bits)
            if part is None:
                part = series.parts[bits] = {DC: dc, SIZE: 1 << bits >> 1}
                series.part_sizes[bits] = 0
            series.part_sizes[bits] += attempt.size
            self.part.record(seconds, part)
        if attempt.connection:
            self.connections.setdefault(dc, set()).add(attempt.connection)
        self.in_flight = attempt.in_flight
        self.in_flight_peak = max(self.in_flight_peak, attempt.in_flight)

    def flood(self, method: str, seconds: float) -> None:
        """The server asks to wait."""
        self.flood_time[method] = self.flood_time.get(method, 0.0) + seconds
        self.floods[method] += 1
        self.wait.record(seconds, {METHOD: method})

    def _open(self, method: str, dc: int, traffic: Traffic) -> Series:
        attributes: Attributes = {METHOD: method, DC: dc}
        parts: dict[int, Attributes] | None = {} if method == PART else None
        series = Series(attributes, parts, {STAGE: traffic.value, METHOD: method, DC: dc})
        self.series[method, dc, traffic] = series
        return series


def is_error(outcome: str) -> bool:
    """Whether an attempt of this outcome counts as an error.

    Waits that the server asks for have figures of their own, a migration is an address, and what the run itself gave
    up is none.
    """
    return outcome not in (OK, CANCELLED) and outcome not in FLOODS and not outcome.endswith("_MIGRATE")
