"""A trial is a fresh process on a fresh lab; only a complete archive that equals the truth counts, whatever it took."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.experiment.plugins.cheats import NAMES
from tests.experiment.scenarios import FIRST, SECOND, TINY, defined
from tobs.errors import TobsError
from tobs.experiment import report
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import Wanted, define
from tobs.experiment.launch import ARCHIVE, METRICS, RUN, STATE, WORK, Trial, launch
from tobs.experiment.metrics import METRICS as BY_NAME
from tobs.telemetry import read

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FAR = str(Path(__file__).parent / "scenarios" / "far.toml")
CHEATS = Path(__file__).parent / "plugins" / "cheats.py"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cheating plugins installed, as pip would."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copyfile(CHEATS, folder / "cheats.py")
    facts = folder / "cheats-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: cheats\nVersion: 1.0\n")
    entries = "\n".join(f"{name} = cheats:{name}" for name in NAMES)
    (facts / "entry_points.txt").write_text(f"[tobs]\n{entries}\n")
    return folder


@pytest.fixture
def cheats(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same plugins, installed for this process and its children."""
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    yield
    sys.modules.pop("cheats", None)


def trial(folder: Path, arm: str = FIRST, **more: Any) -> Trial:
    """A trial of this arm on the tiny scenario."""
    definition = defined(FIRST, arm)
    chosen = definition.arms[1]
    return Trial(folder, TINY, 1.0, 7, definition.chat, chosen.frozen, chosen.plan_hash, **more)


def test_a_trial_leaves_its_facts_and_its_metrics_and_nothing_else(tmp_path: Path) -> None:
    result = launch(trial(tmp_path / "run", labels={"tobs.arm": "mine", "tobs.block": 3}, log_level="DEBUG"))
    assert result.invalid == ""
    assert result.digest == result.truth.digest
    facts = json.loads((tmp_path / "run" / RUN).read_text())
    assert facts["digest_equals_truth"]
    assert (facts["exit"], facts["messages"], facts["seed"]) == (0, 220, 7)
    assert facts["plan"]["plugins"] == []
    assert facts["peak_rss"] > 20e6
    assert facts["cpu"]["user"] > 0
    metrics = read(tmp_path / "run" / METRICS)
    assert metrics.complete
    assert metrics.resource["tobs.arm"] == "mine"
    assert metrics.resource["tobs.block"] == 3
    assert result.measurements["wall"] == facts["wall"] > 0
    assert result.measurements.keys() == BY_NAME.keys()
    assert result.measurements["requests"] == sum(facts["requests"].values())
    assert "telethon" in (tmp_path / "run" / "export.log").read_text(), "every logger's records, at the level asked for"
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {RUN, METRICS, "stderr.txt", "export.log"}


@pytest.mark.usefixtures("cheats")
def test_sigterm_flushes_the_metrics_and_the_run_is_invalid(tmp_path: Path) -> None:
    result = launch(trial(tmp_path / "run", "baseline +stopping"))
    assert result.invalid == "failed with exit code 130: it was stopped"
    metrics = read(tmp_path / "run" / METRICS)
    assert not metrics.torn
    assert not metrics.complete
    assert metrics.total("tobs.messages") > 0, "what was counted until then is there"


@pytest.mark.usefixtures("cheats")
def test_a_run_that_does_not_end_is_ended(tmp_path: Path) -> None:
    result = launch(trial(tmp_path / "run", "baseline +stuck", patience=1.0))
    assert result.invalid.startswith("did not end within 1 s")


def test_a_plan_that_is_another_by_now_is_refused(tmp_path: Path) -> None:
    result = launch(replace(trial(tmp_path / "run"), plan_hash="0" * 64))
    assert "failed with exit code 1" in result.invalid
    assert "no longer leads to the plan 000000000000" in result.invalid


def test_a_lab_that_does_not_start_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(TobsError, match="the lab did not start"):
        launch(replace(trial(tmp_path / "run"), scenario="nowhere"))


def test_runs_start_from_what_was_prepared_and_leave_it_as_it_is(tmp_path: Path) -> None:
    first = launch(trial(tmp_path / "prepare", keep=True))
    prepared = tmp_path / "prepare" / WORK
    before = {path: path.stat().st_mtime_ns for path in (prepared / ARCHIVE).rglob("*") if path.is_file()}
    assert first.facts["lab"]["file_parts"] > 0
    with_archive = launch(trial(tmp_path / "again", prepared=prepared))
    assert with_archive.invalid == ""
    assert with_archive.facts["lab"]["file_parts"] == 0, "its files were there already"
    assert with_archive.facts["lab"]["history_messages"] == first.facts["messages"], "and its history is read again"
    assert with_archive.facts["messages"] == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    shutil.rmtree(prepared / ARCHIVE)
    state = {path.relative_to(prepared) for path in (prepared / STATE).rglob("*")}
    without = launch(trial(tmp_path / "afresh", prepared=prepared, keep=True))
    assert without.facts["lab"]["file_parts"] == first.facts["lab"]["file_parts"]
    kept = {path.relative_to(tmp_path / "afresh" / WORK) for path in (tmp_path / "afresh" / WORK / STATE).rglob("*")}
    assert state <= kept


def tobs(*words: str, site: Path, state: Path) -> subprocess.Popen[str]:
    """A `tobs` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tobs", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
            "TOBS_STATE": str(state),
        },
    )


def test_a_plugin_that_loses_or_changes_anything_is_refused(tmp_path: Path, site: Path) -> None:
    arms = ["baseline", "baseline +forgetful", "baseline +flipping", "baseline +scribbling"]
    ab = tobs("ab", *arms, "--scenario", TINY, "--blocks", "1", "--json", site=site, state=tmp_path)
    out, err = ab.communicate(timeout=100)
    assert ab.returncode == 3, err
    told = json.loads(out)
    assert told["ok"] is False
    assert told["reference"]["digests_equal"]
    assert [arm["verdict"] for arm in told["arms"]] == ["refused"] * 3
    assert [arm["invalid"] for arm in told["arms"]] == [1] * 3
    assert [arm["ratio"] for arm in told["arms"]] == [None] * 3
    forgetful, flipping, scribbling = told["arms"]
    assert not forgetful["digests_equal"]
    assert not flipping["digests_equal"]
    assert flipping["reasons"] == ["its archive differs from the lab's truth"]
    assert "damaged" in scribbling["reasons"][0], "what was hashed is not what lies on the disk"


def until(process: subprocess.Popen[str], words: str) -> None:
    """Wait until it says so."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without saying {words!r}: {process.communicate()}")


def test_killed_or_interrupted_the_same_command_goes_on(tmp_path: Path, site: Path) -> None:
    words = ["ab", FIRST, SECOND, "--scenario", TINY, "--blocks", "2", "--json", "-o", str(tmp_path / "x")]
    interrupted = tobs(*words, site=site, state=tmp_path)
    until(interrupted, "block 1, run 2")
    interrupted.send_signal(signal.SIGINT)
    out, err = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert json.loads(out)["ok"] is False
    assert "Run the same command again to go on" in err

    killed = tobs(*words, site=site, state=tmp_path)
    until(killed, "block 2, run 1")
    before = [run for run in _measured(tmp_path, site) if run["block"] == 1]
    killed.kill()
    killed.communicate(timeout=60)

    finished = tobs(*words, site=site, state=tmp_path)
    out, err = finished.communicate(timeout=100)
    assert finished.returncode == 0, err
    assert "going on after 1 finished blocks" in err
    assert "warm-up" not in err
    assert json.loads(out)["blocks"] == 2
    after = _measured(tmp_path, site)
    assert [run for run in after if run["block"] == 1] == before, "a finished block is kept as it was"
    assert len([run for run in after if run["block"] == 2]) == 2
    assert json.loads(out)["seeds"] == list(dict.fromkeys(run["seed"] for run in after))


def _measured(state: Path, site: Path) -> list[dict[str, Any]]:
    """Runs that count, as `tobs runs` tells."""
    out, _ = tobs("runs", "--json", site=site, state=state).communicate(timeout=60)
    (experiment,) = json.loads(out)["experiments"]
    return [run for run in experiment["runs"] if run["kind"] == "measured" and not run["abandoned"]]


@pytest.mark.campaign
@pytest.mark.usefixtures("cheats")
def test_a_plugin_that_costs_a_tenth_is_found_in_real_runs(tmp_path: Path) -> None:
    wanted = Wanted(
        "costly", FAR, ("baseline", "baseline +costly"), ("wall",), scale=1.0, seed=3, blocks=10, patience=60.0
    )
    outcome = conduct(define(wanted), tmp_path / "out", lambda _: None)
    (found,) = report.as_json(outcome)["arms"]
    assert found["verdict"] == "worse", found["words"]
    assert found["invalid"] == 0
