"""`tobs ab` and `tobs runs`: what they print for people and machines, and what they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.experiment.scenarios import FIRST, SECOND, TINY, defined
from tobs.cli.main import app
from tobs.experiment.ab_file import load
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import Wanted, define
from tobs.experiment.launch import METRICS
from tobs.experiment.statistics import fixed
from tobs.experiment.synthetic import SyntheticRuns
from tobs.meters import Meters
from tobs.telemetry import Telemetry

if TYPE_CHECKING:
    from typer.testing import Result

    from tobs.experiment.definition import Definition
    from tobs.experiment.report import Outcome

ASKED = ["ab", FIRST, SECOND, "--scenario", TINY, "--blocks", "7"]


def tobs(*words: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """The folder of an experiment that has ended: the second arm is twice as fast."""
    definition = defined(FIRST, SECOND, blocks=7)
    speeds = {definition.arms[1].plan_hash: 2.0}
    conduct(definition, tmp_path / "done", lambda _: None, SyntheticRuns(speeds))
    return tmp_path / "done"


def test_for_people(done: Path) -> None:
    told = tobs(*ASKED, "-o", str(done))
    assert told.exit_code == 0, told.output
    first, second, *_ = told.stdout.splitlines()[1:]
    assert first.startswith("baseline ")
    assert second.startswith("baseline connections=5")
    assert "0 of 7    equal" in second
    assert "wall x2." in told.stdout
    assert "better" in told.stdout
    assert "finished before" in told.stderr


def test_for_machines(done: Path) -> None:
    told = tobs(*ASKED, "-o", str(done), "--json")
    value = json.loads(told.stdout)
    (arm,) = value["arms"]
    asked_for = {"ratio", "low", "high", "p", "blocks", "verdict", "digests_equal", "invalid", "medians"}
    assert asked_for <= arm.keys()
    assert (value["ok"], arm["arm"], arm["against"], arm["blocks"]) == (True, SECOND, FIRST, 7)
    assert value["reference"]["medians"]["wall"] == arm["medians_of_first"]["wall"]


def test_invalid_runs_end_with_exit_code_three(tmp_path: Path) -> None:
    definition = defined(FIRST, SECOND, blocks=7)
    spoilt = frozenset({definition.arms[1].plan_hash})
    conduct(definition, tmp_path / "x", lambda _: None, SyntheticRuns({}, spoilt))
    told = tobs(*ASKED, "-o", str(tmp_path / "x"))
    assert told.exit_code == 3
    assert "refused: 3 of 3 runs of this arm are invalid" in told.stdout
    assert "DIFFER" in told.stdout


def test_a_file_with_two_scenarios_is_two_experiments(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(Path(TINY).read_text(encoding="utf-8").replace("seed = 5", "seed = 6"), encoding="utf-8")
    file = tmp_path / "both.toml"
    file.write_text(f'scenario = ["{TINY}", "other.toml"]\narms = ["{FIRST}", "{SECOND}"]\nblocks = 2\n')
    for wanted in load(file):
        definition = define(wanted)
        folder = tmp_path / "x" / Path(wanted.scenario).stem
        conduct(definition, folder, lambda _: None, SyntheticRuns({}))
    value = json.loads(tobs("ab", str(file), "-o", str(tmp_path / "x"), "--json").stdout)
    assert [Path(arm["scenario"]).stem for arm in value["arms"]] == ["tiny", "other"]
    assert [one["blocks"] for one in value["experiments"]] == [2, 2]


def test_two_scenarios_have_a_geometric_mean(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(Path(TINY).read_text(encoding="utf-8").replace("seed = 5", "seed = 6"), encoding="utf-8")
    for scenario, speed in ((TINY, 4.0), (str(other), 1.0)):
        definition = define(Wanted("ab", scenario, (FIRST, SECOND), blocks=7))
        runs = SyntheticRuns({definition.arms[1].plan_hash: speed})
        conduct(definition, tmp_path / "x" / Path(scenario).stem, lambda _: None, runs)
    words = [
        "ab",
        FIRST,
        SECOND,
        "--scenario",
        TINY,
        "--scenario",
        str(other),
        "--blocks",
        "7",
        "-o",
        str(tmp_path / "x"),
    ]
    told = tobs(*words)
    assert told.exit_code == 0, told.output
    assert "over 2 scenarios: baseline connections=5: wall x" in told.stdout
    (combined,) = json.loads(tobs(*words, "--json").stdout)["combined"]
    assert combined["ratio"] == pytest.approx(2, rel=0.1)


def test_a_condition_that_holds_fails_the_command(done: Path) -> None:
    told = tobs(*ASKED, "-o", str(done), "--fail-if", "ratio>1.5", "--fail-if", "p>0.5")
    assert told.exit_code == 1
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("fails: ")]
    assert line.startswith("fails: baseline connections=5 on ")
    assert "ratio>1.5, it is" in line
    passed = tobs(*ASKED, "-o", str(done), "--fail-if", "ratio<1.5", "--json")
    assert passed.exit_code == 0
    assert json.loads(passed.stdout)["failures"] == []


def test_a_self_test_runs_an_arm_against_itself_a_thousand_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def conducting(definition: Definition, folder: Path, _: object) -> Outcome:
        asked.append(definition)
        small = replace(definition, rule=fixed(30))
        return conduct(small, folder, lambda _: None, SyntheticRuns({}))

    monkeypatch.setattr("tobs.experiment.conduct.conduct", conducting)
    told = tobs("ab", "--self-test", "baseline", "--scenario", TINY, "-o", str(tmp_path / "x"))
    assert told.exit_code == 0, told.output
    assert [(one.rule, [arm.text for arm in one.arms]) for one in asked] == [(fixed(1000), ["baseline", "baseline"])]
    assert "self-test: " in told.stdout
    assert "of 3 experiments of ten blocks" in told.stdout


def test_runs_lists_experiments_and_exports(done: Path, own_state: Path) -> None:
    kept = own_state / "runs" / "20260101T000000-1"
    telemetry = Telemetry.start(meters=Meters(), resource={"tobs.arm": "default"}, file=kept / METRICS)
    telemetry.close(complete=True)
    value = json.loads(tobs("runs", "--json").stdout)
    assert [one["folder"] for one in value["experiments"]] == [str(done)]
    assert [(one["arm"], one["complete"]) for one in value["exports"]] == [("default", True)]
    text = tobs("runs").stdout
    assert "7 runs, 0 invalid  baseline connections=5" in text
    assert "complete  default" in text
    assert json.loads(tobs("runs", str(done), "--json").stdout)["exports"] == []


def test_nothing_was_run() -> None:
    assert "Nothing was run yet" in tobs("runs").stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["ab", FIRST, SECOND], "which scenario?"),
        (["ab"], "what is to be compared?"),
        (["ab", "--self-test", FIRST, SECOND], "a self-test is of one arm"),
        (["ab", FIRST, SECOND, "--scenario", TINY, "--fail-if", "speed<1"], "is no condition"),
        (["ab", FIRST, SECOND, "--scenario", TINY, "--fail-if", "cpu:ratio<1"], "which is not compared"),
        (["ab", "no_such_file"], "there is no A/B file 'no_such_file'"),
        (["ab", "nowhere/some.toml"], "cannot read nowhere/some.toml"),
        (["ab", FIRST, "--scenario", TINY], "two arms"),
        (["ab", FIRST, "baseline +nothing", "--scenario", TINY], "no plugin is called 'nothing'"),
        (["ab", FIRST, SECOND, "--scenario", TINY, "--metric", "speed"], "no metric 'speed'"),
        (["ab", FIRST, SECOND, "--scenario", TINY, "--blocks", "0"], "0 blocks"),
        (["runs", "nowhere"], "nowhere holds no experiment"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_run(words: list[str], complaint: str) -> None:
    told = tobs(*words)
    assert told.exit_code == 2
    assert complaint in told.stderr
