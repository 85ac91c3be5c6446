"""What an experiment is: arms on a scenario, what is compared, when it ends; and what these names lead to."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tobs.errors import UsageError
from tobs.experiment import surroundings
from tobs.experiment.launch import PATIENCE
from tobs.experiment.metrics import DEFAULT, choose
from tobs.experiment.statistics import SEQUENTIAL, Rule, fixed
from tobs.host.arm import parse_arm
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.lab import scenario as scenarios

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.experiment.metrics import Metric
    from tobs.host.resolve import Plan
    from tobs.manifest import Manifest

SEVERAL = 20
"""Blocks of an experiment with more than two arms: Holm wants a fixed number."""
MOST_BLOCKS = 1000


@dataclass(frozen=True, slots=True)
class Promise:
    """`metric` should move in `direction` by at least `low` and about up to `high`, shares of 1, on `scenario`.

    With an `arm` it is about that one, else about every arm but the first.
    """

    metric: str
    direction: str
    low: float
    high: float
    scenario: str = ""
    arm: str = ""

    def concerns(self, arm: str) -> bool:
        """Whether it is about this arm, one that is compared with the first."""
        return self.arm in {"", arm}


@dataclass(frozen=True, slots=True)
class Prepare:
    """An untimed run before each block; its state is where all runs start.

    With `keep_archive` its archive is so, too, and all of it is read again.
    """

    arm: str
    keep_archive: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """An experiment as it is asked for; nothing is looked up yet."""

    name: str
    scenario: str
    arms: tuple[str, ...]
    metrics: tuple[str, ...] = (DEFAULT,)
    scale: float = 1.0
    seed: int = 1
    blocks: int | None = None
    log: str = ""
    patience: float = PATIENCE
    prepare: Prepare | None = None
    promises: tuple[Promise, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm as it was written, and its plan; `frozen` leads to the plan whatever the settings are."""

    text: str
    frozen: str
    plan_hash: str
    plugins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """An experiment with everything looked up and checked. `id` is the same for the same work with the same code."""

    wanted: Wanted
    id: str
    arms: tuple[Arm, ...]
    prepare: Arm | None
    metrics: tuple[Metric, ...]
    rule: Rule
    chat: str
    code: str
    manifests: tuple[Manifest, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def define(wanted: Wanted) -> Definition:
    """Look up plugins, scenario and metrics. Raises `UsageError` naming what does not exist."""
    if len(wanted.arms) < 2:
        raise UsageError("a comparison needs two arms", hint="For example: baseline 'baseline +async_pipeline'.")
    if wanted.blocks is not None and not 1 <= wanted.blocks <= MOST_BLOCKS:
        raise UsageError(f"{wanted.blocks} blocks are not 1 to {MOST_BLOCKS}", hint="Ten to twenty are usual.")
    if wanted.log and wanted.log not in logging.getLevelNamesMapping():
        raise UsageError(f"{wanted.log!r} is no level of logging", hint="For example DEBUG or INFO.")
    metrics = choose(wanted.metrics or (DEFAULT,))
    choose(promise.metric for promise in wanted.promises)
    for promise in wanted.promises:
        if not any(promise.concerns(arm) for arm in wanted.arms[1:]):
            raise UsageError(
                f"the promise of {promise.metric} is about {promise.arm!r}, which is compared with nothing",
                hint=f"Its arm is to be one of: {', '.join(wanted.arms[1:])}.",
            )
    scenario = scenarios.load(wanted.scenario, scale=wanted.scale)
    plans = [_plan(text) for text in wanted.arms]
    prepared = _plan(wanted.prepare.arm) if wanted.prepare else None
    rule = _rule(wanted)
    used = {name: found for plan in (*plans, prepared) if plan for name, found in plan.manifests.items()}
    code = surroundings.fingerprint(used.values())
    arms = tuple(_arm(text, plan) for text, plan in zip(wanted.arms, plans, strict=True))
    prepare = _arm(wanted.prepare.arm, prepared) if wanted.prepare and prepared else None
    work = {
        "scenario": hashlib.sha256(repr(scenario).encode()).hexdigest(),
        "arms": [plan.hash for plan in plans],
        "prepare": [prepared.hash, wanted.prepare.keep_archive] if prepared and wanted.prepare else None,
        "seed": wanted.seed,
        "looks": rule.looks,
        "decides": metrics[0].name,
        "log": wanted.log,
        "code": code,
    }
    identity = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]
    facts = {"machine": surroundings.machine(), "versions": surroundings.versions()}
    return Definition(
        wanted=wanted,
        id=identity,
        arms=arms,
        prepare=prepare,
        metrics=metrics,
        rule=rule,
        chat=f"@{scenario.dataset.username}",
        code=code,
        manifests=tuple(used.values()),
        facts=facts,
    )


def _rule(wanted: Wanted) -> Rule:
    if wanted.blocks is not None:
        return fixed(wanted.blocks)
    return SEQUENTIAL if len(wanted.arms) == 2 else fixed(SEVERAL)


def _plan(text: str) -> Plan:
    """The plan of an arm alone: no settings file and no variable takes part."""
    found = discover()
    return resolve(found.manifests, parse_arm(text, origin="arm"), found.broken).require()


def _arm(text: str, plan: Plan) -> Arm:
    return Arm(text, plan.frozen, plan.hash, plan.plugins)
