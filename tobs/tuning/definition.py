"""What a tuning is: a scenario, the settings it starts from, the space around them; and what these lead to."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tobs.errors import UsageError
from tobs.experiment import surroundings
from tobs.experiment.blocks import SEEDS
from tobs.experiment.metrics import DEFAULT, choose
from tobs.host import settings
from tobs.host.arm import CORE_OWNER, parse_arm, written
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.host.settings import CORE
from tobs.host.space import space
from tobs.lab import scenario as scenarios
from tobs.tuning import ranges
from tobs.tuning.limits import Limits
from tobs.tuning.search import STALL, TRIALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tobs.experiment.metrics import Metric
    from tobs.host.resolve import Plan
    from tobs.knobs import Knob, Value
    from tobs.tuning.ranges import Range

BLOCKS = 10
"""Blocks of a confirmation."""
OTHER_SIZE = 1.5
"""The confirmation's size, in sizes of the search."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tuning as it is asked for; nothing is looked up yet. `budget` is in seconds, `file` a settings file."""

    scenario: str
    arm: str | None = None
    file: Path | None = None
    metric: str = DEFAULT
    scale: float = 1.0
    seed: int = 1
    knobs: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    trials: int = TRIALS
    budget: float | None = None
    stall: int = STALL
    blocks: int = BLOCKS


@dataclass(frozen=True, slots=True)
class Definition:
    """A tuning with everything looked up and checked. `id` is the same for the same search with the same code.

    `start` holds the tuned knobs' values by owner.knob; `plan` is the start's. `name` is the study's.
    """

    wanted: Wanted
    id: str
    name: str
    plan: Plan
    start: Mapping[str, Value]
    ranges: tuple[Range, ...]
    metric: Metric
    chat: str
    code: str
    facts: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The scenario's seed in all trials of the search."""
        return _draw(self.wanted.seed, "search")

    def held_out(self, phase: str) -> int:
        """The seed of an experiment whose scenario seeds the search has not seen."""
        return _draw(self.wanted.seed, phase)

    def arm(self, values: Mapping[str, Value]) -> str:
        """The start with these values, as an arm: only what differs from the shipped defaults is written."""
        return arm_of(self.plan, values)

    def resolve(self, values: Mapping[str, Value]) -> Plan:
        """The plan of the start with these values."""
        found = discover()
        return resolve(found.manifests, parse_arm(self.arm(values), origin="arm"), found.broken).require()


def _draw(seed: int, phase: str) -> int:
    return random.Random(f"{seed}/tune/{phase}").randrange(1, SEEDS)  # noqa: S311 - to be repeated


def define(wanted: Wanted) -> Definition:
    """Look up plugins, scenario, metric and knobs. Raises `UsageError` naming what cannot be."""
    if wanted.trials < 1 or wanted.blocks < 1 or (wanted.budget is not None and wanted.budget <= 0):
        raise UsageError("a search takes one trial, one block and some time at least", hint="Thirty trials are usual.")
    (metric,) = choose([wanted.metric])
    scenario = scenarios.load(wanted.scenario, scale=wanted.scale)
    scenarios.load(wanted.scenario, scale=wanted.scale * OTHER_SIZE)
    found = discover()
    plan = resolve(found.manifests, _start(wanted).wanted, found.broken).require()
    dimensions = ranges.only(space(plan), wanted.knobs)
    start = {one.name: _value(plan, one.name) for one in dimensions}
    searched = ranges.begin(dimensions, start)
    code = surroundings.fingerprint(plan.manifests.values())
    work = {
        "space": ranges.fingerprint(searched),
        "scenario": hashlib.sha256(repr(scenario).encode()).hexdigest(),
        "start": plan.hash,
        "metric": metric.name,
        "limits": wanted.limits.as_json(),
        "seed": wanted.seed,
        "code": code,
    }
    identity = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]
    return Definition(
        wanted=wanted,
        id=identity,
        name=f"{scenario.name}-{work['space']}-{identity}",
        plan=plan,
        start=start,
        ranges=searched,
        metric=metric,
        chat=f"@{scenario.dataset.username}",
        code=code,
        facts={"machine": surroundings.machine(), "versions": {**surroundings.versions(), "optuna": version("optuna")}},
    )


def _start(wanted: Wanted) -> settings.Settings:
    """The settings to start from: the file's or the shipped defaults, with the arm; never those of this machine."""
    if wanted.file is not None:
        return settings.load(wanted.file, environment={}, arm=wanted.arm, check=False)
    return settings.of_arm(wanted.arm or "default")


def _value(plan: Plan, name: str) -> Value:
    owner, _, knob = name.partition(".")
    return plan.knobs[owner][knob].value


def declared(plan: Plan) -> list[tuple[str, tuple[Knob, ...]]]:
    """Every owner of the plan and its knobs, core first."""
    return [(CORE_OWNER, CORE), *((name, tuple(plan.manifests[name].knobs)) for name in plan.plugins)]


def differing(plan: Plan, values: Mapping[str, Value]) -> dict[str, dict[str, tuple[Knob, Value]]]:
    """Knobs whose values, those of `values` before the plan's, are not the shipped defaults, by owner and name."""
    found: dict[str, dict[str, tuple[Knob, Value]]] = {}
    for owner, knobs in declared(plan):
        for knob in knobs:
            name = f"{owner}.{knob.name}"
            value = values[name] if name in values else _value(plan, name)
            if value != knob.default:
                found.setdefault(owner, {})[knob.name] = (knob, value)
    return found


def arm_of(plan: Plan, values: Mapping[str, Value]) -> str:
    """An arm that leads to the plan with these values."""
    told = differing(plan, values)
    knobs = (f"{owner}.{name}={written(value)}" for owner, own in told.items() for name, (_, value) in own.items())
    return " ".join(["baseline", *(f"+{name}" for name in plan.plugins), *knobs])
