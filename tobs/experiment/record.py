"""A finished experiment as a small JSON file that is kept with the code: raw runs, what was asked, how to repeat it.

The file carries the identity of the question: a hash of scenario, arms, metrics, blocks, seed and promises. Where the
A/B file or its scenario has changed since, the record answers another question and is refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.experiment.compare import Comparison, compare, kept
from tobs.experiment.metrics import metric_of
from tobs.experiment.statistics import Rule
from tobs.lab import scenario as scenarios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.definition import Promise, Wanted
    from tobs.experiment.report import Outcome

VERSION = 1
_BESIDE = ("wall", "cpu", "peak_rss", "requests", "bytes_received", "flood_seconds", "errors")
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Kept:
    """One promise, what was measured of it on the recorded arm, and whether it was kept."""

    promise: Promise
    arm: str
    comparison: Comparison
    kept: bool
    words: str


@dataclass(frozen=True, slots=True)
class Record:
    """A kept experiment. `runs` are rows as `tobs.experiment.compare` takes them."""

    name: str
    identity: str
    scenario: str
    scale: float
    arms: tuple[str, ...]
    metrics: tuple[str, ...]
    blocks: int
    rule: Rule
    date: str
    command: str
    machine: dict[str, Any]
    versions: dict[str, str]
    runs: tuple[dict[str, Any], ...]

    def comparisons(self, metric: str) -> list[Comparison]:
        """Every arm but the first against it."""
        return compare(self.runs, len(self.arms), metric_of(metric), self.rule)

    def promises(self, wanted: Wanted) -> list[Kept]:
        """What was promised of each arm, and whether it was kept."""
        told = []
        for promise in wanted.promises:
            for one in self.comparisons(promise.metric):
                if promise.concerns(self.arms[one.arm]):
                    held, words = kept(promise, one)
                    told.append(Kept(promise, self.arms[one.arm], one, held, words))
        return told


def identity(wanted: Wanted) -> str:
    """The hash of the question; the code that answers it is no part of it."""
    scenario = scenarios.load(wanted.scenario, scale=wanted.scale)
    asked = asdict(wanted)
    del asked["patience"], asked["scenario"]
    for promise in asked["promises"]:
        if not promise["arm"]:
            del promise["arm"]
    text = json.dumps(asked, sort_keys=True, default=str) + repr(scenario)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_name(wanted: Wanted) -> str:
    """Where the record of an experiment lies in the folder of records."""
    return f"{wanted.name}.{Path(wanted.scenario).stem}.json"


def save(outcome: Outcome, folder: Path, command: str, date: str) -> Path:
    """Write a finished experiment's record; the file."""
    definition = outcome.definition
    wanted = definition.wanted
    names = dict.fromkeys([*(metric.name for metric in definition.metrics), *_BESIDE])
    runs = [
        {
            "block": run["block"],
            "arm": run["arm"],
            "seed": run["seed"],
            "invalid": run["invalid"] or "",
            "measurements": {
                name: float(f"{run['measurements'][name]:.{_DIGITS}g}") for name in names if name in run["measurements"]
            },
        }
        for run in outcome.runs
    ]
    content = {
        "version": VERSION,
        "name": wanted.name,
        "identity": identity(wanted),
        "scenario": Path(wanted.scenario).stem,
        "scale": wanted.scale,
        "arms": [arm.text for arm in definition.arms],
        "metrics": [metric.name for metric in definition.metrics],
        "blocks": outcome.blocks,
        "looks": list(definition.rule.looks),
        "alpha": definition.rule.alpha,
        "stopped": outcome.why,
        "date": date,
        "command": command,
        "code": definition.code,
        **definition.facts,
        "runs": runs,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / file_name(wanted)
    beside = file.with_suffix(".new")
    head = json.dumps({name: value for name, value in content.items() if name != "runs"}, indent=1, ensure_ascii=False)
    rows = ",\n".join("  " + json.dumps(run, ensure_ascii=False) for run in runs)
    beside.write_text(f'{head[:-2]},\n "runs": [\n{rows}\n ]\n}}\n', encoding="utf-8")
    beside.replace(file)
    return file


def load(file: Path) -> Record:
    """Read a record. Raises `TobsError` for a file that is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']}")
        return Record(
            name=content["name"],
            identity=content["identity"],
            scenario=content["scenario"],
            scale=content["scale"],
            arms=tuple(content["arms"]),
            metrics=tuple(content["metrics"]),
            blocks=content["blocks"],
            rule=Rule(tuple(content["looks"]), content["alpha"]),
            date=content["date"],
            command=content["command"],
            machine=content["machine"],
            versions=content["versions"],
            runs=tuple(content["runs"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TobsError(f"{file} is no record of an experiment: {error}", hint="Measure it again.") from None


def records(folders: Sequence[Path]) -> dict[str, Path]:
    """The files of records by name, those of earlier folders first."""
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.json")):
            found.setdefault(file.name, file)
    return found
