"""One trial: its settings on every scenario, ended early once it cannot be good any more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from tobs.tuning.goal import WORST, fold, relative, timed
from tobs.tuning.journal import CONTROL, CUT, OK, START, Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.tuning.journal import Done, Ended
    from tobs.tuning.search import Search

CUT_AT = 2.0
"""A run past this many times the best one's time is stopped."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a trial: `outcome` is ok, cut (stopped for taking too long) or failed; `seconds` with the lab.

    Where there are several scenarios, `parts` are their measurements, and `measurements` has the time of all.
    """

    outcome: Ended
    why: str = ""
    seconds: float = 0.0
    measurements: Mapping[str, float] = field(default_factory=dict)
    parts: Sequence[Mapping[str, float]] = ()

    @property
    def runs(self) -> Sequence[Mapping[str, float]]:
        """What was measured, by scenario."""
        return self.parts or (self.measurements,)


Run: TypeAlias = Callable[[Asked, float | None], Told]
"""Runs settings on one scenario; the number is the time of a run, in seconds, after which it may be stopped."""


def best_of(done: Sequence[Done]) -> Done | None:
    """The best trial that counts; within the limits, if any is."""
    ended = [one for one in done if one.outcome == OK]
    return min(ended, key=lambda one: (not one.feasible, one.objective), default=None)


def start_of(done: Sequence[Done], worker: str | None = None) -> Done | None:
    """The first run of the start, which others are compared with; with `worker` the first that this one ran."""
    kinds = {START} if worker is None else {START, CONTROL}
    found = (one for one in done if one.kind in kinds and one.outcome == OK and worker in {None, one.worker})
    return next(found, None)


def run_trial(wanted: Search, asked: Asked, done: Sequence[Done], run: Run, worker: str = "") -> Told:
    """Run a trial on all scenarios, one after the other.

    It is stopped past twice the best one's time, as this worker's machine would take it. A control has the start's own,
    however much better the best has become.
    """
    start = start_of(done, worker)
    rival = start if asked.kind in {START, CONTROL} else best_of(done)
    against = None if rival is None else _Rival(rival, start_of(done, rival.worker))
    parts: list[Mapping[str, float]] = []
    seconds = 0.0
    for place in range(wanted.scenarios):
        bound = _bound(wanted, parts, against, start)
        if parts and bound is not None and bound.passed:
            ended = (
                f"after {place} of {wanted.scenarios} scenarios it was more than {CUT_AT:g} times as bad as the best"
            )
            return Told(CUT, ended, seconds, _times(parts), tuple(parts))
        told = run(replace(asked, part=place), _seconds(wanted, bound, place, against, start))
        if wanted.scenarios == 1:
            return told
        seconds += told.seconds
        if told.outcome != OK:
            why = f"scenario {place + 1} of {wanted.scenarios}: {told.why}"
            return Told(told.outcome, why, seconds, _times(parts), (*parts, told.measurements))
        parts.append(told.measurements)
    return Told(OK, "", seconds, _times(parts), tuple(parts))


def _times(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The time of all runs together, where each has one."""
    walls = [one["wall"] for one in parts if "wall" in one]
    return {"wall": sum(walls)} if len(walls) == len(parts) else {}


@dataclass(frozen=True, slots=True)
class _Rival:
    """A trial to be compared with, and the start on the machine that it was run on."""

    trial: Done
    start: Done | None


@dataclass(frozen=True, slots=True)
class _Bound:
    """How many times as bad as the start the next run may be, as a log; `passed` if no next run could mend it."""

    log: float
    passed: bool


def _bound(
    wanted: Search, parts: Sequence[Mapping[str, float]], rival: _Rival | None, start: Done | None
) -> _Bound | None:
    """What is left to a trial with these parts before it is twice as bad as its rival; None where there is none."""
    if rival is None or start is None:
        return None
    best = relative(wanted.metric, rival.trial.runs, rival.start)
    so_far = relative(wanted.metric, parts, start) if parts else []
    if best is None or so_far is None:
        return None
    if wanted.over == WORST:
        most = fold(WORST, best) + math.log(CUT_AT)
        return _Bound(most, passed=bool(so_far) and max(so_far) > most)
    # What is still to come is taken to be as good as the rival's.
    behind = sum(own - other for own, other in zip(so_far, best, strict=False))
    left = wanted.scenarios * math.log(CUT_AT) - behind
    place = len(so_far)
    return _Bound(best[place] + left, passed=left < 0)


def _seconds(
    wanted: Search, bound: _Bound | None, place: int, rival: _Rival | None, start: Done | None
) -> float | None:
    """The bound as a time, for metrics that time decides."""
    if rival is None or not timed(wanted.metric):
        return None
    if wanted.scenarios == 1:
        wall = rival.trial.measurements.get("wall")
        return None if wall is None else CUT_AT * wall * _slower(start, rival.start)
    if bound is None or start is None or "wall" not in start.runs[place]:
        return None
    return start.runs[place]["wall"] * math.exp(bound.log)


def _slower(here: Done | None, there: Done | None) -> float:
    """How many times as long the start takes here as there."""
    walls = [one.measurements.get("wall") for one in (here, there) if one is not None]
    own, other = walls if len(walls) == 2 else (None, None)
    return own / other if own and other else 1.0
