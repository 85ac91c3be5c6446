"""The table of priorities: what was promised of each optimization beside what was measured of it here.

What was not measured says so. A record whose scenario or arms have changed since is refused and counts as not measured.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.experiment import record
from tobs.experiment.ab_file import find, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.definition import Wanted
    from tobs.experiment.record import Kept, Record

NOT_MEASURED, KEPT, NOT_KEPT = "not measured", "kept", "not kept"


@dataclass(frozen=True, slots=True)
class Measured:
    """One experiment of an optimization. `problem` says why there is no record to show; then the rest is empty."""

    scenario: str
    record: Record | None
    promises: tuple[Kept, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """An optimization or a phase; scores of a phase are empty."""

    number: int
    name: str
    title: str
    promise: str
    scores: dict[str, Any]
    experiments: tuple[Measured, ...]

    @property
    def verdict(self) -> str:
        """Kept if every promise that was written down was, on every scenario it is about."""
        held = [one.kept for experiment in self.experiments for one in experiment.promises]
        if not held or any(experiment.problem for experiment in self.experiments):
            return NOT_MEASURED
        return KEPT if all(held) else NOT_KEPT

    @property
    def log_effect(self) -> float | None:
        """The first measured effect, as a log of a ratio (above 0 is better); what ranks by measurement."""
        for experiment in self.experiments:
            for one in experiment.promises:
                if one.comparison.estimate is not None:
                    return one.comparison.estimate.centre
        return None


def folders() -> list[Path]:
    """Where records lie: with the package, and in a checkout."""
    package = Path(str(resources.files("tobs")))
    places = (package / "experiment" / "records", package.parent / "experiments" / "results" / "promises")
    return [place for place in places if place.is_dir()]


def rows(places: Sequence[Path] | None = None) -> list[Row]:
    """All optimizations in their order, then the phases. `places` are folders of records, the shipped ones if None."""
    known = record.records(folders() if places is None else places)
    seed = tomllib.loads(resources.files("tobs.experiment").joinpath("seed.toml").read_text(encoding="utf-8"))
    names = ("impact", "complexity", "returns", "risk", "priority", "depends")
    found = [
        Row(
            entry["number"],
            entry["plugin"],
            entry["title"],
            entry["promise"],
            {name: entry[name] for name in names},
            tuple(one for file in entry["ab"] for one in _experiments(file, known)),
        )
        for entry in seed["optimization"]
    ]
    found += [
        Row(0, entry["name"], entry["name"].capitalize(), entry["promise"], {}, tuple(_experiments(entry["ab"], known)))
        for entry in seed["phase"]
    ]
    return found


def _experiments(name: str, known: dict[str, Path]) -> list[Measured]:
    file = find(name)
    if file is None:
        return [Measured("", None, (), f"there is no A/B file {name}")]
    return [_measured(wanted, known) for wanted in load(file)]


def _measured(wanted: Wanted, known: dict[str, Path]) -> Measured:
    scenario = Path(wanted.scenario).stem
    file = known.get(record.file_name(wanted))
    if file is None:
        return Measured(scenario, None, (), NOT_MEASURED)
    try:
        kept = record.load(file)
        if kept.identity != record.identity(wanted):
            return Measured(scenario, None, (), "refused: its scenario or arms have changed since it was measured")
    except TobsError as error:
        return Measured(scenario, None, (), f"refused: {error}")
    return Measured(scenario, kept, tuple(kept.promises(wanted)))


def ranks(found: Sequence[Row]) -> dict[str, tuple[int, int | None]]:
    """Each optimization's rank by what was promised (return) and by what was measured; None where nothing was."""
    plugins = [row for row in found if row.number]
    promised = sorted(plugins, key=lambda row: -row.scores["returns"])
    effects = {row.name: effect for row in plugins if (effect := row.log_effect) is not None}
    measured = sorted(effects, key=lambda name: -effects[name])
    return {
        row.name: (place, measured.index(row.name) + 1 if row.name in effects else None)
        for place, row in enumerate(promised, 1)
    }


def as_json(found: Sequence[Row]) -> dict[str, Any]:
    """The table for machines."""
    ranked = ranks(found)
    return {
        "optimizations": [
            {
                "number": row.number,
                "plugin": row.name,
                "title": row.title,
                **row.scores,
                "promise": row.promise,
                "verdict": row.verdict,
                "rank_by_promise": ranked[row.name][0],
                "rank_by_measurement": ranked[row.name][1],
                "experiments": [_told(one) for one in row.experiments],
            }
            for row in found
            if row.number
        ],
        "phases": [
            {
                "phase": row.name,
                "promise": row.promise,
                "verdict": row.verdict,
                "experiments": [_told(one) for one in row.experiments],
            }
            for row in found
            if not row.number
        ],
    }


def _told(one: Measured) -> dict[str, Any]:
    if one.record is None:
        return {"scenario": one.scenario, "problem": one.problem, "promises": []}
    kept = one.record
    return {
        "scenario": one.scenario,
        "problem": "",
        "arms": list(kept.arms),
        "blocks": kept.blocks,
        "date": kept.date,
        "command": kept.command,
        "promises": [
            {
                "arm": held.arm,
                "metric": held.promise.metric,
                "direction": held.promise.direction,
                "promised": [held.promise.low, held.promise.high],
                "ratio": held.comparison.ratio,
                "low": held.comparison.low,
                "high": held.comparison.high,
                "kept": held.kept,
                "words": held.words,
            }
            for held in one.promises
        ],
        "cost": {name: _cost(kept, name) for name in ("cpu", "peak_rss")},
    }


def _cost(kept: Record, metric: str) -> float | None:
    """How many times as much of it the last arm takes as the first; None where it was not measured."""
    found = kept.comparisons(metric)
    estimate = found[-1].estimate if found else None
    return None if estimate is None else math.exp(-estimate.centre)
