"""The search: what is tried first and again, what is cut short, what is avoided, and when it is enough."""

from __future__ import annotations

import math
import os
from statistics import median
from typing import TYPE_CHECKING

import pytest
from optuna.samplers import RandomSampler

from tests.tuning.synthetic import START, Runs, best, cost, searched, wanted
from tobs.errors import TobsError
from tobs.experiment.metrics import METRICS
from tobs.tuning.journal import CONTROL, CUT, FAILED, PROPOSED, WINNER, Journal, tpe
from tobs.tuning.journal import START as FIRST
from tobs.tuning.limits import Limits
from tobs.tuning.search import search

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.tuning.journal import Asked, Sampling

SEARCHES = 5


def distance(folder: Path, sampling: Sampling) -> float:
    """Median over searches of 50 trials: how much slower than the optimum their best settings truly are."""
    found = [
        searched(folder / str(seed), wanted(trials=50, stall=50), Runs(seed), seed=seed, sampling=sampling)
        for seed in range(SEARCHES)
    ]
    return median(cost(best(one).values) / 10 - 1 for one in found)


def test_it_beats_random_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power fails here, and ten thousand take their time
    at_random = distance(tmp_path / "random", lambda seed: RandomSampler(seed=seed))
    assert distance(tmp_path / "tpe", tpe) < 0.8 * at_random


def test_the_start_comes_first_then_the_last_winner(tmp_path: Path) -> None:
    winner = {**START, "b.order": "small"}
    found = searched(tmp_path, wanted(trials=3, winner=winner), Runs())
    assert [one.kind for one in found.trials] == [FIRST, WINNER, PROPOSED]
    assert [one.values for one in found.trials[:2]] == [START, winner]


def test_the_start_is_run_again_every_eight_trials(tmp_path: Path) -> None:
    found = searched(tmp_path, wanted(trials=20), Runs(drift=0.01))
    assert [one.number for one in found.trials if one.kind == CONTROL] == [9, 18]
    assert all(one.values == START for one in found.starts)
    assert len(found.trials) == 22, "controls are not counted as trials"
    assert found.why == "all 20 trials are done"
    assert found.drift == pytest.approx(math.exp(0.18) - 1, abs=0.3)


def test_a_run_past_twice_the_best_is_stopped_and_told_as_a_penalty(tmp_path: Path) -> None:
    runs = Runs(noise=0.0, steep=4.0)
    found = searched(tmp_path, wanted(trials=20), runs)
    reached = math.inf
    for one, asked, cut in zip(found.trials, runs.asked, runs.cuts, strict=True):
        if one.kind == CONTROL:
            assert cut == pytest.approx(2 * runs.true(asked)), "the start is not stopped for being the start"
            continue
        assert cut == (None if reached == math.inf else pytest.approx(2 * reached))
        if one.outcome == CUT:
            assert one.objective == pytest.approx(math.log(2 * reached))
            assert runs.true(asked) > 2 * reached
        else:
            reached = min(reached, runs.true(asked))
    assert found.count(CUT) > 0


def test_nothing_is_stopped_for_metrics_that_time_says_nothing_of(tmp_path: Path) -> None:
    runs = Runs()
    searched(tmp_path, wanted(trials=5, metric=METRICS["peak_rss"]), runs)
    assert runs.cuts == [None] * 5


class Losing(Runs):
    """Settings with this order lose a message, and are fast."""

    def fails(self, asked: Asked) -> bool:
        return asked.values["b.order"] == "small"


def test_a_setting_that_loses_a_message_never_wins_and_is_avoided(tmp_path: Path) -> None:
    found = searched(tmp_path, wanted(trials=40, stall=40), Losing())
    lost = [one for one in found.trials if one.outcome == FAILED]
    assert lost
    assert all(one.objective > best(found).objective for one in lost)
    assert not any(one.feasible for one in lost)
    assert not any(one.values["b.order"] == "small" for one in found.finalists)
    late = [one.outcome == FAILED for one in found.trials[-15:]]
    assert sum(late) <= len(late) / 3, "of three orders that one is no longer drawn as often as by chance"


class Hungry(Runs):
    """Connections take 10 MB each."""

    def measured(self, asked: Asked, wall: float) -> dict[str, float]:
        return {**super().measured(asked, wall), "peak_rss": 10e6 * float(asked.values["a.connections"])}


def test_the_limits_are_kept(tmp_path: Path) -> None:
    found = searched(tmp_path, wanted(trials=30, stall=30, limits=Limits(memory=50e6)), Hungry())
    beyond = [one for one in found.trials if float(one.values["a.connections"]) > 5]
    assert beyond
    assert not any(one.feasible for one in beyond)
    assert found.finalists
    assert all(float(one.values["a.connections"]) <= 5 for one in [*found.finalists, best(found)])


@pytest.mark.parametrize(
    ("measured", "limits", "broken"),
    [
        ({"flood_seconds": 3.0}, Limits(flood_seconds=0), ["flood waits 3 s > 0 s"]),
        ({"flood_seconds": 3.0}, Limits(flood_seconds=3), []),
        ({"flood_seconds": 3.0}, Limits(), []),
        ({"floods": 3, "requests": 500}, Limits(floods_per_1000=5), ["6 floods in 1,000 requests > 5"]),
        ({"floods": 3, "requests": 500}, Limits(floods_per_1000=6), []),
        ({"floods": 1, "requests": 500}, Limits(floods_per_1000=0), ["2 floods in 1,000 requests > 0"]),
        ({"errors": 6, "requests": 100}, Limits(), ["more than 5% of the requests are lost"]),
        ({"errors": 5, "requests": 100}, Limits(), []),
        ({"peak_rss": 80e6}, Limits(memory=70e6), ["memory 80 MB > 70 MB"]),
    ],
)
def test_limits_say_what_is_beyond_them(measured: dict[str, float], limits: Limits, broken: list[str]) -> None:
    assert limits.broken(measured) == broken


def test_it_stops_when_nothing_is_gained_any_more(tmp_path: Path) -> None:
    found = searched(tmp_path, wanted(trials=200, stall=5), Runs())
    assert found.why == "5 trials in a row gained less than 1%"
    tried = [one for one in found.trials if one.kind != CONTROL]
    before = min(one.objective for one in tried[:-5] if one.feasible)
    assert not any(one.feasible and one.objective < before + math.log(0.99) for one in tried[-5:])


def test_it_stops_when_the_budget_is_spent(tmp_path: Path) -> None:
    found = searched(tmp_path, wanted(budget=60), Runs())
    assert found.why == "the budget of 60 s is spent"
    took = [one.seconds for one in found.trials]
    assert sum(took[:-1]) < 60 <= sum(took)


@pytest.mark.parametrize(("trials", "budget", "why"), [(4, 1000.0, "all 4 trials"), (400, 60.0, "the budget of 60 s")])
def test_whatever_comes_first_ends_it(tmp_path: Path, trials: int, budget: float, why: str) -> None:
    found = searched(tmp_path, wanted(trials=trials, budget=budget, stall=400), Runs())
    assert found.why.startswith(why)
    assert len(found.trials) <= trials
    assert sum(one.seconds for one in found.trials[:-1]) < budget


def test_more_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    class Speeds(Runs):
        def measured(self, asked: Asked, wall: float) -> dict[str, float]:
            return {**super().measured(asked, wall), "messages_per_second": 1000 / wall}

    found = searched(tmp_path, wanted(metric=METRICS["messages_per_second"]), Speeds(noise=0.0))
    assert best(found).measurements["wall"] == min(one.measurements["wall"] for one in found.trials if one.feasible)


class Broken(Runs):
    """Every setting loses a message."""

    def fails(self, asked: Asked) -> bool:
        return bool(asked.values)


def test_a_start_that_fails_ends_the_search_and_is_tried_again_next_time(tmp_path: Path) -> None:
    with pytest.raises(TobsError, match="cannot be measured: its archive differs"):
        searched(tmp_path, wanted(), Broken())
    found = searched(tmp_path, wanted(trials=2), Runs())
    assert [one.kind for one in found.trials] == [FIRST, PROPOSED]


def test_finalists_are_the_best_three_of_different_settings_better_than_the_start(tmp_path: Path) -> None:
    found = searched(tmp_path, wanted(trials=30, stall=30), Runs())
    assert len(found.finalists) == 3
    assert len({str(one.values) for one in found.finalists}) == 3
    assert [one.objective for one in found.finalists] == sorted(one.objective for one in found.finalists)
    assert all(one.objective < found.level for one in found.finalists)
    assert found.finalists[0] == best(found)


def test_progress_says_what_came_and_what_is_left(tmp_path: Path) -> None:
    said: list[str] = []
    search(wanted(trials=12), Journal(tmp_path / "x", "synthetic", 1), Losing(noise=0.0), said.append)
    assert said[0].startswith("trial 1 of 12 (the start): wall 18.37 s; best x1.000 of the start; at most about")
    assert any(line.startswith("control: ") for line in said)
    assert any("failed: its archive differs from the lab's truth" in line for line in said)
    assert said[-1].endswith("at most about 0 s of trials left")
