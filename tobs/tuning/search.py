"""The search: which settings are tried, when a run is cut short, when it is enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import TYPE_CHECKING, TypeAlias

from tobs.errors import TobsError
from tobs.experiment.conduct import duration
from tobs.experiment.report import human
from tobs.knobs import Value
from tobs.tuning.goal import WORST, Over, fold, objectives, relative
from tobs.tuning.journal import CONTROL, CUT, FAILED, OK, PROPOSED, START, UNFIT, WINNER, Done, bests
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
        """By what share the start's last control was worse than its first run, on the worker where that is most.

        None without a control.
        """
        found = []
        for worker in self.workers:
            own = [one.objective for one in self.starts if one.worker == worker]
            found += [own[-1] - own[0]] if len(own) > 1 else []
        return math.expm1(max(found, key=abs)) if found else None

    @property
    def workers(self) -> list[str]:
        """Who ran the start, and so took part, in the order of their coming."""
        return list(dict.fromkeys(one.worker for one in self.starts))

    @property
    def factors(self) -> dict[str, float]:
        """By worker, how many times as bad the start was there at first as in the study's first run of it.

        Of several scenarios the geometric mean.
        """
        first = start_of(self.trials)
        found = {}
        for worker in self.workers:
            own = start_of(self.trials, worker)
            logs = None if own is None else relative(self.search.metric, own.runs, first)
            if logs:
                found[worker] = math.exp(fmean(logs))
        return found

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
    while True:
        others = journal.others()  # before what is done: what ends between the two looks is seen by the second
        done = journal.done()
        why = _why_end(wanted, done)
        if why is not None and not others:
            return Found(wanted, tuple(done), why)
        if why is not None or len(tries(done)) + sum(kind != CONTROL for _, kind in others) >= wanted.trials:
            journal.rest()  # what others run may be the best, or may have to be done again
            continue
        _line_up(wanted, journal, done)
        ranges = widen(wanted.ranges, [one.values for one in bests(done)])
        asked = journal.ask(ranges)
        if asked.kind == PROPOSED and journal.begun_before(asked.number) >= wanted.trials:
            journal.give_up(asked.number)  # another worker began the last one at the same moment
            continue
        try:
            this = _tried(wanted, journal, asked, run)
        except (KeyboardInterrupt, TobsError):
            journal.give_back(asked.number)
            raise
        if journal.tell(this):
            say(_line(wanted, this, journal.done()))
        else:
            say(f"trial {asked.number} was given to another worker, since this one showed no sign of life")


def _tried(wanted: Search, journal: Journal, asked: Asked, run: Run) -> Done:
    """Run a trial and judge it. A worker's first is the start, by which all its others are judged."""
    done, worker = journal.done(), journal.worker
    unfit = wanted.unfit(asked.values)
    told = Told(UNFIT, unfit) if unfit else run_trial(wanted, asked, done, run, worker)
    begins = asked.kind in {START, CONTROL} and start_of(done, worker) is None
    first = journal.first_start(asked.number) if begins else None
    this = _judged(wanted, asked, told, journal.done(), worker)
    if this is None or (begins and this.outcome != OK):
        journal.give_up(asked.number)
        raise TobsError(
            f"the settings that the search starts from cannot be measured: {told.why or wanted.metric.name}",
            hint="Mend them, or take another --metric, arm or scenario; `tobs ab` shows what they do.",
        )
    if not begins:
        return this
    return replace(this, kind=START) if first is None else replace(this, kind=CONTROL, objective=first.objective)


def _line_up(wanted: Search, journal: Journal, done: Sequence[Done]) -> None:
    """Put what has to be run now before what the sampler would propose."""
    kinds = journal.kinds()
    own = [one.kind for one in done if one.worker == journal.worker and one.outcome != UNFIT]
    starts = sum(kind in {START, CONTROL} for kind in own)
    if len(own) - starts >= CONTROL_EVERY * starts and not journal.awaits_start():
        journal.enqueue(wanted.start, CONTROL if START in kinds else START)
    if done and wanted.winner is not None and WINNER not in kinds:
        journal.enqueue(wanted.winner, WINNER)


def _value(wanted: Search, told: Told, done: Sequence[Done], worker: str) -> float | None:
    """The objective of a trial that ended well, as the machine of the study's first start would have it.

    None if there is none to be had.
    """
    own = start_of(done, worker)
    if own is None:
        alone = objectives(wanted.metric, told.runs)
        return None if alone is None else alone[0] if wanted.scenarios == 1 else 0.0
    ratios = relative(wanted.metric, told.runs, own)
    return own.objective + fold(wanted.over, ratios) if ratios else None


def _judged(wanted: Search, asked: Asked, told: Told, done: Sequence[Done], worker: str) -> Done | None:
    """A trial with its objective, or None if there is nothing to compare it with."""
    value = _value(wanted, told, done, worker) if told.outcome == OK else None
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
        worker=worker,
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
