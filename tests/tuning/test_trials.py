"""What a search is told of a run: a stop that it asked for is no failure, and a failure is no stop."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tobs.experiment.launch import PATIENCE, Result, Trial, Truth
from tobs.tuning.definition import Wanted, define
from tobs.tuning.journal import CUT, FAILED, OK, Asked, Done
from tobs.tuning.trials import Exports

if TYPE_CHECKING:
    from tobs.tuning.rounds import Told

TINY = str(Path(__file__).parents[1] / "experiment" / "scenarios" / "tiny.toml")


@dataclass
class Launched:
    """A `launch` that takes `takes` seconds of a clock that the test owns, and ends as it is told."""

    clock: list[float]
    takes: float = 12.0
    wall: float = 10.0
    invalid: str = ""
    exit: int | None = 0
    trials: list[Trial] = field(default_factory=list)
    truths: list[Truth | None] = field(default_factory=list)

    def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
        self.trials.append(trial)
        self.truths.append(truth)
        self.clock[0] += self.takes
        facts: dict[str, Any] = {"exit": self.exit}
        return Result(self.invalid, "same", Truth(-1, "same"), {"wall": self.wall}, facts)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that stand still but for `Launched`."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def run(launched: Launched, cut: float | None, done: tuple[Done, ...] = ()) -> Told:
    """One run of the start."""
    definition = define(Wanted(TINY, arm="baseline"))
    return Exports(definition, Path("t"), launched, done)(Asked(7, "proposed", definition.start), cut)


def earlier() -> tuple[Done, ...]:
    """A run whose lab, imports and checks took two seconds beside its ten."""
    return (Done(0, "start", {}, OK, 2.3, {}, "", 12.0, {"wall": 10.0}),)


def test_a_run_is_told_with_what_it_measured(clock: list[float]) -> None:
    launched = Launched(clock)
    told = run(launched, None)
    assert (told.outcome, told.seconds, told.measurements) == (OK, 12.0, {"wall": 10.0})
    (trial,) = launched.trials
    assert trial.patience == PATIENCE
    assert trial.folder == Path("t/trials/t007")
    assert trial.labels["tobs.trial"] == 7
    assert trial.metrics == ("wall",), "also one that is spelled, or a weighted set"


def test_a_run_has_what_it_takes_beside_its_own_time_on_top(clock: list[float]) -> None:
    launched = Launched(clock)
    run(launched, 20.0, earlier())
    assert launched.trials[0].patience == 22.0


def test_a_stop_that_was_asked_for_is_no_failure(clock: list[float]) -> None:
    stopped = Launched(clock, takes=25.0, invalid="did not end within 22 s", exit=130)
    told = run(stopped, 20.0, earlier())
    assert (told.outcome, told.why) == (CUT, "it took more than 22.0 s")


@pytest.mark.parametrize(
    ("takes", "exit_code", "cut"), [(25.0, 0, 20.0), (25.0, 1, 20.0), (5.0, 130, 20.0), (2000.0, 130, None)]
)
def test_a_failure_is_no_stop(clock: list[float], takes: float, exit_code: int, cut: float | None) -> None:
    failed = Launched(clock, takes=takes, invalid="its archive differs from the lab's truth", exit=exit_code)
    told = run(failed, cut, earlier())
    assert (told.outcome, told.why) == (FAILED, "its archive differs from the lab's truth")


def test_the_truth_is_asked_for_once(clock: list[float]) -> None:
    launched = Launched(clock)
    definition = define(Wanted(TINY, arm="baseline"))
    exports = Exports(definition, Path("t"), launched, [])
    for number in range(2):
        exports(Asked(number, "proposed", definition.start), None)
    assert launched.truths == [None, Truth(-1, "same")]
    assert {trial.seed for trial in launched.trials} == {definition.seed}
