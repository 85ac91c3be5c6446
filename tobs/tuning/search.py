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
from tobs.tuning.goal import WORST, Over, fold, objectives, relative
from tobs.tuning.journal import CONTROL, CUT, FAILED, OK, START, UNFIT, WINNER, Done, bests
from tobs.tuning.limits import Limits
from tobs.tuning.ranges import widen
from tobs.tuning.rounds import CUT_AT, Told, best_of, run_trial, start_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.metrics import Metric
    from tobs.tuning.journal import Asked, Journal
    from tobs.tuning.ranges import Range
    from tobs.tuning.rounds import Run

TRIALS = 30
CONTROL_EVERY = 8
"""Trials after which the start is run again: what it took then and takes now is drift of the machine."""
SPOILT = 4.0
"""A run that failed is told as this many times as bad as the best one, or as the worst one seen."""
STALL = 20
GAIN = 0.01
"""A search ends after `STALL` trials that did not better the best by this share."""
FINALISTS = 3
DRIFT = 0.1
"""Change of the start's own figure, as a share, that a reader has to know of."""

UNFIT_AT_MOST = 100
"""Combinations in a row that cannot run, after which the search ends."""

Values: TypeAlias = Mapping[str, Value]


def fit(_: Values) -> str:
    """Anything can run."""
    return ""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for, from where, and when it ends. `budget` is in seconds of trials.

    Each trial is run on so many `scenarios`. `unfit` says why settings cannot be run at all, or nothing.
    """

    ranges: tuple[Range, ...]
    start: Values
    metric: Metric
    limits: Limits = field(default_factory=Limits)
    trials: int = TRIALS
    budget: float | None = None
    stall: int = STALL
    winner: Values | None = None
    scenarios: int = 1
    over: Over = WORST
    unfit: Callable[[Values], str] = fit


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
        unfit = wanted.unfit(asked.values)
        told = Told(UNFIT, unfit) if unfit else run_trial(wanted, asked, done, run)
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
    since = [one.kind for one in done if one.outcome != UNFIT]
    last = max((place for place, kind in enumerate(since) if kind in {START, CONTROL}), default=None)
    waiting = kinds.count(CONTROL) > since.count(CONTROL)
    if last is not None and len(since) - 1 - last >= CONTROL_EVERY and not waiting:
        journal.enqueue(wanted.start, CONTROL)


def _value(wanted: Search, told: Told, done: Sequence[Done]) -> float | None:
    """The objective of a trial that ended well; None if there is none to be had."""
    if wanted.scenarios == 1:
        alone = objectives(wanted.metric, told.runs)
        return alone[0] if alone else None
    ratios = relative(wanted.metric, told.runs, start_of(done))
    return fold(wanted.over, ratios) if ratios else None


def _judged(wanted: Search, asked: Asked, told: Told, done: Sequence[Done]) -> Done | None:
    """A trial with its objective, or None if there is nothing to compare it with."""
    value = _value(wanted, told, done) if told.outcome == OK else None
    outcome, why = told.outcome, told.why
    if outcome == OK and value is None:
        outcome, why = FAILED, f"it has no {wanted.metric.name}"
    best = best_of(done)
    if value is None:
        if best is None:
            return None
        if outcome == CUT:
            value = best.objective + math.log(CUT_AT)
        else:
            value = max(best.objective + math.log(SPOILT), *(one.objective for one in done))
    return Done(
        number=asked.number,
        kind=asked.kind,
        values=asked.values,
        outcome=outcome,
        objective=value,
        excesses=wanted.limits.most(told.runs, failed=outcome in {FAILED, UNFIT}),
        why=why,
        seconds=told.seconds,
        measurements=told.measurements,
        parts=told.parts,
    )


def _why_end(wanted: Search, done: Sequence[Done]) -> str | None:
    tried = tries(done)
    if len(tried) >= wanted.trials:
        return f"all {wanted.trials} trials are done"
    if wanted.budget is not None and tried and _spent(done) >= wanted.budget:
        return f"the budget of {duration(wanted.budget)} is spent"
    if len(done) >= UNFIT_AT_MOST and all(one.outcome == UNFIT for one in done[-UNFIT_AT_MOST:]):
        return f"the last {UNFIT_AT_MOST} combinations cannot be run: {done[-1].why}"
    best, since = math.inf, 0
    for one in tried:
        since += 1
        if one.feasible and one.objective < best + math.log1p(-GAIN):
            best, since = one.objective, 0
    return f"{since} trials in a row gained less than {GAIN:.0%}" if since >= wanted.stall else None


def tries(done: Sequence[Done]) -> list[Done]:
    """The trials that count as such: neither controls nor combinations that cannot be run."""
    return [one for one in done if one.kind != CONTROL and one.outcome != UNFIT]


def _spent(done: Sequence[Done]) -> float:
    return sum(one.seconds for one in done)


def _line(wanted: Search, this: Done, done: Sequence[Done]) -> str:
    """How far it is, what the trial gave, and how much is left."""
    tried = len(tries(done))
    if this.outcome == UNFIT:
        return f"passed over: {this.why}"
    metric = wanted.metric
    what = "control" if this.kind == CONTROL else f"trial {tried} of {wanted.trials}"
    what += {START: " (the start)", WINNER: " (the last winner)"}.get(this.kind, "")
    if this.outcome == OK:
        came = f"{metric.name} {shown(wanted.metric, this)}"
        broken = wanted.limits.broken(*this.runs)
        came += f", beyond its limits: {'; '.join(broken)}" if broken else ""
    else:
        came = f"stopped: {this.why}" if this.outcome == CUT else f"failed: {this.why}"
    best, start = best_of(done), start_of(done)
    if best is not None and start is not None:
        came += f"; best x{math.exp(start.objective - best.objective):.3f} of the start"
    left = (
        (wanted.trials - tried) * (1 + 1 / CONTROL_EVERY) * fmean(one.seconds for one in done if one.outcome != UNFIT)
    )
    if wanted.budget is not None:
        left = min(left, max(0.0, wanted.budget - _spent(done)))
    return f"{what}: {came}; at most about {duration(left)} of trials left"


def shown(metric: Metric, one: Done) -> str:
    """What a trial measured, for people: of several scenarios each figure."""
    return ", ".join(human(run.get(metric.name), metric.unit) for run in one.runs)
