"""The study of a search: Optuna's, kept in a journal file, so that it can be broken off at any moment."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

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

Ended: TypeAlias = Literal["ok", "cut", "failed", "unfit"]
Sampling: TypeAlias = Callable[[int], BaseSampler]
"""Makes a sampler from a seed."""


def tpe(seed: int) -> BaseSampler:
    """The sampler of the recipe."""
    return TPESampler(seed=seed, n_startup_trials=START_UP)


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
    took, with the lab around it. Where there are several scenarios, `parts` are their measurements.
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

    @property
    def runs(self) -> Sequence[Mapping[str, float]]:
        """What was measured, by scenario."""
        return self.parts or (self.measurements,)

    @property
    def feasible(self) -> bool:
        """Whether it ended well within all limits."""
        return self.outcome == OK and all(excess <= 0 for excess in self.excesses.values())


class Journal:
    """A study in a file, of which this process is the only writer."""

    def __init__(self, file: Path, name: str, seed: int, sampling: Sampling = tpe) -> None:
        """Open or begin it. What was running when it was broken off is put in line again."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        _mend(file)
        backend = JournalFileBackend(str(file), lock_obj=JournalFileOpenLock(str(file)))
        self._seed = seed
        self._sampling = sampling
        self._asked: dict[int, optuna.Trial] = {}
        self._study = optuna.create_study(
            storage=JournalStorage(backend), study_name=name, load_if_exists=True, sampler=sampling(seed)
        )
        self.resumed = self._take_up()

    def _take_up(self) -> int:
        """Put trials that a killed process left running in line again; how many there were."""
        left = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in left:
            self._study.tell(trial.number, state=TrialState.FAIL)
            if "values" in trial.user_attrs:
                self._study.enqueue_trial(trial.user_attrs["values"], user_attrs=dict(trial.user_attrs))
        return len(left)

    def enqueue(self, values: Mapping[str, Value], kind: str) -> None:
        """Put settings in line: they are asked for before the sampler is."""
        self._study.enqueue_trial(dict(values), user_attrs={"values": dict(values), "kind": kind})

    def kinds(self) -> list[str]:
        """Why the trials were begun that were run or stand in line."""
        states = (TrialState.COMPLETE, TrialState.WAITING, TrialState.RUNNING)
        return [str(one.user_attrs["kind"]) for one in self._study.get_trials(deepcopy=False, states=states)]

    def ask(self, ranges: Sequence[Range]) -> Asked:
        """The next trial. Its sampler's seed follows from how many trials were run: its state is not stored."""
        seed = random.Random(f"{self._seed}/{len(self.done())}").getrandbits(32)  # noqa: S311 - to be repeated
        self._study.sampler = self._sampling(seed)
        trial = self._study.ask()
        values: dict[str, Value] = {}
        for one in ranges:
            if not one.when or values[one.when]:
                values[one.name] = one.rounded(_suggest(trial, one))
        kind = str(trial.user_attrs.get("kind", PROPOSED))
        trial.set_user_attr("kind", kind)
        trial.set_user_attr("values", values)
        self._asked[trial.number] = trial
        return Asked(trial.number, kind, values)

    def tell(self, done: Done) -> None:
        """Keep what came of a trial. All that was run is told as complete, or the sampler would try it again."""
        trial = self._asked.pop(done.number)
        for name, excess in done.excesses.items():
            trial.set_constraint(name, excess)
        facts = {
            "outcome": done.outcome,
            "why": done.why,
            "seconds": done.seconds,
            "excesses": dict(done.excesses),
            "measurements": dict(done.measurements),
            "parts": [dict(one) for one in done.parts],
        }
        trial.set_user_attr("came", facts)
        self._study.tell(trial, done.objective)

    def give_up(self, number: int) -> None:
        """Forget a trial that nothing can be learned from."""
        self._study.tell(self._asked.pop(number), state=TrialState.FAIL)

    def done(self) -> list[Done]:
        """Every trial that was run, in their order."""
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [_done(trial.number, trial.user_attrs, trial.value) for trial in trials]

    def importances(self) -> dict[str, float]:
        """How much each knob seems to matter: a hint, no more. Empty where the trials are too few or too alike."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it is experimental
            try:
                return get_param_importances(self._study, evaluator=PedAnovaImportanceEvaluator())
            except (ValueError, RuntimeError):
                return {}


def _suggest(trial: optuna.Trial, one: Range) -> Value:
    if one.kind == "choice":
        return cast("Value", trial.suggest_categorical(one.name, one.choices))
    if one.kind == "int":
        return trial.suggest_int(one.name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(one.name, one.low, one.high, log=one.log)


def _done(number: int, facts: Mapping[str, Any], objective: float | None) -> Done:
    return Done(
        number=number,
        kind=facts["kind"],
        values=facts["values"],
        objective=cast("float", objective),
        **facts["came"],
    )


def _mend(file: Path) -> None:
    """Undo what a killed process left: half a line at the end, and a lock that nobody holds any more."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_name(file.name + ".lock").unlink(missing_ok=True)
    if file.exists():
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with file.open("r+b") as torn:
                torn.truncate(whole)


def bests(trials: Iterable[Done]) -> Iterator[Done]:
    """Every trial that was, when it ended, the best that is feasible."""
    best: Done | None = None
    for one in trials:
        if one.feasible and (best is None or one.objective < best.objective):
            best = one
            yield one
