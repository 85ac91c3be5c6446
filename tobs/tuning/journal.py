"""The study of a search: Optuna's, shared by workers, each of which can be broken off at any moment."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from tobs.tuning.beats import Watch
from tobs.tuning.importance import importances
from tobs.tuning.storage import journal_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from optuna.trial import FrozenTrial

    from tobs.knobs import Value
    from tobs.tuning.ranges import Range

START_UP = 10
"""Trials before the sampler has a model: until then it draws at random."""
START, WINNER, PROPOSED, CONTROL = "start", "winner", "proposed", "control"
"""Why a setting is tried: the search starts from it, it won last time, the sampler proposes it, to see drift."""
OK: Final = "ok"
CUT: Final = "cut"
FAILED: Final = "failed"
UNFIT: Final = "unfit"

BEATS = "tobs:beat:"
"""Prefix of the names under which workers keep their signs of life with the study."""
DEADLY = 3
"""Workers that died while they ran some settings, after which these are not tried again."""
REST = 0.5
"""Seconds between two looks at what others do."""

Ended: TypeAlias = Literal["ok", "cut", "failed", "unfit"]
Sampling: TypeAlias = Callable[[int], BaseSampler]
"""Makes a sampler from a seed."""


def tpe(seed: int) -> BaseSampler:
    """The sampler of the recipe. Trials that other workers run count as bad ones, so that it looks elsewhere."""
    return TPESampler(seed=seed, n_startup_trials=START_UP, constant_liar=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial that is to be run: settings by owner.knob, and by plugin where those are switched.

    `part` is the place of the scenario that it is to be run on, where there are several.
    """

    number: int
    kind: str
    values: Mapping[str, Value]
    part: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """A trial that was run. `objective` is what is minimized, a penalty unless `outcome` is ok.

    An unfit one was not run: its plan cannot be. `excesses` are by how much each limit is passed; `seconds` is what it
    took, with the lab around it; `worker` is who ran it. Where there are several scenarios, `parts` are their
    measurements.
    """

    number: int
    kind: str
    values: Mapping[str, Value]
    outcome: Ended
    objective: float
    excesses: Mapping[str, float]
    why: str
    seconds: float
    measurements: Mapping[str, float] = field(default_factory=dict)
    parts: Sequence[Mapping[str, float]] = ()
    worker: str = ""

    @property
    def runs(self) -> Sequence[Mapping[str, float]]:
        """What was measured, by scenario."""
        return self.parts or (self.measurements,)

    @property
    def feasible(self) -> bool:
        """Whether it ended well within all limits."""
        return self.outcome == OK and all(excess <= 0 for excess in self.excesses.values())


class Journal:
    """A study, as one of its workers sees it. `worker` is this one's name, which no other living process has."""

    def __init__(
        self,
        storage: Path | BaseStorage,
        name: str,
        seed: int,
        sampling: Sampling = tpe,
        worker: str = "",
        watch: Watch | None = None,
    ) -> None:
        """Open or begin it. What this worker left running when it was broken off is put in line again."""
        self.worker = worker
        self._storage = storage if isinstance(storage, BaseStorage) else journal_file(storage)
        self._seed = seed
        self._sampling = sampling
        self._watch = watch or Watch()
        self._asked: dict[int, optuna.Trial] = {}
        self._study = optuna.create_study(
            storage=self._storage, study_name=name, load_if_exists=True, sampler=sampling(seed)
        )
        self._id = self._storage.get_study_id_from_name(name)
        own = [one for one in self._in(TrialState.RUNNING) if one.user_attrs.get("worker", "") == worker]
        self.resumed = sum(self._give_back(one) for one in own)

    def note(self, name: str, value: object) -> None:
        """Keep something with the study; it has to be JSON."""
        self._study.set_user_attr(name, value)

    def noted(self, name: str) -> Any:
        """What was kept under this name, or None."""
        return self._study.user_attrs.get(name)

    def beat(self) -> None:
        """Show the others that this worker lives."""
        self.note(BEATS + self.worker, time.time())

    def _in(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states)

    def _give_back(self, trial: FrozenTrial, *, dead: bool = False) -> bool:
        """Tell a trial as failed and put its settings in line again; False if somebody else did, or it has ended.

        Runs of the start are not put in line: each worker asks for its own when it needs one. Nor are settings of which
        `DEADLY` workers were `dead`.
        """
        try:
            self._study.tell(trial.number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):
            return False
        facts = trial.user_attrs
        deaths = facts.get("deaths", 0) + dead
        if "values" in facts and facts.get("kind") not in {START, CONTROL} and deaths < DEADLY:
            again = {"values": facts["values"], "kind": facts["kind"], "deaths": deaths}
            self._study.enqueue_trial(facts["values"], user_attrs=again)
        return True

    def others(self) -> list[tuple[int, str]]:
        """Number and kind of the trials that other workers run. Those of the dead are given back first."""
        running = [one for one in self._in(TrialState.RUNNING) if one.user_attrs.get("worker", "") != self.worker]
        beats = self._study.user_attrs if running else {}
        alive = []
        for one in running:
            worker = one.user_attrs.get("worker")
            who = f"trial {one.number}" if worker is None else f"worker {worker}"
            if self._watch.dead(who, beats.get(f"{BEATS}{worker}")):
                self._give_back(one, dead=True)
            else:
                alive.append((one.number, str(one.user_attrs.get("kind", PROPOSED))))
        return alive

    def enqueue(self, values: Mapping[str, Value], kind: str) -> None:
        """Put settings in line: they are asked for before the sampler is. Runs of the start are for this worker."""
        own = {"worker": self.worker} if kind in {START, CONTROL} else {}
        self._study.enqueue_trial(dict(values), user_attrs={"values": dict(values), "kind": kind, **own})

    def kinds(self) -> list[str]:
        """Why the trials were begun that were run or stand in line."""
        found = self._in(TrialState.COMPLETE, TrialState.WAITING, TrialState.RUNNING)
        return [str(one.user_attrs.get("kind", PROPOSED)) for one in found]

    def awaits_start(self) -> bool:
        """Whether a run of the start stands in line for this worker."""
        return any(one.user_attrs.get("worker") == self.worker for one in self._in(TrialState.WAITING))

    def ask(self, ranges: Sequence[Range]) -> Asked:
        """The next trial: what stands in line for all or for this worker, else what the sampler proposes."""
        trial_id = self._next_in_line()
        if trial_id is None:
            begun = create_trial(state=TrialState.RUNNING, user_attrs={"worker": self.worker, "kind": PROPOSED})
            trial_id = self._storage.create_new_trial(self._id, begun)
        self._study.sampler = self._sampling(self._draw())
        trial = optuna.Trial(self._study, trial_id)
        with warnings.catch_warnings():
            # Others may know ranges that are wider than those that this worker has seen.
            warnings.filterwarnings("ignore", message="Fixed parameter")
            values: dict[str, Value] = {}
            for one in ranges:
                if not one.when or values[one.when]:
                    values[one.name] = one.rounded(_suggest(trial, one))
        kind = str(trial.user_attrs["kind"])
        trial.set_user_attr("values", values)
        self._asked[trial.number] = trial
        return Asked(trial.number, kind, values)

    def _next_in_line(self) -> int | None:
        """Take the first that waits, this worker's own before what is for all; of several workers one gets it."""
        waiting = [one for one in self._in(TrialState.WAITING) if one.user_attrs.get("worker") in {None, self.worker}]
        for one in sorted(waiting, key=lambda one: "worker" not in one.user_attrs):
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, one.number)
            with suppress(UpdateFinishedTrialError):
                if self._storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                    self._storage.set_trial_user_attr(trial_id, "worker", self.worker)
                    return trial_id
        return None

    def _draw(self) -> int:
        """The sampler's seed: its state is not stored, so this follows from how many trials this worker has run.

        Whoever is alone has the seeds of the search; where there are several, each has its own.
        """
        begun = self._in(TrialState.COMPLETE, TrialState.RUNNING)
        alone = all(one.user_attrs.get("worker", self.worker) == self.worker for one in begun)
        own = sum(one.user_attrs.get("worker", self.worker) == self.worker for one in self._in(TrialState.COMPLETE))
        name = f"{self._seed}/{own}" if alone else f"{self._seed}/{self.worker}/{own}"
        return random.Random(name).getrandbits(32)  # noqa: S311 - to be repeated

    def tell(self, done: Done) -> bool:
        """Keep what came of a trial; False if it was given to others meanwhile, and this does not count.

        All that was run is told as complete, or the sampler would try it again.
        """
        trial = self._asked.pop(done.number)
        facts = {
            "outcome": done.outcome,
            "why": done.why,
            "seconds": done.seconds,
            "excesses": dict(done.excesses),
            "measurements": dict(done.measurements),
            "parts": [dict(one) for one in done.parts],
        }
        try:
            for name, excess in done.excesses.items():
                trial.set_constraint(name, excess)
            trial.set_user_attr("kind", done.kind)
            trial.set_user_attr("came", facts)
            self._study.tell(trial, done.objective)
        except (UpdateFinishedTrialError, ValueError):
            if any(one.number == done.number for one in self._in(TrialState.RUNNING)):
                raise
            return False
        return True

    def give_up(self, number: int) -> None:
        """Forget a trial that nothing can be learned from."""
        self._end(number, again=False)

    def give_back(self, number: int) -> None:
        """Put a trial of this worker that was broken off in line again."""
        self._end(number, again=True)

    def _end(self, number: int, *, again: bool) -> None:
        if self._asked.pop(number, None) is None:
            return
        for one in self._in(TrialState.RUNNING):
            if one.number == number:
                if again:
                    self._give_back(one)
                else:
                    self._study.tell(number, state=TrialState.FAIL)

    def done(self) -> list[Done]:
        """Every trial that was run, in their order."""
        return [done_of(trial) for trial in self._in(TrialState.COMPLETE)]

    def first_start(self, number: int) -> Done | None:
        """The study's first run of the start, waited for if it is under way; None if trial `number` is that itself."""
        while True:
            # In this order: what ends between the two looks is seen by the second.
            earlier = any(kind == START and other < number for other, kind in self.others())
            for one in self.done():
                if one.kind == START:
                    return one
            if not earlier:
                return None
            self.rest()

    def begun_before(self, number: int) -> int:
        """How many trials with a lower number count or may come to: neither controls nor what cannot be run."""
        lower = [one.user_attrs for one in self._in(TrialState.COMPLETE, TrialState.RUNNING) if one.number < number]
        return sum(one.get("kind") != CONTROL and one.get("came", {}).get("outcome") != UNFIT for one in lower)

    def rest(self) -> None:
        """Let others work for a moment."""
        time.sleep(REST)

    def importances(self) -> dict[str, float]:
        """How much each knob seems to matter: a hint, no more. Empty where the trials are too few or too alike."""
        return importances(self._in(TrialState.COMPLETE))


def _suggest(trial: optuna.Trial, one: Range) -> Value:
    if one.kind == "choice":
        return cast("Value", trial.suggest_categorical(one.name, one.choices))
    if one.kind == "int":
        return trial.suggest_int(one.name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(one.name, one.low, one.high, log=one.log)


def done_of(trial: FrozenTrial) -> Done:
    """What a trial that is complete keeps of its run."""
    facts = trial.user_attrs
    return Done(
        number=trial.number,
        kind=facts["kind"],
        values=facts["values"],
        objective=cast("float", trial.value),
        worker=facts.get("worker", ""),
        **facts["came"],
    )


def bests(trials: Iterable[Done]) -> Iterator[Done]:
    """Every trial that was, when it ended, the best that is feasible."""
    best: Done | None = None
    for one in trials:
        if one.feasible and (best is None or one.objective < best.objective):
            best = one
            yield one
