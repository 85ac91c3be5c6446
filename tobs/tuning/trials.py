"""A search's runs: exports on one scenario seed, each in a fresh process, cut short where that is asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tobs.experiment.launch import PATIENCE, Trial
from tobs.experiment.trial import STOPPED
from tobs.tuning.journal import CUT, FAILED, OK
from tobs.tuning.rounds import Told

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tobs.experiment.launch import Launch, Result, Truth
    from tobs.tuning.definition import Definition
    from tobs.tuning.journal import Asked, Done, Ended

FOLDER = "trials"


class Exports:
    """Runs what a search asks for. The lab is asked for the truth once a scenario: all runs have the same seed."""

    def __init__(self, definition: Definition, folder: Path, launch: Launch, done: Iterable[Done]) -> None:
        """`folder` is the tuning's; `done` are trials of earlier, which tell what a run costs beside its own time."""
        self._definition = definition
        self._folder = folder
        self._launch = launch
        self._truths: dict[int, Truth] = {}
        scenarios = len(definition.chats)
        self._beside = max(
            (_beside(one.seconds, one.measurements.get("wall")) / scenarios for one in done if one.outcome == OK),
            default=None,
        )

    def __call__(self, asked: Asked, cut: float | None) -> Told:
        """See `tobs.tuning.rounds.Run`."""
        patience = PATIENCE if cut is None or self._beside is None else min(PATIENCE, cut + self._beside)
        began = time.perf_counter()
        result = self._launch(self._trial(asked, patience), self._truths.get(asked.part))
        seconds = time.perf_counter() - began
        self._truths[asked.part] = result.truth
        ended = _ended(result, seconds, patience)
        if ended == OK:
            self._beside = max(self._beside or 0.0, _beside(seconds, result.measurements.get("wall")))
        why = f"it took more than {patience:.1f} s" if ended == CUT else result.invalid
        return Told(ended, why, seconds, result.measurements)

    def _trial(self, asked: Asked, patience: float) -> Trial:
        definition = self._definition
        plan = definition.resolve(asked.values)
        name = f"t{asked.number:03}" + (f"-s{asked.part + 1}" if len(definition.chats) > 1 else "")
        labels: dict[str, str | int] = {
            "tobs.experiment": definition.id,
            "tobs.run": name,
            "tobs.arm": definition.arm(asked.values),
            "tobs.trial": asked.number,
            "tobs.kind": asked.kind,
            "tobs.seed": definition.seed,
            "tobs.plan.hash": plan.hash,
        }
        return Trial(
            folder=self._folder / FOLDER / name,
            scenario=definition.wanted.scenarios[asked.part],
            scale=definition.wanted.scale,
            seed=definition.seed,
            chat=definition.chats[asked.part],
            arm=plan.frozen,
            plan_hash=plan.hash,
            labels=labels,
            patience=patience,
            metrics=(definition.metric.name,),
        )


def _beside(seconds: float, wall: float | None) -> float:
    """Seconds that a run took beside its own time: lab, imports, checks."""
    return max(0.0, seconds - (wall or seconds))


def _ended(result: Result, seconds: float, patience: float) -> Ended:
    if not result.invalid:
        return OK
    stopped = result.facts.get("exit") in {None, STOPPED} and seconds >= patience
    return CUT if stopped and patience < PATIENCE else FAILED
