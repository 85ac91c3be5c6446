"""Which run is meant, what is known of its scenario, and the advice on it with the command that proves it."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError, UsageError
from tobs.experiment.launch import METRICS, RUN
from tobs.experiment.store import FILE, MEASURED, index, listed
from tobs.host import folders
from tobs.host.advice import ask, medians, record_of
from tobs.host.plugins import discover
from tobs.telemetry import read

if TYPE_CHECKING:
    from tobs.advice import Advice, Change, Load, RunRecord

TEXT, FILES = "text_far", "mixed_home"
"""Shipped scenarios to try a change on where the run was no trial: without files, and with them."""


BELIEVED = 0.1
"""What instruments that must agree may differ by, as a share."""


@dataclass(frozen=True, slots=True)
class Found:
    """Runs of one arm: where their metrics lie, and the scenario that they exported, empty if it was none of the lab's.

    `name` is how the user may call them.
    """

    name: str
    files: tuple[Path, ...]
    scenario: str = ""
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Advised:
    """An advice, the run that it is about, and `command`, which proves its first change; empty if no arm does."""

    advice: Advice
    record: RunRecord
    found: Found
    command: str

    def as_json(self) -> dict[str, Any]:
        """For machines; the shape is stable (docs/advisor.md)."""
        advice = self.advice
        first = advice.changes[0] if advice.changes else None
        return {
            "run": self.found.name,
            "runs": self.record.runs,
            "arm": self.record.arm,
            "seconds": round(self.record.total("tobs.run.duration"), 3),
            "bottleneck": {**_load(advice.bottleneck), "evidence": list(advice.evidence)},
            "ceiling": advice.ceiling,
            "predicted": _predicted(first),
            "changes": [_change(change) for change in advice.changes],
            "next": None if advice.after is None else _load(advice.after),
            "stages": [_load(load) for load in advice.stages],
            "critical_path": dict(advice.critical_path),
            "littles_law": {"ok": advice.littles_law <= BELIEVED, "worst": advice.littles_law},
            "distrust": list(advice.distrust),
            "command": self.command,
        }


def _load(load: Load) -> dict[str, Any]:
    return asdict(load)


def _predicted(change: Change | None) -> dict[str, Any]:
    if change is None:
        return {"metric": "wall", "ratio": 1.0, "low": 1.0, "high": 1.0, "rests_on": "no change is known"}
    return asdict(change.predicted)


def _change(change: Change) -> dict[str, Any]:
    return {
        "what": change.what,
        "arm_change": change.arm,
        "why": change.why,
        "predicted": asdict(change.predicted),
    }


def find(run: str | None, arm: str | None = None) -> Found:
    """The runs that a word means: a folder or file with metrics, an experiment (its id or folder), or None: the latest.

    `arm` says which of an experiment's arms, by number or as it was written; the first one if it is None. Raises
    `UsageError` if there is none.
    """
    if run is None:
        return _latest()
    place = Path(run)
    noted = index() / f"{run}.json"
    if not place.exists() and noted.is_file():
        place = Path(json.loads(noted.read_text(encoding="utf-8"))["folder"])
    if place.is_dir() and (place / FILE).is_file():
        return _of_experiment(place, arm)
    if arm is not None:
        raise UsageError(f"{run} is one run, not an experiment", hint="Leave --arm out.")
    if place.is_dir() and (place / METRICS).is_file():
        return found_at(place / METRICS)
    if place.is_file():
        return found_at(place)
    raise UsageError(
        f"there is no run {run!r}", hint="Give a folder or an id that `tobs runs` lists, or a file of metrics."
    )


def found_at(file: Path) -> Found:
    """The run whose metrics are in this file; a trial's run.json beside it says its scenario."""
    try:
        facts = json.loads((file.parent / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        facts = {}
    return Found(str(file), (file,), str(facts.get("scenario", "")), float(facts.get("scale", 1.0)))


def _latest() -> Found:
    runs = sorted((folders.state() / "runs").glob(f"*/{METRICS}"))
    if not runs:
        raise UsageError("no export has left metrics yet", hint="Run `tobs export`, or name a run: see `tobs runs`.")
    return found_at(runs[-1])


def _of_experiment(folder: Path, arm: str | None) -> Found:
    (one, *_) = listed([folder])
    texts = [row["text"] for row in one["arms"]]
    wanted = 0 if arm is None else texts.index(arm) if arm in texts else int(arm) if arm.isdigit() else -1
    if not 0 <= wanted < len(texts):
        named = "; ".join(f"{number}: {text}" for number, text in enumerate(texts))
        raise UsageError(f"the experiment has no arm {arm!r}", hint=f"Its arms are {named}.")
    files = [
        folder / row["folder"] / METRICS
        for row in one["runs"]
        if row["arm"] == wanted and row["kind"] == MEASURED and not row["abandoned"] and not row["invalid"]
    ]
    there = tuple(file for file in files if file.is_file())
    if not there:
        raise UsageError(
            f"{folder} holds no valid run of {texts[wanted]!r}", hint="Let the experiment go on, or name another arm."
        )
    return Found(one["id"], there, one["scenario"], one["scale"])


def advise(found: Found, advisor: str | None = None) -> Advised:
    """Ask about these runs.

    Raises `TobsError` for metrics that cannot be read, and what `tobs.host.advice.ask` raises.
    """
    plugins = discover()
    records = [record_of(read(file), plugins) for file in found.files]
    if len({record.arm for record in records}) > 1:
        raise TobsError(f"{found.name} holds runs of several arms", hint="Name one run.")
    record = medians(records)
    advice = ask(record, plugins, advisor)
    return Advised(advice, record, found, _command(advice, record, found))


def _command(advice: Advice, record: RunRecord, found: Found) -> str:
    arm = next((change.arm for change in advice.changes if change.arm), None)
    if arm is None:
        return ""
    scenario = found.scenario or (FILES if record.total("tobs.files") else TEXT)
    words = ["tobs", "ab", record.arm, arm, "--scenario", scenario]
    if found.scenario and found.scale != 1:
        words += ["--scale", f"{found.scale:g}"]
    return shlex.join(words)
