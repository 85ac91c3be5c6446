"""A tuning from end to end on simulated runs: the plans, the settings file and the statistics are the real ones."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.tuning.simulated import KNOBS, ROOT, TINY, Simulated, defined, tuned
from tobs.errors import TobsError, UsageError
from tobs.host import settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.tuning.definition import OTHER_SIZE
from tobs.tuning.journal import FAILED, WINNER
from tobs.tuning.limits import Limits
from tobs.tuning.place import BEST
from tobs.tuning.report import as_json, lines

if TYPE_CHECKING:
    from tobs.experiment.launch import Result, Trial, Truth
    from tobs.host.resolve import Plan

pytestmark = pytest.mark.usefixtures("quick")


def plan_of(file: Path) -> Plan:
    """What `tobs export --config FILE` would run."""
    found = discover()
    return resolve(found.manifests, settings.load(file, environment={}).wanted, found.broken).require()


def told(file: Path) -> str:
    """What its comments say, without their line breaks."""
    return " ".join(line.removeprefix("# ") for line in file.read_text().splitlines())


def test_it_finds_confirms_and_simplifies(tmp_path: Path) -> None:
    launch = Simulated()
    tuning = tuned(tmp_path / "t", defined(), launch)
    assert tuning.adopted
    assert tuning.gain is not None
    assert tuning.gain.low is not None
    assert 1 < tuning.gain.low < (tuning.gain.ratio or 0)
    start = tuning.definition.start
    assert int(tuning.values["core.connections"]) > 4
    assert tuning.values["core.in_flight"] == start["core.in_flight"], "what does not matter is put back"
    assert tuning.values["async_pipeline.page_queue"] == start["async_pipeline.page_queue"]
    assert {"core.in_flight", "async_pipeline.page_queue"} & set(tuning.back)
    assert tuning.last is not None, "what is written is what was measured"
    assert tuning.last.blocks == 10


def test_the_confirmation_has_seeds_and_a_size_that_the_search_had_not(tmp_path: Path) -> None:
    launch = Simulated()
    tuning = tuned(tmp_path / "t", defined(), launch)
    search = [one for one in launch.trials if one.folder.parent.name == "trials"]
    confirmed = [one for one in launch.trials if one not in search]
    assert {one.seed for one in search} == {tuning.definition.seed}
    assert tuning.definition.seed not in {one.seed for one in confirmed}
    assert {one.scale for one in confirmed} == {OTHER_SIZE}
    assert tuning.first is not None
    assert tuning.first.blocks == 10


def test_the_result_is_settings_that_lead_to_what_was_measured(tmp_path: Path) -> None:
    tuning = tuned(tmp_path / "t", defined(), Simulated())
    file = tmp_path / "t" / BEST
    plan = plan_of(file)
    assert plan.hash == tuning.definition.resolve(tuning.values).hash
    assert plan.plugins == ("async_pipeline",)
    assert set(tomllib.loads(file.read_text())["core"]) == {"connections"}, "only what is not at its default"
    text = told(file)
    assert tuning.verdict() in text
    for fact in (TINY, str(tuning.definition.seed), tuning.definition.code, "telethon", "optuna", "cores"):
        assert fact in text
    assert tuning.measured is not None
    assert all(str(seed) in text for seed in tuning.measured.seeds)


def test_it_says_so_when_nothing_better_was_found(tmp_path: Path) -> None:
    tuning = tuned(tmp_path / "t", defined(trials=10), Simulated(effect=0.0))
    assert not tuning.adopted
    assert dict(tuning.values) == dict(tuning.definition.start)
    assert tuning.first is not None, "some looked better by chance"
    text = told(tmp_path / "t" / BEST)
    assert "`tobs tune` changed nothing" in text
    assert "Result: nothing better was found: what looked better was not confirmed" in text
    assert plan_of(tmp_path / "t" / BEST).hash == tuning.definition.plan.hash
    assert any("nothing better was found" in line for line in lines(tuning))
    assert as_json(tuning)["ratio"] is None


def test_from_a_file_the_shipped_defaults_are_withheld(tmp_path: Path) -> None:
    poor = ROOT / "experiments" / "tune" / "poor.toml"
    launch = Simulated()
    winner = tuned(tmp_path / "w", defined(), launch)
    assert winner.adopted
    launch.trials.clear()
    definition = defined(arm=None, file=poor, trials=6)
    assert definition.start["core.connections"] == 1
    assert definition.start["async_pipeline.depth"] == 1
    assert definition.plan.plugins == ("async_pipeline", "log_rate_limit", "parallel_media")
    tuning = tuned(tmp_path / "t", definition, launch)
    defaults = {one.name: one.default for one in discover().manifests["async_pipeline"].knobs}
    first = launch.trials[0]
    assert "async_pipeline.depth=1" in first.arm.split()
    shipped = {"core.connections": 4, "core.in_flight": 2, "async_pipeline.page_queue": defaults["page_queue"]}
    assert not any(all(one.values[name] == value for name, value in shipped.items()) for one in tuning.found.trials)
    assert not any(one.kind == WINNER for one in tuning.found.trials)


def test_the_last_winner_is_tried_second(tmp_path: Path) -> None:
    first = tuned(tmp_path / "a", defined(), Simulated())
    second = tuned(tmp_path / "b", defined(seed=2, trials=3), Simulated())
    assert second.found.trials[1].kind == WINNER
    assert dict(second.found.trials[1].values) == dict(first.values)


def test_finished_it_is_not_run_again_and_more_trials_extend_it(tmp_path: Path) -> None:
    launch = Simulated()
    tuning = tuned(tmp_path / "t", defined(trials=6), launch)
    launch.trials.clear()
    again = tuned(tmp_path / "t", defined(trials=6), launch)
    assert launch.trials == []
    assert as_json(again) == as_json(tuning)
    longer = tuned(tmp_path / "t", defined(trials=8), launch)
    assert longer.found.trials[: len(tuning.found.trials)] == tuning.found.trials
    assert len(longer.found.trials) > len(tuning.found.trials)


def test_broken_off_in_the_confirmation_it_goes_on_there(tmp_path: Path) -> None:
    class Stopped(Simulated):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if trial.folder.name == "b003-a1":
                raise KeyboardInterrupt
            return super().__call__(trial, truth)

    first, second = Stopped(), Simulated()
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "t", defined(), first)
    tuned(tmp_path / "t", defined(), second)
    assert not [one for one in second.trials if one.folder.parent.name == "trials"]
    assert second.trials[0].folder.name.startswith("b003"), "two blocks were finished"


def test_a_setting_that_changes_the_archive_is_shown_and_not_adopted(tmp_path: Path) -> None:
    tuning = tuned(tmp_path / "t", defined(trials=30, stall=30), Simulated(spoilt=10))
    spoilt = [one for one in tuning.found.trials if int(one.values["core.connections"]) >= 10]
    assert spoilt
    assert {one.outcome for one in spoilt} == {FAILED}
    assert int(tuning.values["core.connections"]) < 10
    assert not tuning.sound
    assert "left another archive than the truth" in tuning.warnings()[0]


def test_limits_hold_in_the_confirmation_too(tmp_path: Path) -> None:
    limits = Limits(memory=8e6)
    tuning = tuned(tmp_path / "t", defined(limits=limits), Simulated())
    assert tuning.adopted
    assert int(tuning.values["core.connections"]) <= 8

    class Growing(Simulated):
        """What is larger takes more memory."""

        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            self.memory = 1e6 if trial.scale == 1 else 3e6
            return super().__call__(trial, truth)

    grown = tuned(tmp_path / "g", defined(limits=limits, knobs=("connections",), trials=12), Growing())
    assert not grown.adopted
    assert "beyond its limits, memory" in grown.verdict()


def test_a_folder_holds_one_tuning_at_a_time(tmp_path: Path) -> None:
    definition = defined(trials=1)
    tuned(tmp_path / "t", definition, Simulated())
    with pytest.raises(UsageError, match="holds another tuning"):
        tuned(tmp_path / "t", defined(trials=1, seed=2), Simulated())

    class Again(Simulated):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            with pytest.raises(TobsError, match="is being written to"):
                tuned(tmp_path / "u", definition, Simulated())
            return super().__call__(trial, truth)

    tuned(tmp_path / "u", definition, Again())


def test_the_same_tuning_has_the_same_name_and_the_number_of_trials_is_no_part_of_it(tmp_path: Path) -> None:
    one = defined()
    assert defined(trials=40, budget=60.0).id == one.id
    other = tmp_path / "other.toml"
    other.write_text(Path(TINY).read_text().replace("seed = 5", "seed = 6"))
    changed: list[dict[str, Any]] = [
        {"seed": 2},
        {"scale": 2.0},
        {"metric": "cpu"},
        {"limits": Limits(memory=1)},
        {"scenario": str(other)},
    ]
    assert len({one.id, *(defined(**change).id for change in changed)}) == len(changed) + 1
    assert defined(knobs=KNOBS[:3]).name != one.name


def test_it_is_one_json_value(tmp_path: Path) -> None:
    value = json.loads(json.dumps(as_json(tuned(tmp_path / "t", defined(), Simulated()))))
    assert value["adopted"]
    assert value["low"] > 1
    assert value["trials"][0]["kind"] == "start"
    assert value["changed"]["core.connections"]["from"] == 4
    assert value["confirmation"]["arms"][0]["against"] == value["start"]
