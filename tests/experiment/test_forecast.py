"""Before anything runs, one is told how many blocks an effect takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.experiment.scenarios import TINY, defined
from tobs.experiment.conduct import conduct
from tobs.experiment.forecast import ASSUMED, MOST, Noise, blocks_for, forecast, noise
from tobs.experiment.metrics import METRICS
from tobs.experiment.statistics import visible_effect
from tobs.experiment.store import listed
from tobs.experiment.synthetic import Noise as RunNoise
from tobs.experiment.synthetic import SyntheticRuns

if TYPE_CHECKING:
    from pathlib import Path

WALL = METRICS["wall"]


@pytest.mark.parametrize("effect", [0.02, 0.05, 0.1, -0.1])
def test_it_is_the_fewest_blocks_that_show_the_effect(effect: float) -> None:
    blocks = blocks_for(effect, 0.095)
    assert blocks is not None
    assert visible_effect(blocks) * 0.095 <= abs(effect)
    assert blocks == 6 or visible_effect(blocks - 1) * 0.095 > abs(effect)


def test_what_would_take_too_many_is_said() -> None:
    assert blocks_for(0.0001, 0.1) is None
    assert f"0.01 % more than {MOST}" in forecast("nowhere", WALL, (0.0001,))


def test_without_earlier_runs_the_noise_is_assumed_and_says_so() -> None:
    assert noise("nowhere", WALL, []) == Noise(ASSUMED, 0)
    assert "assumed" in forecast("nowhere", WALL)


def test_the_noise_is_that_of_earlier_experiments_on_the_scenario(tmp_path: Path) -> None:
    definition = defined(blocks=30)
    quiet = RunNoise(whole=0.02, drift=0.0, spikes=0.0)
    conduct(definition, tmp_path / "x", lambda _: None, SyntheticRuns({}, noise=quiet))
    known: list[dict[str, Any]] = list(listed())
    found = noise(TINY, WALL, known)
    assert found.experiments == 1
    assert found.spread == pytest.approx(0.02 * math.sqrt(2), rel=0.35)
    assert noise("another", WALL, known).experiments == 0
    assert "of 1 comparisons on it" in forecast(TINY, WALL)
