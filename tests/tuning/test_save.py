"""`tobs tune`: what its options ask for, and the profile that it keeps."""

from __future__ import annotations

import json
import shutil
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.tuning.simulated import ARM, TINY, Simulated
from tobs.cli.main import app
from tobs.host import profiles, settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.tuning import tune as room
from tobs.tuning.definition import EVERY, Definition, Wanted
from tobs.tuning.limits import Limits
from tobs.tuning.place import BEST

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.tuning.report import Tuning

pytestmark = pytest.mark.usefixtures("quick")
WORDS = ("--scenario", TINY, "--arm", ARM, "--knob", "connections", "--trials", "8")


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where profiles are kept."""
    monkeypatch.setenv("TOBS_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config" / "profiles"


class Told:
    """Stands in for `tobs.tuning.tune.tune`: the runs are simulated, and what was asked for is kept."""

    def __init__(self) -> None:
        self.launch = Simulated()
        self.asked: list[Wanted] = []
        self._tune = room.tune

    def __call__(self, definition: Definition, folder: Path, say: Any, storage: str | None = None) -> Tuning:
        self.asked.append(definition.wanted)
        return self._tune(definition, folder, say, self.launch, storage=storage)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    stand_in = Told()
    monkeypatch.setattr(room, "tune", stand_in)
    return stand_in


def tobs(*words: object) -> Any:
    return CliRunner().invoke(app, ["tune", *map(str, words)])


def test_the_options_are_what_is_asked_for(tmp_path: Path, told: Told) -> None:
    second = tmp_path / "second.toml"
    shutil.copyfile(TINY, second)
    ended = tobs(
        *WORDS, "-s", second, "--over", "mean", "--toggles", "--toggle", "takeout", "-m", "wall=2", "-m", "peak_rss",
        "--max-floods-per-1000", 3, "--max-flood-seconds", 4, "--max-rss", 500, "--budget", 2, "--blocks", 2,
        "-o", tmp_path / "t",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    assert told.asked == [
        Wanted(
            scenario=TINY,
            further=(str(second),),
            over="mean",
            arm=ARM,
            metric="wall=2,peak_rss=1",
            knobs=("connections",),
            toggles=(EVERY, "takeout"),
            limits=Limits(500e6, 4, 0.05, 3),
            trials=8,
            budget=120.0,
            blocks=2,
        )
    ]


def test_what_is_better_is_kept_with_where_it_came_from(tmp_path: Path, told: Told, own_settings: Path) -> None:
    ended = tobs(*WORDS, "-o", tmp_path / "t", "--save", "home", "--json")
    value = json.loads(ended.stdout)
    assert (ended.exit_code, value["adopted"], value["profile"]) == (0, True, "home")
    found = discover()
    plan = resolve(found.manifests, settings.of_profile("home").wanted, found.broken).require()
    best = resolve(found.manifests, settings.load(tmp_path / "t" / BEST, environment={}).wanted, found.broken)
    assert plan.hash == best.hash
    origin = profiles.origin("home")
    assert origin["verdict"] == value["verdict"]
    assert 1 < origin["low"] < origin["ratio"] < origin["high"]
    assert (origin["scenarios"], origin["trials"], origin["seed"], origin["blocks"]) == ([TINY], 8, 1, 10)
    assert {"tobs", "telethon", "optuna"} <= set(origin["versions"])
    assert {"date", "code", "machine", "start", "study", "held_out_seeds"} <= set(origin)
    file = own_settings / "home.toml"
    written = file.read_text()
    assert tomllib.loads(written)["core"]["in_flight"] == 2, "as it was measured, whatever the defaults become"
    told.launch.trials.clear()
    assert tobs(*WORDS, "-o", tmp_path / "t", "--save", "home").exit_code == 0, "the same tuning may keep it again"
    assert told.launch.trials == []
    assert file.read_text() == written


def test_a_profile_of_another_origin_is_in_the_way_before_anything_is_run(tmp_path: Path, told: Told) -> None:
    assert tobs(*WORDS, "-o", tmp_path / "t", "--save", "home").exit_code == 0
    told.asked.clear()
    ended = tobs(*WORDS, "--seed", 2, "-o", tmp_path / "u", "--save", "home")
    assert ended.exit_code == 2
    assert "there is a profile 'home' that this tuning has not made" in ended.stderr
    assert "tobs profiles remove home" in ended.stderr
    assert tobs(*WORDS, "--save", "../home").exit_code == 2
    assert told.asked == []


def test_where_nothing_is_better_nothing_is_kept(tmp_path: Path, told: Told) -> None:
    told.launch = Simulated(effect=0.0)
    ended = tobs(*WORDS, "-o", tmp_path / "t", "--save", "home")
    assert ended.exit_code == 0
    assert "nothing better was found, so there is no profile home" in ended.stdout
    assert profiles.names() == []
    assert profiles.origin_of(tmp_path / "t" / BEST)["adopted"] is False


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--metric", "wall=0"], "is no weight"),
        (["--metric", "wall=2,speed"], "no metric 'speed'"),
        (["--metric", "wall", "--metric", "wall=2"], "names a metric twice"),
        (["--toggle", "nothing"], "no plugin is called 'nothing'"),
        (["--over", "best"], "best"),
        (["--max-floods-per-1000", "-1"], "--max-floods-per-1000"),
        (["--blocks", "0"], "--blocks"),
        (["-s", "nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_run(told: Told, words: list[str], complaint: str) -> None:
    ended = tobs(*WORDS, *words)
    assert ended.exit_code == 2
    assert complaint in ended.stderr
    assert told.asked == []
