"""A study as its storage and its folder tell it, for reports: nothing is run, nothing is changed."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from tobs.errors import TobsError, UsageError
from tobs.tuning.importance import uncertain
from tobs.tuning.journal import CONTROL, OK, START, bests, done_of
from tobs.tuning.place import NOTE, RESULT, STUDY, index, noted
from tobs.tuning.shared import DEFINITION, WORKER, chosen
from tobs.tuning.shared import RESULT as KEPT_RESULT
from tobs.tuning.storage import connected, is_url, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.tuning.importance import Importance
    from tobs.tuning.journal import Done


@dataclass(frozen=True, slots=True)
class Told:
    """A study: `kept` is its definition, `result` what came of it if it is confirmed, `place` its folder if it has one.

    `machines` are facts by worker. `pending` trials run or stand in line, `given_back` were told as failed.
    """

    name: str
    storage: str
    place: Path | None
    kept: Mapping[str, Any]
    trials: tuple[Done, ...]
    pending: int
    given_back: int
    machines: Mapping[str, Mapping[str, Any]]
    result: Mapping[str, Any] | None
    importances: Mapping[str, Importance]

    @property
    def start(self) -> Done | None:
        """The study's first run of the start."""
        return next((one for one in self.trials if one.kind == START and one.outcome == OK), None)

    def gain(self, one: Done) -> float:
        """How many times as good as the start a trial was, its machine taken into account; a penalty if it failed."""
        start = self.start
        return 1.0 if start is None else math.exp(start.objective - one.objective)

    def best_so_far(self) -> list[tuple[int, float]]:
        """The trials that were, when they ended, the best within the limits, and their gains."""
        return [(one.number, self.gain(one)) for one in bests(self.trials)]

    def by_worker(self) -> dict[str, list[Done]]:
        """The trials of each worker, in the order in which workers came."""
        found: dict[str, list[Done]] = {}
        for one in self.trials:
            found.setdefault(one.worker, []).append(one)
        return found


def is_study(what: str, storage: str | None) -> bool:
    """Whether this names a tuning: its folder, or a name where there is a storage or an index that knows it."""
    if Path(what).is_dir():
        return (Path(what) / NOTE).is_file()
    return storage is not None or (index() / what / NOTE).is_file()


def tell(what: str, storage: str | None) -> Told:
    """Read a study by its folder, by its id or, in `storage`, by its name.

    Raises `UsageError` where there is none, `TobsError` if its storage fails or it was begun by another release.
    """
    folder = next((one for one in (Path(what), index() / what) if (one / NOTE).is_file()), None)
    if folder is None:
        if storage is None:
            raise UsageError(f"there is no study {what}", hint="Give a tuning's folder, or --storage and its name.")
        return _tell(storage, what, None)
    note = noted(folder)
    kept_in = note.get("storage") or str(folder / STUDY)
    if storage is not None and is_url(kept_in) and shown(storage) == kept_in:
        kept_in = storage  # with the password, which the folder does not keep
    return _tell(kept_in, str(note["study"]), folder)


def _tell(storage: str, name: str, folder: Path | None) -> Told:
    with connected(storage, begin=False) as opened:
        study, kept = chosen(opened, storage, name)
        number = opened.get_study_id_from_name(study)
        trials = opened.get_all_trials(number)
        attributes = opened.get_study_user_attrs(number)
    if DEFINITION not in attributes:
        raise TobsError(f"{study} was begun by another release of TOBS", hint="Report it with that one.")
    result = attributes.get(KEPT_RESULT)
    if result is None and folder is not None and (folder / RESULT).is_file():
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    complete = [one for one in trials if one.state == TrialState.COMPLETE]
    return Told(
        name=study,
        storage=shown(storage) if is_url(storage) else os.fspath(storage),
        place=folder,
        kept=kept,
        trials=tuple(done_of(one) for one in complete),
        pending=sum(one.state in {TrialState.RUNNING, TrialState.WAITING} for one in trials),
        given_back=sum(one.state == TrialState.FAIL for one in trials),
        machines={
            name.removeprefix(WORKER): facts["machine"] for name, facts in attributes.items() if name.startswith(WORKER)
        },
        result=result,
        importances=uncertain(complete),
    )


def factor(own: list[Done], metric: Mapping[str, str]) -> float | None:
    """How many times as bad the start was on a worker's machine as on the first one; None for several scenarios."""
    first = next((one for one in own if one.kind in {START, CONTROL} and one.outcome == OK), None)
    if first is None or first.parts or metric["name"] not in first.measurements:
        return None
    log = math.log(first.measurements[metric["name"]]) * (1 if metric["direction"] == "down" else -1)
    return math.exp(log - first.objective)


def as_json(told: Told) -> dict[str, Any]:
    """A study for machines."""
    best = dict(told.best_so_far())
    return {
        "study": told.name,
        "storage": told.storage,
        "scenario": told.kept["scenarios"],
        "metric": told.kept["metric"]["name"],
        "start": told.kept["arm"],
        "trials": [
            {
                "number": one.number,
                "kind": one.kind,
                "worker": one.worker,
                "outcome": one.outcome,
                "why": one.why,
                "feasible": one.feasible,
                "gain": told.gain(one),
                "best": one.number in best,
                "values": dict(one.values),
            }
            for one in told.trials
        ],
        "pending": told.pending,
        "given_back": told.given_back,
        "workers": [
            {"worker": name, "trials": len(own), "machine_factor": factor(own, told.kept["metric"])}
            for name, own in told.by_worker().items()
        ],
        "importance": {name: one._asdict() for name, one in told.importances.items()},
        "result": told.result and {name: told.result[name] for name in _RESULT if name in told.result},
    }


_RESULT = ("adopted", "verdict", "ratio", "low", "high", "p", "blocks", "arm", "changed", "put_back", "stopped")
