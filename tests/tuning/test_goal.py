"""Several scenarios: each trial runs all of them; the worst of their ratios to the start counts, or the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.tuning.synthetic import START, Runs, best, cost, searched, wanted
from tobs.experiment.metrics import METRICS, metric_of
from tobs.tuning.goal import MEAN, WORST, fold, objective, timed
from tobs.tuning.journal import CONTROL, CUT, FAILED, OK
from tobs.tuning.limits import Limits
from tobs.tuning.rounds import Told

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.tuning.goal import Over
    from tobs.tuning.journal import Asked, Done

pytestmark = pytest.mark.usefixtures("quick")
DEPTH = (8, 24)
"""The depths that are best on the first and on the second scenario."""
SIZES = (1.0, 40.0)
"""How much longer runs of a scenario take."""


def slow(values: dict[str, object], part: int) -> float:
    """Seconds of a run: depth pulls the scenarios apart, all else is the same on both."""
    return SIZES[part] * math.exp(0.02 * abs(float(str(values["b.depth"])) - DEPTH[part]))


@dataclass
class Two(Runs):
    """Two scenarios without noise; `fails_on` loses a message there with half of the orders."""

    fails_on: int | None = None
    floods: tuple[float, float] = (0.0, 0.0)
    seen: list[tuple[int, int, float | None]] = field(default_factory=list)

    def __call__(self, asked: Asked, cut: float | None) -> Told:
        self.seen.append((asked.number, asked.part, cut))
        wall = cost(asked.values) ** self.steep * slow(dict(asked.values), asked.part)
        if asked.part == self.fails_on and asked.values["b.order"] == "small":
            return Told(FAILED, "its archive differs from the lab's truth", wall)
        if cut is not None and wall > cut:
            return Told(CUT, f"it took more than {cut:.1f} s", cut)
        floods = self.floods[asked.part] * float(asked.values["a.connections"])
        told = {"wall": wall, "peak_rss": 5e7, "requests": 1000.0, "errors": 0.0, "floods": floods}
        return Told(OK, "", wall, told)


def ratios(one: Done, start: Done) -> list[float]:
    """How many times as bad as the start, by scenario."""
    return [math.log(own["wall"] / first["wall"]) for own, first in zip(one.parts, start.parts, strict=True)]


@pytest.mark.parametrize("over", [WORST, MEAN])
def test_every_trial_runs_all_scenarios_and_its_objective_is_over_them(tmp_path: Path, over: Over) -> None:
    runs = Two(noise=0.0)
    found = searched(tmp_path, wanted(trials=12, scenarios=2, over=over), runs)
    start = found.trials[0]
    ended = [one for one in found.trials if one.outcome == OK]
    assert len(ended) > 6
    for one in ended:
        assert [part for number, part, _ in runs.seen if number == one.number] == [0, 1]
        assert one.objective == pytest.approx(fold(over, ratios(one, start)))
        assert one.measurements["wall"] == pytest.approx(sum(part["wall"] for part in one.parts))
        assert one.seconds == pytest.approx(one.measurements["wall"]), "both count in the budget"
    assert start.objective == 0.0


def test_the_worst_wants_both_and_the_mean_may_trade_them() -> None:
    logs = [-0.5, 0.1]
    assert fold(WORST, logs) == 0.1
    assert fold(MEAN, logs) == pytest.approx(-0.2)


def test_a_trial_twice_as_bad_as_the_best_on_one_scenario_is_ended_there(tmp_path: Path) -> None:
    runs = Two(noise=0.0, steep=4.0)
    found = searched(tmp_path, wanted(trials=25, scenarios=2), runs)
    start = found.trials[0]
    level = 0.0
    assert found.count(CUT) > 0
    for one in found.trials[1:]:
        known = 0.0 if one.kind == CONTROL else level
        bounds = [2 * math.exp(known) * first["wall"] for first in start.parts]
        seen = [(part, cut) for number, part, cut in runs.seen if number == one.number]
        assert [cut for _, cut in seen] == [pytest.approx(bounds[part]) for part, _ in seen]
        true = [cost(one.values) ** 4 * slow(dict(one.values), part) for part in range(2)]
        first_beyond = next((part for part in range(2) if true[part] > bounds[part]), None)
        assert (one.outcome == CUT) == (first_beyond is not None)
        if first_beyond is not None:
            assert len(seen) == first_beyond + 1, "what comes after it is not run"
            assert one.objective == pytest.approx(level + math.log(2))
            assert not any(one.values == other.values for other in found.finalists)
        elif one.kind != CONTROL:
            level = min(level, one.objective)


def test_in_the_mean_a_trial_may_be_bad_on_one_scenario_and_good_on_the_other(tmp_path: Path) -> None:
    runs = Two(noise=0.0)
    found = searched(tmp_path, wanted(trials=10, scenarios=2, over=MEAN), runs)
    start = found.trials[0]
    cuts = {part: cut for number, part, cut in runs.seen if number == found.trials[1].number}
    first = found.trials[1].parts[0]["wall"] if found.trials[1].parts else None
    assert cuts[0] == pytest.approx(4 * start.parts[0]["wall"]), "four times here is twice in the mean"
    assert first is not None
    assert cuts[1] == pytest.approx(4 * start.parts[1]["wall"] * start.parts[0]["wall"] / first)


def test_a_metric_without_time_ends_a_trial_only_between_scenarios(tmp_path: Path) -> None:
    @dataclass
    class Hungry(Two):
        def __call__(self, asked: Asked, cut: float | None) -> Told:
            told = super().__call__(asked, cut)
            memory = 1e6 * float(asked.values["a.connections"]) ** 2
            return Told(told.outcome, told.why, told.seconds, {**told.measurements, "peak_rss": memory})

    runs = Hungry(noise=0.0)
    found = searched(tmp_path, wanted(trials=20, scenarios=2, metric=METRICS["peak_rss"]), runs)
    assert {cut for _, _, cut in runs.seen} == {None}
    assert found.count(CUT) > 0
    for one in found.trials:
        if one.outcome == CUT:
            assert len(one.parts) == 1
            assert "after 1 of 2 scenarios" in one.why


def test_what_loses_a_message_on_one_scenario_fails_on_all(tmp_path: Path) -> None:
    found = searched(tmp_path, wanted(trials=30, stall=30, scenarios=2), Two(noise=0.0, fails_on=1))
    failed = [one for one in found.trials if one.outcome == FAILED]
    assert failed
    assert all(one.values["b.order"] == "small" for one in failed)
    assert all(one.why.startswith("scenario 2 of 2: its archive differs") for one in failed)
    assert best(found).values["b.order"] != "small"


def test_a_limit_holds_on_each_scenario(tmp_path: Path) -> None:
    limits = Limits(floods_per_1000=6)
    found = searched(tmp_path, wanted(trials=30, stall=30, scenarios=2, limits=limits), Two(noise=0.0, floods=(0, 2)))
    ended = [one for one in found.trials if one.outcome == OK]
    assert any(float(one.values["a.connections"]) > 3 for one in ended)
    assert all(one.feasible == (float(one.values["a.connections"]) <= 3) for one in ended)


def test_only_a_set_of_times_is_decided_by_time() -> None:
    assert timed(metric_of("wall=2,page_latency=1"))
    assert not timed(metric_of("wall=2,peak_rss=1"))
    assert not timed(metric_of("tobs.rpc.duration{rpc.method=upload.getFile}:p50:down"))


def test_a_weighted_set_is_searched_as_one(tmp_path: Path) -> None:
    metric = metric_of("wall=2,peak_rss=1")

    class Traded(Runs):
        def measured(self, asked: Asked, wall: float) -> dict[str, float]:
            memory = 1e6 * float(asked.values["a.connections"])
            both = (wall**2 * memory) ** (1 / 3)
            return {**super().measured(asked, wall), "peak_rss": memory, metric.name: both}

    runs = Traded(noise=0.0)
    found = searched(tmp_path, wanted(trials=15, metric=metric), runs)
    assert runs.cuts == [None] * len(runs.cuts)
    for one in found.trials:
        wall, memory = one.measurements["wall"], one.measurements["peak_rss"]
        assert one.objective == pytest.approx((2 * math.log(wall) + math.log(memory)) / 3)
    assert objective(metric, {"wall": 3.0}) is None
    assert found.trials[0].values == START
