"""Searches of every kind on the synthetic objective, without noise: what may be broken off must go on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.tuning.synthetic import START, Runs, wanted
from tests.tuning.test_toggles import Switched, exclude, toggled
from tobs.experiment.metrics import metric_of
from tobs.tuning.goal import MEAN
from tobs.tuning.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.tuning.journal import Asked
    from tobs.tuning.search import Search

BOTH = metric_of("wall=2,peak_rss=1")
TRIALS = 7


class Every(Switched):
    """On the second scenario each connection takes longer and floods; memory grows with the parts. Plugins or none."""

    def true(self, asked: Asked) -> float:
        values = {"b": True, "c": False, **asked.values}
        more = float(asked.values["a.connections"]) if asked.part else 1.0
        return super().true(replace(asked, values=values)) * more

    def measured(self, asked: Asked, wall: float) -> dict[str, float]:
        memory = 1e6 * float(asked.values["a.part_kb"])
        floods = asked.part * float(asked.values["a.connections"])
        found = {**super().measured(asked, wall), "peak_rss": memory, "floods": floods}
        return {**found, BOTH.name: (wall**2 * memory) ** (1 / 3)}


def _plain() -> tuple[Search, Runs]:
    return wanted(trials=TRIALS, winner={**START, "b.order": "small"}), Runs(noise=0.0)


def _toggles() -> tuple[Search, Runs]:
    return toggled(trials=TRIALS, unfit=exclude), Switched(noise=0.0)


def _scenarios() -> tuple[Search, Runs]:
    return wanted(trials=TRIALS, scenarios=2), Every(noise=0.0)


def _weights() -> tuple[Search, Runs]:
    return wanted(trials=TRIALS, metric=BOTH, limits=Limits(memory=4e8)), Every(noise=0.0)


def _all() -> tuple[Search, Runs]:
    limits = Limits(memory=4e8, floods_per_1000=50)
    what = toggled(trials=TRIALS, unfit=exclude, scenarios=3, over=MEAN, metric=BOTH, limits=limits)
    return what, Every(noise=0.0)


ALL: dict[str, Callable[[], tuple[Search, Runs]]] = {
    "plain": _plain,
    "toggles": _toggles,
    "scenarios": _scenarios,
    "weights": _weights,
    "all": _all,
}
