"""The search: which settings are tried, when a run is cut short, when it is enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING, TypeAlias

from tobs.errors import TobsError
from tobs.experiment.conduct import duration
from tobs.experiment.report import human
from tobs.knobs import Value
from tobs.tuning.journal import CONTROL, CUT, FAILED, OK, START, WINNER, Done, bests
from tobs.tuning.limits import Limits
from tobs.tuning.ranges import widen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.metrics import Metric
    from tobs.tuning.journal import Asked, Ended, Journal
    from tobs.tuning.ranges import Range

TRIALS = 30
CONTROL_EVERY = 8
"""Trials after which the start is run again: what it took then and takes now is drift of the machine."""
CUT_AT = 2.0
"""A run past this many times the best one's time is stopped."""
SPOILT = 4.0
"""A run that failed is told as this many times as bad as the best one, or as the worst one seen."""
STALL = 20
GAIN = 0.01
"""A search ends after `STALL` trials that did not better the best by this share."""
FINALISTS = 3
DRIFT = 0.1
"""Change of the start's own figure, as a share, that a reader has to know of."""

TIMED = frozenset({"wall", "messages_per_second", "bytes_per_second", "page_latency", "time_to_all_messages"})
"""Metrics that a run past twice the best one's time cannot be good in."""

Values: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a run: `outcome` is ok, cut (stopped for taking too long) or failed; `seconds` with the lab."""

    outcome: Ended
    why: str = ""
    seconds: float = 0.0
    measurements: Mapping[str, float] = field(default_factory=dict)


Run: TypeAlias = "Callable[[Asked, float | None], Told]"
"""Runs settings; the number is the time of a run, in seconds, after which it may be stopped."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for, from where, and when it ends. `budget` is in seconds of trials."""

    ranges: tuple[Range, ...]
    start: Values
    metric: Metric
    limits: Limits = field(default_factory=Limits)
    trials: int = TRIALS
    budget: float | None = None
    stall: int = STALL
    winner: Values | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A search that has ended: all its trials, and why it ended."""

    search: Search
    trials: tuple[Done, ...]
    why: str

    @property
    def starts(self) -> list[Done]:
        """Runs of the start, the controls too."""
        return [one for one in self.trials if one.kind in {START, CONTROL} and one.outcome == OK]

    @property
    def level(self) -> float:
        """The start's objective: the median of its runs."""
        return median(one.objective for one in self.starts)

    @property
    def drift(self) -> float | None:
        """By what share the start's last control was worse than its first run; None without a control."""
        starts = self.starts
        return math.expm1(starts[-1].objective - starts[0].objective) if len(starts) > 1 else None

    @property
    def finalists(self) -> list[Done]:
        """The best three settings that looked better than the start, the best first."""
        found: list[Done] = []
        start = dict(self.search.start)
        for one in sorted(self.trials, key=lambda one: one.objective):
            fresh = dict(one.values) != start and all(one.values != other.values for other in found)
            if one.feasible and fresh and one.objective < self.level:
                found.append(one)
        return found[:FINALISTS]

    def count(self, outcome: str) -> int:
        """How many trials ended so."""
        return sum(one.outcome == outcome for one in self.trials)


def objective(metric: Metric, measurements: Mapping[str, float]) -> float | None:
    """What is minimized: the metric's logarithm, negative where more is better. None if it has none."""
    value = measurements.get(metric.name)
    if value is None or value <= 0:
        return None
    return math.log(value) if metric.direction == "down" else -math.log(value)


def search(wanted: Search, journal: Journal, run: Run, say: Callable[[str], None]) -> Found:
    """Run what is left of a search.

    Raises `TobsError` if its start cannot be run, and `KeyboardInterrupt` when stopped; then, and after a kill, the
    same call goes on.
    """
    while (why := _why_end(wanted, journal.done())) is None:
        done = journal.done()
        _line_up(wanted, journal, done)
        ranges = widen(wanted.ranges, [one.values for one in bests(done)])
        asked = journal.ask(ranges)
        told = run(asked, _cut(wanted, asked, done))
        this = _judged(wanted, asked, told, done)
        if this is None:
            journal.give_up(asked.number)
            raise TobsError(
                f"the settings that the search starts from cannot be measured: {told.why or wanted.metric.name}",
                hint="Mend them, or take another --metric, arm or scenario; `tobs ab` shows what they do.",
            )
        journal.tell(this)
        say(_line(wanted, this, [*done, this]))
    return Found(wanted, tuple(journal.done()), why)


def _line_up(wanted: Search, journal: Journal, done: Sequence[Done]) -> None:
    """Put what has to be run now before what the sampler would propose."""
    kinds = journal.kinds()
    if START not in kinds:
        journal.enqueue(wanted.start, START)
    if done and wanted.winner is not None and WINNER not in kinds:
        journal.enqueue(wanted.winner, WINNER)
    since = [one.kind for one in done]
    last = max((place for place, kind in enumerate(since) if kind in {START, CONTROL}), default=None)
    waiting = kinds.count(CONTROL) > since.count(CONTROL)
    if last is not None and len(since) - 1 - last >= CONTROL_EVERY and not waiting:
        journal.enqueue(wanted.start, CONTROL)


def _best(done: Sequence[Done]) -> Done | None:
    """The best run that counts; within the limits, if any is."""
    ended = [one for one in done if one.outcome == OK]
    return min(ended, key=lambda one: (not one.feasible, one.objective), default=None)


def _cut(wanted: Search, asked: Asked, done: Sequence[Done]) -> float | None:
    """When a run may be stopped. A control has the start's own time, however much better the best has become."""
    known = [one for one in done if one.kind == START] if asked.kind in {START, CONTROL} else done
    best = _best(known)
    if best is None or wanted.metric.name not in TIMED:
        return None
    return CUT_AT * best.measurements["wall"] if "wall" in best.measurements else None


def _judged(wanted: Search, asked: Asked, told: Told, done: Sequence[Done]) -> Done | None:
    """A run with its objective, or None if there is nothing to compare it with."""
    value = objective(wanted.metric, told.measurements) if told.outcome == OK else None
    outcome, why = told.outcome, told.why
    if outcome == OK and value is None:
        outcome, why = FAILED, f"it has no {wanted.metric.name}"
    best = _best(done)
    if value is None:
        if best is None:
            return None
        if outcome == CUT:
            value = best.objective + math.log(CUT_AT)
        else:
            value = max(best.objective + math.log(SPOILT), *(one.objective for one in done))
    excesses = wanted.limits.excesses(told.measurements, failed=outcome == FAILED)
    return Done(asked.number, asked.kind, asked.values, outcome, value, excesses, why, told.seconds, told.measurements)


def _why_end(wanted: Search, done: Sequence[Done]) -> str | None:
    tried = [one for one in done if one.kind != CONTROL]
    if len(tried) >= wanted.trials:
        return f"all {wanted.trials} trials are done"
    if wanted.budget is not None and tried and _spent(done) >= wanted.budget:
        return f"the budget of {duration(wanted.budget)} is spent"
    best, since = math.inf, 0
    for one in tried:
        since += 1
        if one.feasible and one.objective < best + math.log1p(-GAIN):
            best, since = one.objective, 0
    return f"{since} trials in a row gained less than {GAIN:.0%}" if since >= wanted.stall else None


def _spent(done: Sequence[Done]) -> float:
    return sum(one.seconds for one in done)


def _line(wanted: Search, this: Done, done: Sequence[Done]) -> str:
    """How far it is, what the trial gave, and how much is left."""
    tried = sum(one.kind != CONTROL for one in done)
    metric = wanted.metric
    what = "control" if this.kind == CONTROL else f"trial {tried} of {wanted.trials}"
    what += {START: " (the start)", WINNER: " (the last winner)"}.get(this.kind, "")
    if this.outcome == OK:
        came = f"{metric.name} {human(this.measurements.get(metric.name), metric.unit)}"
        broken = wanted.limits.broken(this.measurements)
        came += f", beyond its limits: {'; '.join(broken)}" if broken else ""
    else:
        came = f"stopped: {this.why}" if this.outcome == CUT else f"failed: {this.why}"
    best, start = _best(done), next((one for one in done if one.kind == START), None)
    if best is not None and start is not None and start.outcome == OK:
        came += f"; best x{math.exp(start.objective - best.objective):.3f} of the start"
    left = (wanted.trials - tried) * (1 + 1 / CONTROL_EVERY) * fmean(one.seconds for one in done)
    if wanted.budget is not None:
        left = min(left, max(0.0, wanted.budget - _spent(done)))
    return f"{what}: {came}; at most about {duration(left)} of trials left"
