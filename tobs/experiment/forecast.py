"""Before an experiment starts: how many blocks an effect of a given size needs, by the noise of earlier experiments."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from statistics import median, stdev
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.experiment.compare import differences
from tobs.experiment.statistics import visible_effect
from tobs.experiment.store import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tobs.experiment.metrics import Metric

ASSUMED = 0.095
"""sd(d) where nothing was measured yet: pairs of runs as shared machines have them (`tobs.experiment.synthetic`)."""
FEWEST, MOST = 6, 1000
ENOUGH = 5
"""Blocks of an earlier experiment from which its noise is believed."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The spread of d, and of how many earlier experiments it is the median; 0: it is assumed."""

    spread: float
    experiments: int


def blocks_for(effect: float, spread: float) -> int | None:
    """The fewest blocks that show an effect (a log of a ratio) in four of five experiments; None beyond `MOST`."""
    for blocks in range(FEWEST, MOST + 1):
        if visible_effect(blocks) * spread <= abs(effect):
            return blocks
    return None


def noise(scenario: str, metric: Metric, known: Iterable[Mapping[str, Any]]) -> Noise:
    """How far d spreads, by those of the `known` experiments that ran on this scenario; see `store.listed`."""
    spreads = [spread for one in known if one["scenario"] == scenario for spread in _spreads(one, metric)]
    return Noise(median(spreads), len(spreads)) if spreads else Noise(ASSUMED, 0)


def _spreads(experiment: Mapping[str, Any], metric: Metric) -> list[float]:
    runs = [run for run in experiment["runs"] if run["kind"] == "measured" and not run["abandoned"]]
    found = []
    for arm in range(1, len(experiment["arms"])):
        logs = differences(runs, arm, metric)
        if logs and len(logs) >= ENOUGH:
            found.append(stdev(logs))
    return found


def forecast(scenario: str, metric: Metric, effects: Sequence[float] = (0.03, 0.05, 0.1)) -> str:
    """In words, how many blocks effects of these sizes (shares of 1) take."""
    try:
        found = noise(scenario, metric, listed())
    except (TobsError, sqlite3.Error):  # an experiment that cannot be read costs the forecast its base, no more
        found = Noise(ASSUMED, 0)
    needs = [f"{effect * 100:g} % {_words(blocks_for(math.log1p(effect), found.spread))}" for effect in effects]
    source = f"of {found.experiments} comparisons on it" if found.experiments else "assumed, none ran on it yet"
    asked = "blocks that show an effect in 4 of 5 experiments"
    return f"{scenario}: {asked}: {', '.join(needs)} (sd {found.spread:.3f}, {source})"


def _words(blocks: int | None) -> str:
    return f"more than {MOST}" if blocks is None else str(blocks)
