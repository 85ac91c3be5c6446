"""Over several scenarios an arm has one figure: the geometric mean of its ratios, scenario by scenario alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.experiment.scenarios import defined
from tobs.experiment.compare import BETTER, REFUSED
from tobs.experiment.conduct import conduct
from tobs.experiment.report import combined_lines, together
from tobs.experiment.several import combine
from tobs.experiment.synthetic import Noise, SyntheticRuns

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.experiment.report import Outcome

QUIET = Noise(whole=0.01, drift=0.005, spikes=0.0)


def conducted(folder: Path, name: str, speed: float, *, blocks: int = 8, spoilt: bool = False) -> Outcome:
    definition = defined(blocks=blocks)
    definition = replace(definition, wanted=replace(definition.wanted, scenario=name))
    second = definition.arms[1].plan_hash
    runs = SyntheticRuns({second: speed}, frozenset({second} if spoilt else ()), QUIET)
    return conduct(definition, folder / name, lambda _: None, runs)


def test_the_geometric_mean_of_twice_and_half_as_fast_is_no_effect(tmp_path: Path) -> None:
    outcomes = [conducted(tmp_path, "one", 2.0), conducted(tmp_path, "other", 0.5)]
    (one,) = combine(outcomes)
    assert one.ratio == pytest.approx(1, abs=0.03)
    (one,) = combine([conducted(tmp_path, "third", 2.0), conducted(tmp_path, "fourth", 8.0)])
    assert one.ratio == pytest.approx(4, rel=0.03)
    assert one.verdict == BETTER
    assert one.low is not None
    assert one.low > 3.8


def test_only_blocks_that_all_have_are_used(tmp_path: Path) -> None:
    outcomes = [conducted(tmp_path, "one", 2.0, blocks=8), conducted(tmp_path, "other", 2.0, blocks=6)]
    (one,) = combine(outcomes)
    assert one.estimate is not None
    assert one.estimate.n == 6


def test_an_invalid_run_anywhere_refuses_the_whole(tmp_path: Path) -> None:
    outcomes = [conducted(tmp_path, "one", 2.0), conducted(tmp_path, "other", 2.0, spoilt=True)]
    (one,) = combine(outcomes)
    assert (one.verdict, one.words) == (REFUSED, "refused: invalid runs on other")


def test_it_is_told_to_machines_and_people_and_not_of_one_scenario(tmp_path: Path) -> None:
    outcomes = [conducted(tmp_path, "one", 2.0), conducted(tmp_path, "other", 2.0)]
    told = together(outcomes)
    assert [arm["scenario"] for arm in told["arms"]] == ["one", "other"]
    assert told["combined"][0]["ratio"] == pytest.approx(2, rel=0.03)
    (line,) = combined_lines(outcomes)
    assert line.startswith("over 2 scenarios: baseline connections=5: wall x")
    assert combine(outcomes[:1]) == []
    assert "combined" not in together(outcomes[:1])
