"""Runs an experiment to its end, or on from where it was broken off: warm-up, blocks, looks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tobs.errors import TobsError
from tobs.experiment import surroundings
from tobs.experiment.blocks import WARM_UP, Block, draw_block
from tobs.experiment.compare import compare, hopeless
from tobs.experiment.launch import ARCHIVE, WORK, Launch, Trial, Truth, launch
from tobs.experiment.metrics import COMPLETE
from tobs.experiment.report import Outcome
from tobs.experiment.statistics import stops_at
from tobs.experiment.store import MEASURED, PREPARED, WARMED, Store, now

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.experiment.definition import Arm, Definition

Say: TypeAlias = Callable[[str], None]
RUNS = "runs"
"""Folder of the raw runs in an experiment's folder."""


@dataclass(slots=True)
class Clock:
    """What runs took so far, by arm, and what that leads one to expect."""

    seconds: dict[int, list[float]] = field(default_factory=dict)

    def took(self, arm: int, seconds: float) -> None:
        """A run of the arm ended."""
        self.seconds.setdefault(arm, []).append(seconds)

    def left(self, blocks: int, arms: int) -> float | None:
        """Seconds that so many blocks will take; None before every arm has run."""
        if len(self.seconds) < arms:
            return None
        return blocks * sum(sum(took) / len(took) for took in self.seconds.values())


@dataclass(slots=True)
class Conductor:
    """An experiment under way."""

    definition: Definition
    store: Store
    say: Say
    run: Launch
    clock: Clock = field(default_factory=Clock)

    def warm_up(self) -> None:
        """Run each arm once and discard it: caches of the machine fill, media are made."""
        arms = len(self.definition.arms)
        block = draw_block(self.definition.wanted.seed, WARM_UP, arms)
        warm = self.store.warm()
        truth: Truth | None = None
        prepared = self._prepare(block) if len(warm) < arms else None
        for number in range(arms):
            if number not in warm:
                truth = self._once(block, number, number, WARMED, truth, prepared)
        _remove(prepared)

    def block(self, number: int) -> None:
        """Run a block; it counts when all of its runs have ended."""
        definition = self.definition
        block = self.store.begin(draw_block(definition.wanted.seed, number, len(definition.arms)))
        truth: Truth | None = None
        prepared = self._prepare(block)
        for place, arm in enumerate(block.order):
            truth = self._once(block, arm, place, MEASURED, truth, prepared)
        self.store.end(block)
        _remove(prepared)

    def why_stop(self) -> str | None:
        """Why it ends here, or None."""
        definition, done = self.definition, len(self.store.finished())
        runs = self.store.runs()
        arms = len(definition.arms)
        if done and definition.metrics[0].name != COMPLETE and hopeless(runs, arms):
            return "nothing is left to compare: too many invalid runs"
        if done not in definition.rule.looks:
            return stops_at(definition.rule, done, [])
        found = compare(runs, arms, definition.metrics[0], definition.rule)
        ps = [one.estimate.p for one in found if one.estimate is not None]
        return stops_at(definition.rule, done, ps if len(ps) == len(found) else [])

    def _prepare(self, block: Block) -> Path | None:
        """The untimed run that a block starts from, if there is to be one: where its folders lie."""
        definition = self.definition
        if definition.prepare is None or definition.wanted.prepare is None:
            return None
        folder = self.store.folder / RUNS / f"b{block.number:03}-prepare"
        trial = self._trial(block, definition.prepare, folder, PREPARED, None, keep=True)
        began = now()
        result = self.run(trial, None)
        self.store.keep(block, -1, -1, PREPARED, began, result, folder, definition.code)
        if result.invalid:
            raise TobsError(f"the preparing run is invalid: {result.invalid}", hint=f"See {folder}.")
        if not definition.wanted.prepare.keep_archive:
            _remove(folder / WORK / ARCHIVE)
        return folder / WORK

    def _once(self, block: Block, arm: int, place: int, kind: str, truth: Truth | None, prepared: Path | None) -> Truth:
        definition = self.definition
        folder = self.store.folder / RUNS / f"b{block.number:03}-a{arm}"
        self._tell(block, arm, place, kind)
        code = surroundings.fingerprint(definition.manifests)
        began, clock = now(), time.perf_counter()
        result = self.run(self._trial(block, definition.arms[arm], folder, kind, prepared), truth)
        self.clock.took(arm, time.perf_counter() - clock)
        self.store.keep(block, arm, place, kind, began, result, folder, code)
        if result.invalid:
            self.say(f"  invalid: {result.invalid}")
        return result.truth

    def _trial(
        self, block: Block, arm: Arm, folder: Path, kind: str, prepared: Path | None, *, keep: bool = False
    ) -> Trial:
        wanted = self.definition.wanted
        labels: dict[str, str | int] = {
            "tobs.experiment": self.definition.id,
            "tobs.run": folder.name,
            "tobs.arm": arm.text,
            "tobs.block": block.number,
            "tobs.kind": kind,
            "tobs.seed": block.seed,
            "tobs.plan.hash": arm.plan_hash,
        }
        return Trial(
            folder=folder,
            scenario=wanted.scenario,
            scale=wanted.scale,
            seed=block.seed,
            chat=self.definition.chat,
            arm=arm.frozen,
            plan_hash=arm.plan_hash,
            labels=labels,
            log_level=wanted.log,
            patience=wanted.patience,
            prepared=prepared,
            keep=keep,
            metrics=tuple(metric.name for metric in self.definition.metrics),
        )

    def _tell(self, block: Block, arm: int, place: int, kind: str) -> None:
        definition, arms = self.definition, len(self.definition.arms)
        what = "warm-up" if kind == WARMED else f"block {block.number}"
        text = f"{definition.wanted.scenario}: {what}, run {place + 1} of {arms}: {definition.arms[arm].text}"
        if kind == MEASURED:
            done = len(self.store.finished()) + place / arms
            look = next(look for look in definition.rule.looks if look > done)
            soon, late = (self.clock.left(1, arms) or 0.0) * (look - done), self.clock.left(1, arms)
            if late is not None:
                text += f" (about {duration(soon)} to the look after {look} blocks"
                more = (definition.rule.most - done) * late
                text += f", at most {duration(more)} in all)" if look < definition.rule.most else ")"
        self.say(text)


def conduct(definition: Definition, folder: Path, say: Say, run: Launch = launch) -> Outcome:
    """Run what is left of an experiment; everything is kept in `folder`.

    Raises `KeyboardInterrupt` when stopped, and `TobsError` for what is no fault of an arm. Either way, and after a
    kill as well, calling it again goes on with the blocks that are missing.
    """
    with Store(folder, definition) as store:
        conductor = Conductor(definition, store, say, run)
        done = len(store.finished())
        why = conductor.why_stop()
        if why is None:
            if done:
                say(f"{definition.wanted.scenario}: going on after {done} finished blocks in {folder}")
            conductor.warm_up()
        else:
            say(f"{definition.wanted.scenario}: finished before, in {folder}; another --seed measures anew")
        while why is None:
            done += 1
            conductor.block(done)
            why = conductor.why_stop()
        store.finish(why)
        seeds = tuple(block.seed for block in store.finished())
        return Outcome(definition, store.runs(), done, seeds, why, folder)


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
