"""Experiments on simulated runs with a known effect: what the statistics are checked against.

The noise of a run is that of a shared machine: a whole run is slower or faster (standard deviation 9 % in log), most
of that is drift, which neighbouring runs share, and some runs meet a spike. The standard deviations and the share of
spikes are the recipe's; `memory` and `spike` are fitted so that the recipe's powers come out.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tobs.experiment.launch import Result, Truth
from tobs.experiment.statistics import Estimate, estimate, signed_rank_p, stops_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tobs.experiment.launch import Trial
    from tobs.experiment.statistics import Rule


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise of a run in log: standard deviations of all of it and of its drift.

    `memory` is the correlation of the drift of two runs in a row; a share `spikes` of the runs is slower by an
    exponential amount of mean `spike`.
    """

    whole: float = 0.09
    drift: float = 0.06
    memory: float = 0.8
    spikes: float = 0.08
    spike: float = 0.15

    @property
    def rest(self) -> float:
        """Standard deviation of what is neither drift nor spike."""
        of_spikes = self.spikes * 2 * self.spike**2 - (self.spikes * self.spike) ** 2
        return math.sqrt(self.whole**2 - self.drift**2 - of_spikes)


MACHINE = Noise()


def noise_of_runs(draws: random.Random, noise: Noise = MACHINE) -> Iterator[float]:
    """Log of slowness of run after run, without end."""
    step = noise.drift * math.sqrt(1 - noise.memory**2)
    drift = draws.gauss(0, noise.drift)
    while True:
        spike = draws.expovariate(1 / noise.spike) if draws.random() < noise.spikes else 0.0
        yield drift + draws.gauss(0, noise.rest) + spike
        drift = noise.memory * drift + draws.gauss(0, step)


@dataclass(frozen=True, slots=True)
class Simulated:
    """How a simulated experiment of two arms ended: after how many blocks, deciding or not, and what it estimated."""

    blocks: int
    decided: bool
    estimate: Estimate


def simulate(effect: float, rule: Rule, seed: int, noise: Noise = MACHINE) -> Simulated:
    """One experiment whose second arm is exp(effect) times as fast; the same seed gives the same experiment."""
    draws = random.Random(seed)  # noqa: S311 - a simulation, to be repeated
    slowness = noise_of_runs(draws, noise)
    differences: list[float] = []
    while True:
        first, second = next(slowness), next(slowness)
        if draws.getrandbits(1):
            first, second = second, first
        differences.append(effect + first - second)
        if len(differences) in rule.looks:
            p = signed_rank_p(differences)
            if stops_at(rule, len(differences), [p]):
                return Simulated(len(differences), p < rule.alpha, estimate(differences, rule.alpha))


@dataclass(frozen=True, slots=True)
class SyntheticRuns:
    """A `launch` without a lab: runs whose time is one second over their arm's `speed`, and noise.

    `speeds` go by the arm's plan hash; what is not named has speed 1. `spoilt` plans leave another archive than the
    truth. A trial's noise depends on its seed and folder alone, so that a resumed experiment meets the same.
    """

    speeds: Mapping[str, float]
    spoilt: frozenset[str] = frozenset()
    noise: Noise = MACHINE

    def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
        """See `tobs.experiment.launch.launch`."""
        shared = random.Random(trial.seed).gauss(0, self.noise.drift)  # noqa: S311 - a simulation, to be repeated
        own = random.Random(f"{trial.seed}/{trial.folder.name}")  # noqa: S311 - likewise
        spike = own.expovariate(1 / self.noise.spike) if own.random() < self.noise.spikes else 0.0
        slowness = shared + own.gauss(0, self.noise.rest) + spike
        wall = math.exp(slowness) / self.speeds.get(trial.plan_hash, 1.0)
        truth = truth or Truth(-1, f"truth of {trial.seed}")
        spoilt = trial.plan_hash in self.spoilt
        facts = {"exit": 0, "plan_hash": trial.plan_hash}
        return Result(
            invalid="its archive differs from the lab's truth" if spoilt else "",
            digest="another" if spoilt else truth.digest,
            truth=truth,
            measurements={"wall": wall, "messages_per_second": 1000 / wall, "flood_seconds": 0.0},
            facts=facts,
        )
