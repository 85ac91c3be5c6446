"""`tobs tune`: a real one, as small as it can be, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tobs.cli.main import app
from tobs.telemetry import read
from tobs.tuning import search
from tobs.tuning.definition import Wanted, define
from tobs.tuning.place import BEST
from tobs.tuning.report import as_json
from tobs.tuning.tune import tune

ROOT = Path(__file__).parents[2]
TINY = str(ROOT / "tests" / "experiment" / "scenarios" / "tiny.toml")

FAR = str(Path(__file__).parent / "scenarios" / "far.toml")


def test_a_real_one_on_the_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three trials and one block: enough to see that more pages at once are faster, too few to prove it."""
    monkeypatch.setattr(search, "FINALISTS", 1)
    said: list[str] = []
    arm = "baseline +async_pipeline async_pipeline.depth=1"
    definition = define(Wanted(FAR, arm=arm, knobs=("async_pipeline.depth",), trials=3, blocks=1))
    tuning = tune(definition, tmp_path / "t", said.append)
    assert [one.outcome for one in tuning.found.trials] == ["ok"] * 3
    for number in range(3):
        folder = tmp_path / "t" / "trials" / f"t{number:03}"
        facts = json.loads((folder / "run.json").read_text())
        assert facts["digest_equals_truth"]
        assert facts["seed"] == definition.seed
        metrics = read(folder / "metrics.jsonl")
        assert metrics.complete
        assert tuning.found.trials[number].measurements["wall"] == metrics.seconds
    (best, *_) = tuning.found.finalists
    assert best.measurements["wall"] < tuning.found.starts[0].measurements["wall"]
    assert tuning.first is not None
    assert tuning.first.sound
    assert not tuning.adopted, "one block has no interval"
    assert (tmp_path / "t" / BEST).is_file()
    assert as_json(tuning)["failed"] == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--scenario", "nowhere"], "nowhere"),
        (["--scenario", TINY, "--arm", "default +nothing"], "no plugin is called 'nothing'"),
        (["--scenario", TINY, "--knob", "depth"], "core.depth is no knob that can be tuned here"),
        (["--scenario", TINY, "--metric", "speed"], "no metric 'speed'"),
        (["--scenario", TINY, "--from", "nowhere.toml"], "nowhere.toml does not exist"),
        (["--scenario", TINY, "--scale", "0"], "scale 0"),
        (["--scenario", TINY, "--budget", "0"], "some time at least"),
        (["--scenario", TINY, "--max-error-share", "-1"], "--max-error-share"),
        ([], "--scenario"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_run(words: list[str], complaint: str) -> None:
    told = CliRunner().invoke(app, ["tune", *words])
    assert told.exit_code == 2
    assert complaint in told.stderr
