"""Runs an ablation: the design, then 2x2 designs for the pairs that it leaves in doubt."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tobs.errors import UsageError
from tobs.experiment import ablation, ablation_report
from tobs.experiment.ablation import SETTLING_BLOCKS, Ablation, PairResult, analyse, planned, settle, settling_arms
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import define
from tobs.experiment.launch import launch
from tobs.host.arm import parse_arm
from tobs.host.plugins import discover
from tobs.host.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tobs.experiment.conduct import Say
    from tobs.experiment.definition import Wanted
    from tobs.experiment.launch import Launch
    from tobs.experiment.report import Outcome

DESIGN, PAIRS = "design", "pairs"
"""Folders of the two experiments in an ablation's folder."""
RESULT, PICTURE = "ablation.json", "ablation.svg"


@dataclass(frozen=True, slots=True)
class Ablated:
    """An ablation that has ended: what it found, the settled pairs, and its experiments."""

    found: Ablation
    pairs: tuple[PairResult, ...]
    outcomes: tuple[Outcome, ...]
    folder: Path

    @property
    def sound(self) -> bool:
        """Whether every run counts."""
        return all(outcome.sound for outcome in self.outcomes)


def toggles_of(names: Sequence[str] | None) -> tuple[str, ...]:
    """The plugins to toggle: these, or every one that is on by default.

    Raises `UsageError` for one that is not there, and for plugins that cannot be on together.
    """
    found = discover()
    chosen = tuple(names or (name for name, manifest in sorted(found.manifests.items()) if manifest.default))
    resolve(found.manifests, parse_arm(ablation.arm_of(chosen), origin="--plugin"), found.broken).require()
    if len(set(chosen)) < len(chosen):
        raise UsageError("a plugin is named twice", hint="Name each once.")
    return chosen


def ablate(
    wanted: Wanted,
    toggles: Sequence[str],
    folder: Path,
    say: Say,
    *,
    follow_up: bool = True,
    run: Launch = launch,
) -> Ablated:
    """Run what is left of an ablation of `wanted` (its arms are made here); everything is kept in `folder`.

    It leaves `ablation.json` and `ablation.svg` there. Raises as `conduct` does; calling it again goes on.
    """
    design = define(planned(wanted, toggles))
    say(f"{len(design.arms)} arms, {design.rule.most} blocks: {len(design.arms) * (design.rule.most + 1)} runs")
    outcome = conduct(design, folder / DESIGN, say, run)
    found = analyse(outcome.runs, toggles, design.metrics)
    suspicious = [pair for group in found.groups if group.is_suspicious for pair in group.pairs]
    outcomes, pairs = [outcome], []
    if suspicious and follow_up:
        say(f"{len(suspicious)} pairs may interact: settling them")
        settling = replace(wanted, arms=tuple(settling_arms(suspicious)), blocks=SETTLING_BLOCKS)
        outcomes.append(conduct(define(settling), folder / PAIRS, say, run))
        pairs = settle(outcomes[1].runs, suspicious, design.metrics[0])
    told = ablation_report.as_json(found, pairs, design.metrics[0].name)
    title = f"{wanted.scenario}: {design.metrics[0].name}, right is better"
    (folder / RESULT).write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / PICTURE).write_text(ablation_report.picture(found, title), encoding="utf-8")
    return Ablated(found, tuple(pairs), tuple(outcomes), folder)
