"""The instruments of a run: each observable one is a row that says where its number stands.

Counters are cumulative. A gauge is read once an interval and misses peaks, hence the integrals beside them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.metrics import Observation

from tobs.telemetry import names
from tobs.telemetry.names import ACTIVE, DC, DIRECTION, METHOD, MODE, OUTCOME, STAGE, Attributes
from tobs.telemetry.probe import is_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import CallbackOptions, Meter

    from tobs.meters import Level, Meters, Stage, Step
    from tobs.telemetry.probe import RunProbe

STATUS = Path("/proc/self/status")
IO = Path("/proc/self/io")
SCHEDULE = "/proc/self/task/{}/schedstat"


@dataclass(slots=True)
class Board:
    """What the instruments read. `limits` by name; `complete` is None until the run has ended.

    It is made in the event loop's thread, whose system id is `loop`; `before` is what that thread had used by then.
    """

    probe: RunProbe
    meters: Meters
    limits: dict[str, Callable[[], float]] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    ended: float | None = None
    complete: bool | None = None
    loop: int = field(default_factory=threading.get_native_id)
    before: dict[str, float] = field(default_factory=lambda: loop_time(threading.get_native_id()))


Reading = tuple[float, Attributes]


class Instrument(NamedTuple):
    """An observable instrument: a counter if `sums`, else a gauge."""

    name: str
    unit: str
    says: str
    read: Callable[[Board], Iterable[Reading]]
    sums: bool = True


def register(meter: Meter, board: Board) -> None:
    """Make every observable instrument of the table."""
    for instrument in INSTRUMENTS:
        make: Any = meter.create_observable_counter if instrument.sums else meter.create_observable_gauge
        make(instrument.name, [_callback(instrument, board)], instrument.unit, instrument.says)


def _callback(instrument: Instrument, board: Board) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, attributes) for value, attributes in instrument.read(board)]

    return observe


def _received(board: Board) -> Iterator[Reading]:
    for series in list(board.probe.series.values()):
        yield series.size, series.traffic
    yield board.probe.stored, {STAGE: "store"}


def _requests(board: Board) -> Iterator[Reading]:
    for series in list(board.probe.series.values()):
        for outcome, count in list(series.outcomes.items()):
            yield count, series.answered[outcome]


def _errors(board: Board) -> Iterator[Reading]:
    for series in list(board.probe.series.values()):
        for outcome, count in list(series.outcomes.items()):
            if is_error(outcome):
                yield count, series.answered[outcome]


def _parts(board: Board) -> Iterator[Reading]:
    for series in list(board.probe.series.values()):
        for bits, size in list(series.part_sizes.items()):
            if series.parts is not None:
                yield size, series.parts[bits]


def _of_steps(number: Callable[[Step], float]) -> Callable[[Board], Iterator[Reading]]:
    def read(board: Board) -> Iterator[Reading]:
        for step in list(board.meters.steps.values()):
            yield number(step), {STAGE: step.kind, DC: step.dc} if step.dc else {STAGE: step.kind}

    return read


def _activity(board: Board) -> Iterator[Reading]:
    activity = board.meters.activity
    found = dict(activity.held)
    if board.ended is not None and activity.since:  # the last stretch ends with the run; until then it is left out
        found[activity.now] = found.get(activity.now, 0.0) + max(0.0, board.ended - activity.since)
    for held, seconds in found.items():
        yield seconds, {ACTIVE: "+".join(sorted(kind for kind, bit in list(activity.bits.items()) if held & bit))}


def _of_stages(number: Callable[[Stage], float]) -> Callable[[Board], Iterator[Reading]]:
    def read(board: Board) -> Iterator[Reading]:
        for stage in list(board.meters.stages.values()):
            yield number(stage), {STAGE: stage.name}

    return read


def _depths(board: Board) -> Iterator[Reading]:
    for queue in list(board.meters.queues.values()):
        yield queue.depth, {STAGE: queue.name}


def _capacities(board: Board) -> Iterator[Reading]:
    for queue in list(board.meters.queues.values()):
        yield queue.capacity, {STAGE: queue.name}


def _integrals(board: Board) -> Iterator[Reading]:
    for queue in list(board.meters.queues.values()):
        # What has passed since the last change is left out: two numbers of another thread need not fit together.
        yield queue.integral, {STAGE: queue.name}


def _of_levels(number: Callable[[Level], int]) -> Callable[[Board], Iterator[Reading]]:
    def read(board: Board) -> Iterator[Reading]:
        for level in list(board.meters.levels.values()):
            yield number(level), {STAGE: level.name}

    return read


def _cpu(_: Board) -> Iterator[Reading]:
    spent = os.times()
    yield spent.user + spent.children_user, {MODE: "user"}
    yield spent.system + spent.children_system, {MODE: "system"}


def memory_peak(status: Path = STATUS) -> int | None:
    """The most memory this process ever held, in bytes, or None where the system does not say.

    VmHWM of Linux: `getrusage` would show the parent's peak for a child that is young.
    """
    if sys.platform != "linux":
        return None
    try:
        text = status.read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def io_calls(status: Path = IO) -> dict[str, int] | None:
    """Calls that this process made to read and to write so far, or None where the system does not say.

    `syscr` and `syscw` of Linux (https://docs.kernel.org/filesystems/proc.html, 3.3): files and sockets alike.
    """
    if sys.platform != "linux":
        return None
    try:
        fields = dict(line.split(": ") for line in status.read_text().splitlines())
        return {"read": int(fields["syscr"]), "write": int(fields["syscw"])}
    except (OSError, KeyError, ValueError):
        return None


def loop_time(thread: int) -> dict[str, float]:
    """Seconds that a thread of this process ran (`cpu`) and waited for a processor (`runnable`); empty if not told.

    The first two numbers of Linux's schedstat (https://docs.kernel.org/scheduler/sched-stats.html), in nanoseconds.
    """
    if sys.platform != "linux":
        return {}
    try:
        cpu, runnable = Path(SCHEDULE.format(thread)).read_text().split()[:2]
        return {"cpu": int(cpu) / 1e9, "runnable": int(runnable) / 1e9}
    except (OSError, ValueError):
        return {}


def _loop(board: Board) -> Iterator[Reading]:
    for mode, seconds in loop_time(board.loop).items():
        yield max(0.0, seconds - board.before.get(mode, 0.0)), {MODE: mode}


def _io_calls(_: Board) -> Iterator[Reading]:
    for direction, calls in (io_calls() or {}).items():
        yield calls, {DIRECTION: direction}


def _memory(_: Board) -> Iterator[Reading]:
    peak = memory_peak()
    if peak is not None:
        yield peak, {}


def _limits(board: Board) -> Iterator[Reading]:
    for name, read in list(board.limits.items()):
        yield read(), {STAGE: name}


def _duration(board: Board) -> Iterator[Reading]:
    yield (time.perf_counter() if board.ended is None else board.ended) - board.began, {}


def _complete(board: Board) -> Iterator[Reading]:
    if board.complete is not None:
        yield int(board.complete), {}


INSTRUMENTS = (
    Instrument(names.IO, "By", "Bytes received, by traffic, and bytes of files stored.", _received),
    Instrument(names.PART_IO, "By", "Bytes received in parts of files.", _parts),
    Instrument(names.MESSAGES, "{message}", "Messages committed.", lambda board: [(board.probe.messages, {})]),
    Instrument(names.PAGES, "{page}", "History pages committed.", lambda board: [(board.probe.pages, {})]),
    Instrument(
        names.FILES,
        "{file}",
        "File references settled.",
        lambda board: [(count, {OUTCOME: status}) for status, count in list(board.probe.files.items())],
    ),
    Instrument(names.REQUESTS, "{request}", "Attempts at a request.", _requests),
    Instrument(names.ERRORS, "{error}", "Attempts lost or refused, but for floods and migrations.", _errors),
    Instrument(
        names.FLOOD_WAITS,
        "{wait}",
        "Waits that the server asked for.",
        lambda board: [(count, {METHOD: method}) for method, count in list(board.probe.floods.items())],
    ),
    Instrument(
        names.FLOOD_TIME,
        "s",
        "Seconds of wait that the server asked for.",
        lambda board: [(seconds, {METHOD: method}) for method, seconds in list(board.probe.flood_time.items())],
    ),
    Instrument(names.BATCH_TIME, "s", "Normalise and commit.", lambda board: [(board.probe.batch_time, {})]),
    Instrument(names.FILE_TIME, "s", "Files, first request to settled.", lambda board: [(board.probe.file_time, {})]),
    Instrument(names.BUSY, "s", "Workers busy.", _of_stages(lambda stage: stage.busy)),
    Instrument(names.BLOCKED_PUT, "s", "Workers unable to hand on.", _of_stages(lambda stage: stage.blocked_put)),
    Instrument(names.WAIT_GET, "s", "Workers without input.", _of_stages(lambda stage: stage.wait_get)),
    Instrument(names.ITEMS, "{item}", "Items worked off.", _of_stages(lambda stage: stage.items)),
    Instrument(names.WORKERS, "{worker}", "Workers of a stage.", _of_stages(lambda stage: stage.workers), sums=False),
    Instrument(names.STEP_TIME, "s", "Steps that core takes, their sum.", _of_steps(lambda step: step.integral)),
    Instrument(names.STEP_ACTIVE, "s", "At least one such step under way.", _of_steps(lambda step: step.active)),
    Instrument(names.STEPS, "{step}", "Steps that core took.", _of_steps(lambda step: step.count)),
    Instrument(names.STEP_PEAK, "{step}", "The most under way at once.", _of_steps(lambda step: step.peak), sums=False),
    Instrument(names.ACTIVITY, "s", "By which kinds of step were under way at once.", _activity),
    Instrument(names.QUEUE_DEPTH, "{item}", "Items in a queue.", _depths, sums=False),
    Instrument(names.QUEUE_CAPACITY, "{item}", "Items a queue may hold.", _capacities, sums=False),
    Instrument(names.QUEUE_INTEGRAL, "{item}.s", "Depth times seconds, up to the last change.", _integrals),
    Instrument(names.HELD, "By", "Bytes held.", _of_levels(lambda level: level.held), sums=False),
    Instrument(names.HELD_PEAK, "By", "The most bytes held.", _of_levels(lambda level: level.peak), sums=False),
    Instrument(names.HELD_LIMIT, "By", "Bytes that may be held.", _of_levels(lambda level: level.limit), sums=False),
    Instrument(
        names.SEEN_MEMORY,
        "By",
        "The most memory that a record of what the archive holds took.",
        lambda board: [(held, {STAGE: name}) for name, held in list(board.meters.seen.items())],
        sums=False,
    ),
    Instrument(
        names.IN_FLIGHT,
        "{request}",
        "Requests in flight as the latest attempt that ended saw them, itself among them.",
        lambda board: [(board.probe.in_flight, {})],
        sums=False,
    ),
    Instrument(
        names.IN_FLIGHT_PEAK,
        "{request}",
        "The most requests in flight.",
        lambda board: [(board.probe.in_flight_peak, {})],
        sums=False,
    ),
    Instrument(
        names.CONNECTIONS,
        "{connection}",
        "Connections that carried requests.",
        lambda board: [(len(used), {DC: dc}) for dc, used in list(board.probe.connections.items())],
    ),
    Instrument(names.LIMIT, "{request}", "Limits in force.", _limits, sums=False),
    Instrument(names.CPU, "s", "Processor time of the whole process and of its children that have ended.", _cpu),
    Instrument(names.LOOP, "s", "The event loop's thread: running, and waiting for a processor. Linux only.", _loop),
    Instrument(names.IO_CALLS, "{call}", "System calls that read or write, Linux only.", _io_calls),
    Instrument(names.MEMORY_PEAK, "By", "Peak resident memory, Linux only.", _memory, sums=False),
    Instrument(names.RUN_DURATION, "s", "Since the run began.", _duration, sums=False),
    Instrument(names.RUN_COMPLETE, "1", "1 when the run ended well, 0 when it did not.", _complete, sums=False),
)
HISTOGRAMS = (
    (names.RPC_DURATION, "s", "One attempt at a request, without the waits before it."),
    (names.PART_DURATION, "s", "One part of a file, request to answer."),
    (names.QUEUE_WAIT, "s", "One item in a queue, put to get."),
    (names.FLOOD_DURATION, "s", "One wait that the server asks for."),
    (names.FILE_SIZE, "By", "One file that came."),
    (names.FILE_DURATION, "s", "One file that came, first request to settled."),
)
"""Exponential: the usual boundaries are meant for milliseconds."""
__all__ = ["DC", "HISTOGRAMS", "INSTRUMENTS", "Board", "Instrument", "memory_peak", "register"]
