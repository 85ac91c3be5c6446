"""What a run looks like just now: a snapshot of its meters, read in the event loop's own thread.

Two snapshots tell what happened between them; `tobs.telemetry.alarms` and the live view are made from such pairs. No
OpenTelemetry is needed: the meters and the tally count in any case.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tobs.values import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tobs.engine.tally import Tally
    from tobs.meters import Meters
    from tobs.values import Attempt, Batch, Page, Settled

STATM = Path("/proc/self/statm")
MEMINFO = Path("/proc/meminfo")
CGROUPS = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")
RESTS = 10.0
"""Seconds without an answer after which a connection counts as resting."""
WAITS = frozenset({"pace", "lease", "budget"})
"""Steps of core in which somebody waits for a turn."""
MEMORY = "memory"
"""The level under which a plugin that bounds the process's memory tells what it aims at."""


@dataclass(frozen=True, slots=True)
class StageNow:
    """A stage: seconds that its workers were busy, without input and unable to hand on so far, and items done."""

    name: str
    workers: int
    busy: float
    wait: float
    blocked: float
    items: int


@dataclass(frozen=True, slots=True)
class QueueNow:
    """A queue: items in it, and how many it may hold."""

    name: str
    depth: int
    capacity: int


@dataclass(frozen=True, slots=True)
class CentreNow:
    """A data centre.

    `connections` had an answer within the last seconds; `answers`, `size` (bytes) and `lost` are totals; `waiting` is
    bytes of accepted files that are not settled. `silent` is seconds without an answer while requests are under way or
    were lost, 0 where all is well.
    """

    dc: int
    connections: int
    in_flight: int
    answers: int
    size: int
    lost: int
    waiting: int
    silent: float = 0.0


@dataclass(frozen=True, slots=True)
class MethodNow:
    """What PACE holds a method to: requests a second (infinite while never refused), and seconds left of a flood wait.

    `requests` and `floods` are the method's totals.
    """

    name: str
    rate: float
    wait: float
    requests: int = 0
    floods: int = 0


@dataclass(frozen=True, slots=True)
class LevelNow:
    """Bytes held of those that may be; 0: no bound."""

    name: str
    held: int
    limit: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident bytes, what the run aims at, and the `limit` of its cgroup or machine; 0 is unknown."""

    resident: int = 0
    aim: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run `seconds` after it began. Counts are totals.

    `expected` is the messages that the run will have read, by the server's own count; `size` the bytes of the `files`
    that came. `waited` is seconds in which some method had to wait for a flood. `waiting` is bytes of accepted files
    that are not settled, `needed` is bytes of files that are still to come, those of messages not
    read yet estimated by those that were; `free` is bytes on the archive's disk, None where it is unknown.
    Where a run has no stages, `stages` are the steps that core takes.
    """

    seconds: float
    messages: int = 0
    expected: int = 0
    files: int = 0
    size: int = 0
    requests: int = 0
    floods: int = 0
    waited: float = 0.0
    waiting: int = 0
    needed: int = 0
    free: int | None = None
    memory: Memory = field(default_factory=Memory)
    stages: tuple[StageNow, ...] = ()
    queues: tuple[QueueNow, ...] = ()
    centres: tuple[CentreNow, ...] = ()
    methods: tuple[MethodNow, ...] = ()
    levels: tuple[LevelNow, ...] = ()

    @property
    def wait(self) -> float:
        """Seconds left of the longest flood wait that is on."""
        return max((method.wait for method in self.methods), default=0.0)


class Live:
    """A probe that, with the run's meters and tally, gives snapshots.

    `held` gives what PACE holds methods to and `shares` what is held of the budget, as `Pace.held` and
    `ByteBudget.shares` do; `free` the bytes on the archive's disk. All are set when they stand; until then nothing is
    known of them.
    """

    def __init__(self, meters: Meters, tally: Tally, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._meters = meters
        self._tally = tally
        self._clock = clock
        self._began = clock()
        self._counts: dict[int, int] = {}
        self._floods: dict[str, int] = {}
        self._waited = 0.0
        self._from = self._until = self._began
        self._limit = memory_limit()
        self.held: Callable[[], Iterable[tuple[str, float, float]]] = tuple
        self.shares: Callable[[], Iterable[tuple[str, int, int]]] = tuple
        self.free: Callable[[], int | None] = lambda: None
        self.before = 0
        """Messages that the archive held before."""

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:  # noqa: ARG002 - the port
        """A page is committed: what the server counts of its chat is known."""
        if page.count > self._counts.get(page.chat.id, 0):
            self._counts[page.chat.id] = page.count

    def file(self, outcome: Settled, seconds: float) -> None:
        """Files are counted elsewhere."""

    def attempt(self, attempt: Attempt) -> None:
        """Requests are counted elsewhere."""

    def flood(self, method: str, seconds: float) -> None:
        """A method has to wait: the time in which any has to is counted once."""
        self._floods[method] = self._floods.get(method, 0) + 1
        now = self._clock()
        if now >= self._until:
            self._waited += self._until - self._from
            self._from = self._until = now
        self._until = max(self._until, now + seconds)

    def snapshot(self) -> Snapshot:
        """The run just now."""
        now, tally, meters = self._clock(), self._tally, self._meters
        expected = sum(self._counts.values())
        waiting = sum(max(0, lane.wanted) for lane in meters.lanes.values())
        unread = max(0, expected - self.before - tally.messages)
        needed = waiting + round(unread * (tally.size + waiting) / tally.messages) if tally.messages else waiting
        levels = [LevelNow(name, held, most) for name, held, most in self.shares()]
        levels += [LevelNow(one.name, one.held, one.limit) for one in meters.levels.values() if one.name != MEMORY]
        aim = meters.levels.get(MEMORY)
        return Snapshot(
            seconds=now - self._began,
            messages=tally.messages,
            expected=tally.messages + unread,
            files=tally.files,
            size=tally.size,
            requests=sum(tally.requests.values()),
            floods=tally.floods,
            waited=self._waited + min(now, self._until) - self._from,
            waiting=waiting,
            needed=needed,
            free=self.free(),
            memory=Memory(resident() or 0, aim.limit if aim else 0, self._limit or 0),
            stages=tuple(
                StageNow(one.name, one.workers, one.busy, one.wait_get, one.blocked_put, one.items)
                for one in meters.stages.values()
            )
            or self._steps(now),
            queues=tuple(QueueNow(one.name, one.depth, one.capacity) for one in meters.queues.values()),
            centres=tuple(self._centre(dc, now) for dc in sorted(meters.lanes) if dc),
            methods=tuple(self._method(*held) for held in self.held()),
            levels=tuple(levels),
        )

    def _centre(self, dc: int, now: float) -> CentreNow:
        lane = self._meters.lanes[dc]
        used = sum(now - last <= RESTS for last in lane.used.values())
        # Nobody is silent who may not be asked: the time starts when the last wait ended.
        wanted = max(0, lane.wanted)
        awaited = lane.in_flight or (lane.quiet and wanted)
        silent = now - max(lane.since, self._until) if awaited else 0.0
        return CentreNow(dc, used, lane.in_flight, lane.answers, lane.size, lane.lost, wanted, max(0.0, silent))

    def _steps(self, now: float) -> tuple[StageNow, ...]:
        """The steps that core itself takes, as stages of one worker: what a run without stages is doing."""
        activity = self._meters.activity
        held = dict(activity.held)
        if activity.since:
            held[activity.now] = held.get(activity.now, 0.0) + now - activity.since
        counts: dict[str, int] = {}
        for step in self._meters.steps.values():
            counts[step.kind] = counts.get(step.kind, 0) + step.count
        found = []
        for kind, count in counts.items():
            time = sum(seconds for kinds, seconds in held.items() if kinds & activity.bits[kind])
            busy, wait = (0.0, time) if kind in WAITS else (time, 0.0)
            name = f"{kind} requests" if kind in set(Traffic) else kind
            found.append(StageNow(name, 1, busy, wait, 0.0, count))
        return tuple(found)

    def _method(self, name: str, rate: float, wait: float) -> MethodNow:
        plain = name.rpartition(":")[2]
        return MethodNow(name, rate, wait, self._tally.requests[plain], self._floods.get(plain, 0))


def resident(statm: Path = STATM) -> int | None:
    """Resident memory of this process in bytes, or None where the system does not say."""
    if sys.platform != "linux":
        return None
    import resource  # noqa: PLC0415 - Unix alone has it

    try:
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None


def memory_limit(meminfo: Path = MEMINFO, cgroups: Path = CGROUPS, root: Path = CGROUP_ROOT) -> int | None:
    """Bytes of memory that this process may use, or None where the system does not say.

    The least of its cgroup's limits (version 2) and the machine's memory.
    """
    if sys.platform != "linux":
        return None
    found = [math.inf]
    try:
        lines = meminfo.read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")]
    except (OSError, ValueError, IndexError):
        pass
    try:
        (mine,) = [line[3:] for line in cgroups.read_text().splitlines() if line.startswith("0::")]
        folder = root / mine.lstrip("/")
        # A parent's limit holds for its children too.
        places = [place for place in (folder, *folder.parents) if place == root or root in place.parents]
    except (OSError, ValueError):
        places = []
    for place in places:
        try:
            found.append(int((place / "memory.max").read_text()))
        except (OSError, ValueError):  # the root has none, "max" is no limit
            continue
    least = min(found)
    return None if math.isinf(least) else int(least)
