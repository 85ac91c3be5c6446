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
from tobs.experiment.metrics import DEFAULT, metric_of
from tobs.host import settings
from tobs.host.arm import CORE_OWNER, parse_arm, written
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.host.settings import CORE, choose
from tobs.host.space import dimensions, space
from tobs.lab import scenario as scenarios
from tobs.tuning import ranges
from tobs.tuning.goal import WORST, Over
from tobs.tuning.limits import Limits
from tobs.tuning.search import STALL, TRIALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tobs.experiment.metrics import Metric
    from tobs.host.plugins import Found
    from tobs.host.resolve import Plan
    from tobs.knobs import Knob, Value
    from tobs.manifest import Manifest
    from tobs.tuning.ranges import Range

BLOCKS = 10
"""Blocks of a confirmation."""
OTHER_SIZE = 1.5
"""The confirmation's size, in sizes of the search."""
EVERY = "*"
"""All plugins that are on by default or at the start, as a toggle."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tuning as it is asked for; nothing is looked up yet. `budget` is in seconds, `file` a settings file.

    Each trial runs on `scenario` and on the `further` ones, and what counts is `over` them all. `metric` may be a
    weighted set. `toggles` name plugins that may be switched, `EVERY` stands for those that are on at the start or by
    default.
    """

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
    further: tuple[str, ...] = ()
    over: Over = WORST
    toggles: tuple[str, ...] = ()

    @property
    def scenarios(self) -> tuple[str, ...]:
        """All scenarios, in their order, each once."""
        return tuple(dict.fromkeys((self.scenario, *self.further)))

    @property
    def named(self) -> str:
        """The scenarios for people."""
        names = " and ".join(self.scenarios)
        return names if len(self.scenarios) == 1 else f"{names} (the {self.over} of them)"


@dataclass(frozen=True, slots=True)
class Definition:
    """A tuning with everything looked up and checked. `id` is the same for the same search with the same code.

    `start` holds the tuned knobs' values by owner.knob, and whether the switched plugins are on; `plan` is the start's.
    `manifests` are of all plugins that may be on, `base` has the start's values of all their knobs and of core's.
    `chats` are those of the scenarios that are exported. `name` is the study's.
    """

    wanted: Wanted
    id: str
    name: str
    plan: Plan
    start: Mapping[str, Value]
    base: Mapping[str, Value]
    manifests: Mapping[str, Manifest]
    ranges: tuple[Range, ...]
    metric: Metric
    chats: tuple[str, ...]
    code: str
    facts: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The scenario's seed in all trials of the search."""
        return _draw(self.wanted.seed, "search")

    def held_out(self, phase: str) -> int:
        """The seed of an experiment whose scenario seeds the search has not seen."""
        return _draw(self.wanted.seed, phase)

    def on(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """The plugins that are on with these values."""
        return tuple(name for name in self.manifests if values.get(name, name in self.plan.plugins))

    def differing(self, values: Mapping[str, Value]) -> dict[str, dict[str, tuple[Knob, Value]]]:
        """Knobs that are not at the shipped defaults with these values before the start's, by owner and name."""
        found: dict[str, dict[str, tuple[Knob, Value]]] = {}
        owners = [(CORE_OWNER, CORE), *((name, self.manifests[name].knobs) for name in self.on(values))]
        for owner, knobs in owners:
            for knob in knobs:
                name = f"{owner}.{knob.name}"
                value = values.get(name, self.base[name])
                if value != knob.default:
                    found.setdefault(owner, {})[knob.name] = (knob, value)
        return found

    def arm(self, values: Mapping[str, Value]) -> str:
        """The start with these values, as an arm: only what differs from the shipped defaults is written."""
        knobs = (
            f"{owner}.{name}={written(value)}"
            for owner, own in self.differing(values).items()
            for name, (_, value) in own.items()
        )
        return " ".join(["baseline", *(f"+{name}" for name in self.on(values)), *knobs])

    def plan_of(self, values: Mapping[str, Value]) -> Plan:
        """The plan of the start with these values, and what is wrong with it."""
        found = discover()
        return resolve(found.manifests, parse_arm(self.arm(values), origin="arm"), found.broken)

    def resolve(self, values: Mapping[str, Value]) -> Plan:
        """The plan of the start with these values. Raises `UsageError` if it cannot run."""
        return self.plan_of(values).require()

    def unfit(self, values: Mapping[str, Value]) -> str:
        """Why a plan with these values cannot run, as of plugins that exclude each other; or nothing."""
        return "; ".join(problem.text for problem in self.plan_of(values).problems)


def _draw(seed: int, phase: str) -> int:
    return random.Random(f"{seed}/tune/{phase}").randrange(1, SEEDS)  # noqa: S311 - to be repeated


def define(wanted: Wanted) -> Definition:
    """Look up plugins, scenario, metric and knobs. Raises `UsageError` naming what cannot be."""
    if wanted.trials < 1 or wanted.blocks < 1 or (wanted.budget is not None and wanted.budget <= 0):
        raise UsageError("a search takes one trial, one block and some time at least", hint="Thirty trials are usual.")
    metric = metric_of(wanted.metric)
    loaded = [scenarios.load(one, scale=wanted.scale) for one in wanted.scenarios]
    for one in wanted.scenarios:
        scenarios.load(one, scale=wanted.scale * OTHER_SIZE)
    found = discover()
    settled = _start(wanted).wanted
    plan = resolve(found.manifests, settled, found.broken).require()
    toggles = {name: name in plan.plugins for name in _switched(wanted, plan, found)}
    further = [name for name in toggles if name not in plan.plugins]
    manifests = {**plan.manifests, **{name: found.manifests[name] for name in further}}
    chosen = {**plan.knobs, **{name: choose(name, manifests[name].knobs, settled.settings)[0] for name in further}}
    base = {f"{owner}.{knob}": one.value for owner, values in chosen.items() for knob, one in values.items()}
    known = [*space(plan), *(one for name in further for one in dimensions(name, manifests[name].knobs))]
    searched = ranges.begin(ranges.only(known, wanted.knobs, toggles), base, toggles)
    start = ranges.active(searched, {one.name: one.start for one in searched})
    code = surroundings.fingerprint(manifests.values())
    work = {
        "space": ranges.fingerprint(searched),
        "scenarios": [hashlib.sha256(repr(one).encode()).hexdigest() for one in loaded],
        "over": wanted.over if len(loaded) > 1 else None,
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
        name=f"{loaded[0].name}-{work['space']}-{identity}",
        plan=plan,
        start=start,
        base=base,
        manifests=manifests,
        ranges=searched,
        metric=metric,
        chats=tuple(f"@{one.dataset.username}" for one in loaded),
        code=code,
        facts={"machine": surroundings.machine(), "versions": {**surroundings.versions(), "optuna": version("optuna")}},
    )


def _start(wanted: Wanted) -> settings.Settings:
    """The settings to start from: the file's or the shipped defaults, with the arm; never those of this machine."""
    if wanted.file is not None:
        return settings.load(wanted.file, environment={}, arm=wanted.arm, check=False)
    return settings.of_arm(wanted.arm or "default")


def _switched(wanted: Wanted, plan: Plan, found: Found) -> list[str]:
    """The plugins that may be switched, by name. Raises `UsageError` for one that is not there."""
    names = set(wanted.toggles) - {EVERY}
    for name in sorted(names):
        if name in found.broken:
            raise UsageError(f"plugin {name} is broken: {found.broken[name]}", hint="Mend or reinstall it.")
        if name not in found.manifests:
            raise UsageError(f"no plugin is called {name!r}", hint=settings.suggest(name, found.manifests))
    if EVERY in wanted.toggles:
        names |= {name for name, one in found.manifests.items() if one.default} | set(plan.plugins)
    return sorted(names)
