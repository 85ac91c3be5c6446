"""Tunings to their end: of several scenarios, of a weighted set of metrics, with plugins switched, with hard limits."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.tuning.simulated import TINY, Simulated, defined, tuned
from tests.tuning.test_tune import plan_of
from tobs.errors import UsageError
from tobs.experiment.compare import BETTER
from tobs.tuning.definition import EVERY, OTHER_SIZE
from tobs.tuning.goal import MEAN, WORST
from tobs.tuning.journal import Journal
from tobs.tuning.limits import Limits
from tobs.tuning.place import BEST, STUDY
from tobs.tuning.report import Tuning, as_json, lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.experiment.launch import Result, Trial, Truth

pytestmark = pytest.mark.usefixtures("quick")
DEPTHS = {"near": 4, "far": 32}
"""The best depth on each scenario."""


@pytest.fixture
def near(tmp_path: Path) -> str:
    return named(tmp_path, "near")


@pytest.fixture
def far(tmp_path: Path) -> str:
    return named(tmp_path, "far")


def named(folder: Path, name: str) -> str:
    """The tiny scenario under another name."""
    file = folder / f"{name}.toml"
    text = Path(TINY).read_text()
    file.write_text(text.replace(text.split("name = ")[1].split("\n")[0], f'"{name}"', 1))
    return str(file)


@dataclass
class Apart(Simulated):
    """More connections help on both; the near one wants less depth than the far one, `tilt` times as much so."""

    tilt: float = 1.0
    only: str = ""

    def cost(self, trial: Trial) -> float:
        knobs, place = self.knobs(trial), Path(trial.scenario).stem
        weight = self.tilt if place == "near" else 1.0
        depth = 0.1 * weight * abs(math.log2((int(knobs["async_pipeline.depth"]) or 1) / DEPTHS[place]))
        connections = 0.15 * abs(math.log2(16 / int(knobs["core.connections"])))
        return depth + connections if self.only in {"", place} else 0.0


def start_from(depth: int) -> dict[str, Any]:
    """A start with this depth; depth and connections are tuned."""
    return {
        "arm": f"baseline +async_pipeline async_pipeline.depth={depth}",
        "knobs": ("connections", "async_pipeline.depth"),
    }


@pytest.mark.parametrize("over", [WORST, MEAN])
def test_what_wins_is_proved_on_every_scenario(tmp_path: Path, near: str, far: str, over: Any) -> None:
    launch = Apart()
    definition = defined(scenario=near, further=(far,), over=over, **start_from(11))
    tuning = tuned(tmp_path / "t", definition, launch)
    assert tuning.adopted
    assert int(tuning.values["core.connections"]) > 4
    search = [one for one in launch.trials if one.folder.parent.name == "trials"]
    confirmed = [one for one in launch.trials if one not in search]
    assert [one.scenario for one in search[:4]] == [near, far, near, far]
    assert {(one.scenario, one.scale) for one in confirmed} == {(near, OTHER_SIZE), (far, OTHER_SIZE)}
    assert tuning.measured is not None
    each = [next(iter(one.comparisons().values()))[0] for one in tuning.measured.outcomes]
    assert tuning.gain is not None
    ratios = [one.ratio or 0.0 for one in each]
    if over == WORST:
        assert tuning.gain.ratio == min(ratios)
        assert {one.verdict for one in each} == {BETTER}
    else:
        assert tuning.gain.ratio == pytest.approx(math.sqrt(ratios[0] * ratios[1]), rel=0.01)
    assert f"the {over} of 2 scenarios" in tuning.verdict()
    value = json.loads(json.dumps(as_json(tuning)))
    assert value["scenarios"] == [near, far]
    assert value["over"] == over
    assert all(len(one["by_scenario"]) == 2 for one in value["trials"] if one["outcome"] == "ok")
    assert any(near in line and far in line for line in lines(tuning))


def test_what_helps_one_scenario_alone_is_adopted_in_the_mean_and_not_in_the_worst(
    tmp_path: Path, near: str, far: str
) -> None:
    more = {"scenario": near, "further": (far,), **start_from(11)}
    worst = tuned(tmp_path / "worst", defined(**more, over=WORST), Apart(only="near"))
    assert not worst.adopted
    assert tuned(tmp_path / "mean", defined(**more, over=MEAN), Apart(only="near")).adopted


def test_a_finalist_that_is_better_on_one_scenario_only_is_named_with_the_other(
    tmp_path: Path, near: str, far: str
) -> None:
    class Lucky(Apart):
        """On the far scenario nothing matters at the confirmation's size."""

        def cost(self, trial: Trial) -> float:
            return 0.0 if trial.scale > 1 and Path(trial.scenario).stem == "far" else super().cost(trial)

    tuning = tuned(tmp_path / "t", defined(scenario=near, further=(far,), **start_from(11)), Lucky())
    assert not tuning.adopted
    assert f"on {far}: " in tuning.verdict()


def test_broken_off_in_the_second_scenario_s_confirmation_it_goes_on_there(tmp_path: Path, near: str, far: str) -> None:
    class Stopped(Apart):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if trial.folder.name == "b003-a1" and trial.scenario == far:
                raise KeyboardInterrupt
            return super().__call__(trial, truth)

    definition = defined(scenario=near, further=(far,), **start_from(11))
    first, second = Stopped(), Apart()
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "t", definition, first)
    tuned(tmp_path / "t", definition, second)
    assert not [one for one in second.trials if one.folder.parent.name == "trials"]
    assert second.trials[0].scenario == far
    assert second.trials[0].folder.name.startswith("b003")


def test_broken_off_between_two_scenarios_of_a_trial_all_of_it_is_run_again(
    tmp_path: Path, near: str, far: str
) -> None:
    class Stopped(Apart):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if trial.folder.name == "t003-s2":
                raise KeyboardInterrupt
            return super().__call__(trial, truth)

    definition = defined(scenario=near, further=(far,), **start_from(11), trials=8)
    whole = tuned(tmp_path / "whole", definition, Apart())
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "t", definition, Stopped())
    second = Apart()
    parts = tuned(tmp_path / "t", definition, second)
    assert [one.folder.name for one in second.trials[:2]] == ["t004-s1", "t004-s2"]
    assert [one.values for one in parts.found.trials] == [one.values for one in whole.found.trials]


def test_a_weighted_set_is_searched_and_proved_as_one(tmp_path: Path) -> None:
    """Connections take memory: with time alone many are best, with memory counted too a few."""
    fast = tuned(tmp_path / "a", defined(knobs=("connections",)), Simulated())
    name = "wall=1,peak_rss=1"
    both = tuned(tmp_path / "b", defined(knobs=("connections",), metric=name), Simulated())
    assert int(fast.values["core.connections"]) > 4 > int(both.values["core.connections"])
    assert both.adopted
    assert both.first is not None
    (outcome,) = both.first.outcomes
    assert [metric.name for metric in outcome.definition.metrics] == [name]
    assert name in both.verdict()
    for run in outcome.runs:
        measured = run["measurements"]
        assert measured[name] == pytest.approx(math.sqrt(measured["wall"] * measured["peak_rss"]))


@dataclass
class Plugged(Simulated):
    """parallel_media is worth a third, log_rate_limit nothing, and async_pipeline costs a fifth."""

    def cost(self, trial: Trial) -> float:
        on = self.plugins(trial)
        told = 0.3 * ("parallel_media" not in on) + 0.2 * ("async_pipeline" in on)
        return told + 0.02 * abs(math.log2(16 / int(self.knobs(trial)["core.connections"])))


TOGGLES: dict[str, Any] = {
    "arm": "baseline +async_pipeline",
    "toggles": ("async_pipeline", "parallel_media", "log_rate_limit"),
    "knobs": ("connections", "async_pipeline.depth", "parallel_media.files", "log_rate_limit.batch"),
    "trials": 30,
    "stall": 30,
}


def test_plugins_are_switched_where_that_is_better_and_nowhere_else(tmp_path: Path) -> None:
    definition = defined(**TOGGLES)
    tuning = tuned(tmp_path / "t", definition, Plugged())
    assert tuning.adopted
    on = {name for name, value in tuning.values.items() if value is True}
    assert on == {"parallel_media"}
    assert "async_pipeline.depth" not in tuning.values
    assert tuning.values["parallel_media.files"] == definition.base["parallel_media.files"], "put back"
    plan = plan_of(tmp_path / "t" / BEST)
    assert plan.plugins == ("parallel_media",)
    assert plan.hash == definition.resolve(tuning.values).hash
    text = "\n".join(lines(tuning))
    assert "parallel_media: off -> on" in text
    assert "async_pipeline: on -> off" in text
    assert as_json(tuning)["toggles"] == sorted(TOGGLES["toggles"])


def test_all_plugins_of_this_installation_can_be_switched(tmp_path: Path) -> None:
    definition = defined(arm="default", toggles=(EVERY,), knobs=(), trials=15)
    launch = Plugged()
    tuning = tuned(tmp_path / "t", definition, launch)
    named = {one.name for one in definition.ranges if "." not in one.name}
    assert named == set(definition.plan.plugins)
    assert "takeout" not in named, "it asks for the user's consent"
    for trial in launch.trials:
        assert self_consistent(launch.knobs(trial), launch.plugins(trial))
    assert len({frozenset(launch.plugins(trial)) for trial in launch.trials}) > 5
    assert len(tuning.found.trials) >= 15


def self_consistent(knobs: Mapping[str, object], on: set[str]) -> bool:
    """Whether no knob is given to a plugin that is off."""
    return {name.partition(".")[0] for name in knobs} <= {"core", *on}


def test_the_last_winner_is_tried_with_its_plugins(tmp_path: Path) -> None:
    first = tuned(tmp_path / "a", defined(**TOGGLES), Plugged())
    second = tuned(tmp_path / "b", defined(**{**TOGGLES, "seed": 2, "trials": 3}), Plugged())
    assert dict(second.found.trials[1].values) == dict(first.values)


@dataclass
class Flooded(Simulated):
    """A connection beyond `free` is told to wait once; at the confirmation's size in a block that `at` names."""

    free: int = 8
    at: str = ""

    def further(self, trial: Trial) -> dict[str, float]:
        connections = int(self.knobs(trial)["core.connections"])
        over = max(0, connections - self.free)
        if self.at and trial.scale > 1:
            over = int(connections != 4 and trial.folder.name.startswith(self.at))
        return {"floods": float(over), "flood_seconds": 2.0 * over}


@pytest.mark.parametrize("limits", [Limits(flood_seconds=0), Limits(floods_per_1000=0)])
def test_a_winner_keeps_the_limits_of_floods(tmp_path: Path, limits: Limits) -> None:
    more: dict[str, Any] = {"knobs": ("connections",), "limits": limits}
    kept = tuned(tmp_path / "t", defined(**more), Flooded())
    assert kept.adopted
    assert 4 < int(kept.values["core.connections"]) <= 8
    assert kept.measured is not None
    assert max(run["floods"] for run in kept.measured.runs(kept.gain.arm if kept.gain else 0)) == 0


@pytest.mark.parametrize("limits", [Limits(flood_seconds=1), Limits(floods_per_1000=5)])
def test_one_flood_too_many_in_one_run_of_the_confirmation_is_one_too_many(tmp_path: Path, limits: Limits) -> None:
    more: dict[str, Any] = {"knobs": ("connections",), "limits": limits}
    once = tuned(tmp_path / "u", defined(**more), Flooded(free=16, at="b005"))
    assert not once.adopted
    assert "beyond its limits, flood" in once.verdict() or "floods in 1,000 requests" in once.verdict()
    assert tuned(tmp_path / "v", defined(**more), Flooded(free=16)).adopted


def test_the_name_covers_all_that_decides(near: str, far: str) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"further": (far,)},
        {"further": (far,), "over": MEAN},
        {"further": (near,)},
        {"metric": "wall=2,peak_rss=1"},
        {"metric": "wall=1,peak_rss=1"},
        {"limits": Limits(floods_per_1000=1)},
        {"toggles": ("parallel_media",)},
        {"toggles": (EVERY,)},
    ]
    assert len({defined(**change).id for change in changes}) == len(changes)
    plain = defined()
    assert defined(over=MEAN).id == plain.id, "one scenario is its own mean"
    assert defined(further=(TINY,)).id == plain.id, "a scenario counts once"
    assert defined(metric="wall=4,peak_rss=2").id == defined(metric="wall=2,peak_rss=1").id
    assert defined(blocks=3, trials=7, budget=9.0).id == plain.id


def test_the_study_of_it_all_is_read_again(tmp_path: Path, near: str, far: str) -> None:
    definition = defined(
        **{**TOGGLES, "trials": 6}, scenario=near, further=(far,), metric="wall=3,peak_rss=1", over=MEAN
    )
    tuning = tuned(tmp_path / "t", definition, Plugged())
    journal = Journal(tmp_path / "t" / STUDY, definition.name, 1)
    assert tuple(journal.done()) == tuning.found.trials
    launch = Plugged()
    again: Tuning = tuned(tmp_path / "t", definition, launch)
    assert launch.trials == []
    assert as_json(again) == as_json(tuning)


def test_a_scenario_that_is_not_there_is_named(near: str) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        defined(scenario=near, further=("nowhere",))
