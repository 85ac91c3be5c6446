"""Tunings whose plans, settings files and statistics are the real ones, and whose runs are simulated."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.experiment.launch import Result, Trial, Truth
from tobs.experiment.metrics import metric_of
from tobs.experiment.weighted import mean, terms
from tobs.host.arm import parse_arm
from tobs.tuning.definition import Definition, Wanted, define
from tobs.tuning.tune import tune

if TYPE_CHECKING:
    from tobs.tuning.report import Tuning

ROOT = Path(__file__).parents[2]
TINY = str(ROOT / "tests" / "experiment" / "scenarios" / "tiny.toml")
ARM = "baseline +async_pipeline"
KNOBS = ("connections", "in_flight", "async_pipeline.depth", "async_pipeline.page_queue")
NOISE = 0.003


@dataclass
class Simulated:
    """A `launch` whose runs depend on two knobs: more connections help, and a depth of 16 is best.

    With `effect` 0 nothing matters. Arms with `spoilt` connections or more leave another archive than the truth.
    """

    effect: float = 1.0
    spoilt: int | None = None
    memory: float = 1e6
    trials: list[Trial] = field(default_factory=list)

    def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
        self.trials.append(trial)
        connections = int(self.knobs(trial)["core.connections"])
        noise = random.Random(f"{trial.seed}/{trial.folder.name}/{trial.arm}").gauss(0, NOISE)
        wall = 10 * trial.scale * math.exp(self.effect * self.cost(trial) + noise)
        spoilt = self.spoilt is not None and connections >= self.spoilt
        truth = truth or Truth(-1, f"truth of {trial.seed}")
        measured = {"wall": wall, "peak_rss": self.memory * connections, "requests": 50.0, "errors": 0.0}
        measured |= self.further(trial)
        for name in trial.metrics:
            values = [(measured.get(one), weight, metric_of(one).direction == "up") for one, weight in terms(name)]
            found = mean(values)
            if found is not None:
                measured.setdefault(name, found)
        return Result(
            invalid="its archive differs from the lab's truth" if spoilt else "",
            digest="another" if spoilt else truth.digest,
            truth=truth,
            measurements=measured,
            facts={"exit": 0, "plan_hash": trial.plan_hash},
        )

    def knobs(self, trial: Trial) -> dict[str, Any]:
        """What the run's arm sets."""
        return {f"{one.owner}.{one.knob}": one.value for one in parse_arm(trial.arm).settings}

    def plugins(self, trial: Trial) -> set[str]:
        """What the run's arm switches on."""
        return {one.plugin for one in parse_arm(trial.arm).toggles if one.on}

    def cost(self, trial: Trial) -> float:
        """The log of how much worse than the best a run is."""
        knobs = self.knobs(trial)
        connections, depth = int(knobs["core.connections"]), int(knobs.get("async_pipeline.depth", 1))
        return 0.15 * abs(math.log2(16 / connections)) + 0.1 * abs(math.log2((depth or 1) / 16))

    def further(self, trial: Trial) -> dict[str, float]:  # noqa: ARG002 - for others to say
        """What else a run measures."""
        return {}


def defined(**more: Any) -> Definition:
    """A tuning of four knobs on the tiny scenario."""
    return define(Wanted(**{"scenario": TINY, "arm": ARM, "knobs": KNOBS, "trials": 20, **more}))


def tuned(folder: Path, definition: Definition, launch: Simulated) -> Tuning:
    """It, from its search to its file."""
    return tune(definition, folder, lambda _: None, launch)
