"""Plain numbers that the hot path writes and telemetry reads: stages, steps, queues, levels, and a metered queue.

An attribute costs nothing to write; an observable instrument reads it once an interval.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")


@dataclass(slots=True)
class Stage:
    """A step of the run: seconds its workers were busy, waited for input and could not hand on."""

    name: str
    workers: int = 1
    busy: float = 0.0
    wait_get: float = 0.0
    blocked_put: float = 0.0
    items: int = 0


@dataclass(slots=True)
class Queue:
    """A bounded queue's depth; `integral` is depth times seconds, so that peaks between two readings count."""

    name: str
    capacity: int
    depth: int = 0
    integral: float = 0.0
    since: float = field(default_factory=time.perf_counter)

    def change(self, by: int) -> None:
        """The depth changes now."""
        now = time.perf_counter()
        self.integral += self.depth * (now - self.since)
        self.since = now
        self.depth += by


@dataclass(slots=True)
class Level:
    """Bytes that are held somewhere, the most that ever were, and how many may be (0: no bound)."""

    name: str
    limit: int = 0
    held: int = 0
    peak: int = 0

    def change(self, by: int) -> None:
        """So many bytes more are held; less, where it is negative."""
        self.held += by
        self.peak = max(self.peak, self.held)


@dataclass(slots=True)
class Activity:
    """What a run is doing: seconds by which kinds of step were under way at once.

    `held` is keyed by the kinds, each a bit of `bits`; their sum is the time from the first step to the last change.
    """

    bits: dict[str, int] = field(default_factory=dict)
    held: dict[int, float] = field(default_factory=dict)
    now: int = 0
    since: float = 0.0
    _counts: dict[int, int] = field(default_factory=dict)

    def bit(self, kind: str) -> int:
        """The bit that stands for a kind, given on first use."""
        return self.bits.setdefault(kind, 1 << len(self.bits))

    def change(self, bit: int, by: int, when: float) -> None:
        """So many more steps of a kind are under way from `when` on."""
        count = self._counts.get(bit, 0)
        self._counts[bit] = count + by
        if count and count + by:
            return
        if self.since:
            self.held[self.now] = self.held.get(self.now, 0.0) + when - self.since
        self.since = when
        self.now ^= bit


@dataclass(slots=True)
class Step:
    """A kind of step that core itself takes, in every arm: `with step:` around each; several may be under way.

    `integral` is steps under way times seconds, so their sum; `active` the seconds in which at least one was; `peak`
    the most at once. `dc` is 0 where no data centre is concerned.
    """

    kind: str
    dc: int
    activity: Activity
    bit: int
    count: int = 0
    integral: float = 0.0
    active: float = 0.0
    under_way: int = 0
    peak: int = 0
    since: float = 0.0

    def begin(self, count: int = 1) -> None:
        """One more is under way; `count` 0 goes on with one that was ended for a while."""
        self._change(+1)
        self.count += count
        self.peak = max(self.peak, self.under_way)

    def end(self) -> None:
        """One is no longer under way."""
        self._change(-1)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _change(self, by: int) -> None:
        now = time.perf_counter()
        if self.under_way:
            self.active += now - self.since
            self.integral += self.under_way * (now - self.since)
        self.since = now
        self.under_way += by
        self.activity.change(self.bit, by, now)


@dataclass(slots=True)
class Lane:
    """What goes on with one data centre.

    `in_flight` requests were sent and have not ended; `answers` came (refusals too) with `size` bytes; `lost` got none.
    `quiet` counts those that were lost since the last answer, and `since` is when that came or, with nothing under way
    before, when the next request was sent (`time.perf_counter`). `wanted` is bytes of accepted files that are not
    settled yet. `used` says when each connection last had an answer.
    """

    dc: int
    in_flight: int = 0
    answers: int = 0
    size: int = 0
    lost: int = 0
    quiet: int = 0
    since: float = 0.0
    wanted: int = 0
    used: dict[int, float] = field(default_factory=dict)

    def sent(self, now: float) -> None:
        """A request leaves."""
        if not self.in_flight and not self.quiet:
            self.since = now
        self.in_flight += 1

    def ended(self, now: float, connection: int, size: int, *, lost: bool) -> None:
        """A request has ended: with an answer of `size` bytes over that connection, or lost."""
        self.in_flight -= 1
        if lost:
            self.lost += 1
            self.quiet += 1
            self.used.pop(connection, None)
        else:
            self.answers += 1
            self.size += size
            self.quiet = 0
            self.since = self.used[connection] = now


@dataclass(slots=True)
class Meters:
    """All stages, queues, levels, steps and data centres of a run, by name or number.

    `seen` is the most bytes that whoever keeps a record of what the archive holds had in memory for it, by its name.
    """

    stages: dict[str, Stage] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    levels: dict[str, Level] = field(default_factory=dict)
    lanes: dict[int, Lane] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    steps: dict[tuple[str, int], Step] = field(default_factory=dict)
    activity: Activity = field(default_factory=Activity)

    def step(self, kind: str, dc: int = 0) -> Step:
        """The step of this kind at this data centre, made on first use."""
        step = self.steps.get((kind, dc))
        if step is None:
            step = self.steps[kind, dc] = Step(kind, dc, self.activity, self.activity.bit(kind))
        return step

    def lane(self, dc: int) -> Lane:
        """The data centre of this number, made on first use."""
        lane = self.lanes.get(dc)
        if lane is None:
            lane = self.lanes[dc] = Lane(dc)
        return lane

    def stage(self, name: str, workers: int = 1) -> Stage:
        """The stage of this name, made on first use."""
        stage = self.stages.setdefault(name, Stage(name))
        stage.workers = workers
        return stage

    def queue(self, name: str, capacity: int) -> Queue:
        """The queue of this name, made on first use."""
        queue = self.queues.setdefault(name, Queue(name, capacity))
        queue.capacity = capacity
        return queue

    def level(self, name: str, limit: int = 0) -> Level:
        """The level of this name, made on first use."""
        level = self.levels.setdefault(name, Level(name))
        level.limit = limit
        return level


class MeteredQueue(Generic[T]):
    """A bounded queue between two stages that accounts for both sides' waiting.

    It holds `capacity` items. Where `most` is higher it may come to hold that many: it doubles when it is found full
    though its taker has waited since the last time. A queue that fills between two such waits evens out bursts and was
    too small for them; one whose taker never waits only piles up what a slow stage leaves, and stays as it is.
    """

    def __init__(self, meters: Meters, name: str, capacity: int, giver: Stage, taker: Stage, *, most: int = 0) -> None:
        self._queue: _Elastic[T] = _Elastic(capacity)
        self._meter = meters.queue(name, capacity)
        self._giver = giver
        self._taker = taker
        self._most = max(capacity, most)
        self._waited = taker.wait_get

    async def put(self, item: T) -> None:
        """Hand on; waits while the queue is full."""
        if self._queue.full() and not self._widened():
            began = time.perf_counter()
            await self._queue.put(item)
            self._giver.blocked_put += time.perf_counter() - began
        else:
            self._queue.put_nowait(item)
        self._meter.change(+1)

    async def get(self) -> T:
        """Take; waits while the queue is empty."""
        if self._queue.empty():
            began = time.perf_counter()
            item = await self._queue.get()
            self._taker.wait_get += time.perf_counter() - began
        else:
            item = self._queue.get_nowait()
        self._meter.change(-1)
        return item

    def _widened(self) -> bool:
        """Double the capacity if that is what the waiting on both sides asks for."""
        if self._queue.capacity >= self._most or self._taker.wait_get <= self._waited:
            return False
        self._waited = self._taker.wait_get
        self._queue.capacity = self._meter.capacity = min(2 * self._queue.capacity, self._most)
        return True


class _Elastic(asyncio.Queue[T]):
    """An unbounded `asyncio.Queue` with a bound of its own, which may rise."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity

    def full(self) -> bool:
        return self.qsize() >= self.capacity
