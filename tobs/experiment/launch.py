"""A trial from outside: a fresh lab, an empty archive and state, one child process, and what it left checked.

The child's word is not taken for its archive: this process computes the digest, hashes every file again and asks the
lab for the truth.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tobs.archive.digest import digest
from tobs.archive.verify import verify
from tobs.errors import TobsError
from tobs.experiment.metrics import measure
from tobs.experiment.trial import ORPHANED, Order
from tobs.lab.child import LOG, Child, spawn
from tobs.telemetry import read

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.telemetry import RunMetrics

RUN, METRICS, WORDS, LOGGED = "run.json", "metrics.jsonl", "stderr.txt", "export.log"
"""Files that a trial leaves in its folder."""
LAB, STATE, ARCHIVE = "lab", "state", "archive"
"""Folders below its working folder that a run may start from."""
WORK = "work"
PATIENCE = 1800.0
"""Seconds after which a run is stopped and counts as invalid."""
ENDS_WITHIN = 20.0
"""Seconds from SIGTERM to SIGKILL."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The chat that is exported, and the digest of a complete archive of it."""

    chat: int
    digest: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be run: a scenario with a seed for the lab, and an arm that leads to the plan of `plan_hash`.

    `folder` is where its files go. `prepared` holds the folders that it starts from, copied: lab keys, state, archive.
    A run that starts from an archive reads all of it again.
    `keep` leaves its own in `folder`/work for others to start from. `patience` is in seconds. `metrics` are measured
    beside those that always are.
    """

    folder: Path
    scenario: str
    scale: float
    seed: int
    chat: str
    arm: str
    plan_hash: str
    labels: Mapping[str, str | int] = field(default_factory=dict)
    log_level: str = ""
    patience: float = PATIENCE
    prepared: Path | None = None
    keep: bool = False
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a trial: `invalid` says why it does not count, empty if it does.

    `measurements` are those of `tobs.experiment.metrics`; `facts` is what stands in run.json.
    """

    invalid: str
    digest: str
    truth: Truth
    measurements: Mapping[str, float]
    facts: Mapping[str, Any]


Launch: TypeAlias = Callable[[Trial, Truth | None], Result]
"""Runs a trial; the truth is given where an earlier run on the same scenario and seed learned it."""


def launch(trial: Trial, truth: Truth | None = None) -> Result:
    """Run one trial to its end.

    Raises `TobsError` if the lab does not start, which is no fault of the arm, and `KeyboardInterrupt` with lab and
    child ended.
    """
    _clear(trial.folder)
    work = trial.folder / WORK
    work.mkdir(parents=True)
    for name in (LAB, STATE, ARCHIVE):
        if trial.prepared is not None and (trial.prepared / name).is_dir():
            shutil.copytree(trial.prepared / name, work / name)
    try:
        with spawn(trial.scenario, work / LAB, scale=trial.scale, seed=trial.seed) as lab:
            why = _run(trial, lab, work)
            counters = lab.counters()
            truth = truth or _truth(lab)
        result = _judge(trial, why, truth, counters)
        if result.invalid:
            shutil.copyfile(work / LAB / LOG, trial.folder / LOG)
    finally:
        if not trial.keep:
            shutil.rmtree(work, ignore_errors=True)
    return result


def _clear(folder: Path) -> None:
    """What a broken-off run left in this very place."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def _run(trial: Trial, lab: Child, work: Path) -> str:
    """Run the child to its end; what can be said against how it ended, or nothing."""
    folder = trial.folder.resolve()
    order = Order(
        server=str(lab.server_file),
        chats=(trial.chat,),
        archive=str(work / ARCHIVE),
        arm=trial.arm,
        plan_hash=trial.plan_hash,
        metrics=str(folder / METRICS),
        result=str(folder / RUN),
        labels=dict(trial.labels),
        log=str(folder / LOGGED) if trial.log_level else "",
        log_level=trial.log_level,
        rescan=(work / ARCHIVE).is_dir(),
    )
    order.write(work / "trial.json")
    with (folder / WORDS).open("wb") as words:
        # This interpreter and a module of ours. In a session of its own, so that Ctrl+C reaches this process alone.
        child = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "tobs.experiment.trial", str(work / "trial.json")],
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=words,
            env=_environment(work),
            start_new_session=True,
        )
        try:
            code = child.wait(trial.patience)
        except subprocess.TimeoutExpired:
            _end(child)
            return f"did not end within {trial.patience:g} s"
        except BaseException:
            _end(child)
            raise
        finally:
            if child.stdin is not None:
                child.stdin.close()
    return "" if code == 0 else f"failed with exit code {code}"


def _environment(work: Path) -> dict[str, str]:
    """Ours without settings of TOBS, so that only the plan counts, and with a cache that is part of the state."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOBS_")}
    places = {"TOBS_STATE": work / STATE, "TOBS_CACHE": work / STATE / "cache", "TOBS_CONFIG_DIR": work / "config"}
    return {**kept, **{name: str(place) for name, place in places.items()}, ORPHANED: "1"}


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _truth(lab: Child) -> Truth:
    """Of the scenario's biggest chat, which is the one that is exported."""
    chats = lab.truth()["chats"]
    chat = int(max(chats, key=lambda number: chats[number]["messages"]))
    return Truth(chat, str(lab.truth(chat)["digest"]))


def _judge(trial: Trial, why: str, truth: Truth, counters: dict[str, Any]) -> Result:
    """Whether the run counts; completes its run.json."""
    file = trial.folder / RUN
    try:
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        facts = {}
    metrics, unreadable = _metrics(trial.folder / METRICS)
    archive = trial.folder / WORK / ARCHIVE
    found, damage = _archive(archive) if not why else ("", "")
    if why and facts.get("error"):
        why = f"{why}: {facts['error']}"
    invalid = why or unreadable or damage
    if not invalid and metrics is not None and not metrics.complete:
        invalid = "its metrics are not complete"
    if not invalid and found != truth.digest:
        invalid = "its archive differs from the lab's truth"
    facts |= {
        "digest": found,
        "truth": truth.digest,
        "digest_equals_truth": found == truth.digest,
        "invalid": invalid,
        "scenario": trial.scenario,
        "scale": trial.scale,
        "seed": trial.seed,
        "plan_hash": trial.plan_hash,
        "labels": dict(trial.labels),
        "lab": counters,
        "wall": None if metrics is None else metrics.seconds,
    }
    file.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    return Result(invalid, found, truth, {} if metrics is None else measure(metrics, trial.metrics), facts)


def _metrics(file: Path) -> tuple[RunMetrics | None, str]:
    try:
        return read(file), ""
    except TobsError as error:
        return None, f"left no metrics: {error}"


def _archive(folder: Path) -> tuple[str, str]:
    """The archive's digest, and what is wrong with it beside its content."""
    try:
        found, checked = digest(folder), verify(folder)
    except TobsError as error:
        return "", f"left no archive that can be read: {error}"
    if not checked.ok:
        findings = [*checked.missing, *checked.corrupt, *checked.unverified]
        what = f"{findings[0].path}: {findings[0].reason}" if findings else checked.problems[0]
        return found, f"its archive is damaged: {what}"
    return found, f"its archive lacks {checked.pending} files" if checked.pending else ""
