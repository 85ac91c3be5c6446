"""`tobs advise`: which run is meant, what it says of it, and in which shape."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.experiment.scenarios import FIRST, SECOND, defined
from tests.export.labs import tobs
from tobs.experiment.conduct import conduct
from tobs.experiment.synthetic import SyntheticRuns

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.labs import Served

SHAPE = {
    "ok",
    "run",
    "runs",
    "arm",
    "seconds",
    "bottleneck",
    "ceiling",
    "predicted",
    "changes",
    "next",
    "stages",
    "critical_path",
    "littles_law",
    "distrust",
    "command",
}
LOAD = {"stage", "kind", "busy", "alone", "utilization", "saturation", "errors"}
KINDS = {"cpu", "latency", "bandwidth", "server", "disk"}


@pytest.fixture
def exported(small: Served, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has exported once."""
    there = {"TOBS_STATE": str(tmp_path / "state"), "TOBS_SERVER": str(small.server)}
    done = tobs("export", "@tobs_small", "-o", tmp_path / "archive", "--arm", "baseline", "--json", **there)
    assert done.code == 0, done.err
    return there


def test_the_latest_export_is_advised_on(exported: dict[str, str]) -> None:
    told = tobs("advise", "--json", **exported)
    assert told.code == 0, told.err
    advice = told.value
    assert advice.keys() == SHAPE
    assert advice["bottleneck"].keys() == LOAD | {"evidence"}
    assert advice["bottleneck"]["kind"] in KINDS
    assert advice["bottleneck"]["evidence"]
    assert advice["arm"] == "baseline"
    assert advice["predicted"].keys() == {"metric", "ratio", "low", "high", "rests_on"}
    assert all(change.keys() == {"what", "arm_change", "why", "predicted"} for change in advice["changes"])
    assert advice["littles_law"]["ok"], advice["littles_law"]
    assert sum(advice["critical_path"].values()) == pytest.approx(1, abs=0.05), "the whole run is shared out"
    assert all(load.keys() == LOAD and load["kind"] in KINDS for load in advice["stages"])
    for change in advice["changes"]:
        assert change["predicted"]["low"] <= change["predicted"]["ratio"] <= change["predicted"]["high"]
    assert not advice["command"] or advice["command"].startswith("tobs ab baseline 'baseline +")


def test_people_are_told_the_same(exported: dict[str, str]) -> None:
    value, told = tobs("advise", "--json", **exported).value, tobs("advise", **exported)
    assert told.code == 0
    assert f"Bottleneck: {value['bottleneck']['stage']} ({value['bottleneck']['kind']})" in told.out
    assert all(change["what"] in told.out for change in value["changes"])
    assert value["command"] in told.out
    assert "Little's law" in told.out


def test_a_run_is_named_by_its_folder_or_its_file(exported: dict[str, str], tmp_path: Path) -> None:
    (folder,) = (tmp_path / "state" / "runs").iterdir()
    by_folder = tobs("advise", folder, "--json", **exported).value
    by_file = tobs("advise", folder / "metrics.jsonl", "--json", **exported).value
    latest = tobs("advise", "--json", **exported).value
    assert by_folder == by_file == latest


def test_a_trial_s_command_names_its_own_scenario(exported: dict[str, str], tmp_path: Path) -> None:
    (kept,) = (tmp_path / "state" / "runs").glob("*/metrics.jsonl")
    trial = tmp_path / "trial"
    trial.mkdir()
    shutil.copy(kept, trial)
    (trial / "run.json").write_text(json.dumps({"scenario": "text_loopback", "scale": 0.5}))
    value = tobs("advise", trial, "--json", **exported).value
    assert not value["command"] or value["command"].endswith("--scenario text_loopback --scale 0.5")


def test_an_experiment_is_advised_on_by_its_arm(exported: dict[str, str], tmp_path: Path) -> None:
    (kept,) = (tmp_path / "state" / "runs").glob("*/metrics.jsonl")
    definition = defined(FIRST, SECOND, blocks=3)
    folder = tmp_path / "experiment"
    conduct(definition, folder, lambda _: None, SyntheticRuns({}))
    refused = tobs("advise", folder, **exported)
    assert refused.code == 2
    assert "no valid run" in refused.err
    for run in json.loads(tobs("runs", folder, "--json", **exported).out)["experiments"][0]["runs"]:
        if run["arm"] == 1 and run["kind"] == "measured":
            (folder / run["folder"]).mkdir(parents=True, exist_ok=True)
            shutil.copy(kept, folder / run["folder"] / "metrics.jsonl")
    for arm in ("1", SECOND):
        value = tobs("advise", folder, "--arm", arm, "--json", **exported).value
        assert value["runs"] == 3
        assert value["run"] == definition.id
    wrong = tobs("advise", folder, "--arm", "7", **exported)
    assert wrong.code == 2
    assert f"1: {SECOND}" in wrong.err


@pytest.mark.parametrize(
    ("words", "complaint", "hint"),
    [
        ((), "no export has left metrics yet", "tobs export"),
        (("nowhere",), "there is no run 'nowhere'", "tobs runs"),
        (("{folder}",), "there is no run", "tobs runs"),
        (("{file}", "--arm", "0"), "is one run, not an experiment", "--arm"),
        (("{file}",), "is not OTLP JSON", "again"),
        (("{file}", "--advisor", "disk_io"), "is not OTLP JSON", "again"),
    ],
)
def test_what_is_no_run_is_said(tmp_path: Path, words: tuple[str, ...], complaint: str, hint: str) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text("no metrics\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    given = [word.format(folder=empty, file=file) for word in words]
    told = tobs("advise", *given, TOBS_STATE=str(tmp_path / "state"))
    assert complaint in told.err
    assert hint in told.err
    assert told.code == (2 if "OTLP" not in complaint else 1)


def test_another_advisor_can_be_named_and_must_be_one(exported: dict[str, str]) -> None:
    assert tobs("advise", "--advisor", "advisor", "--json", **exported).code == 0
    told = tobs("advise", "--advisor", "disk_io", "--json", **exported)
    assert told.code == 2
    assert "advisor" in told.value["hint"]
