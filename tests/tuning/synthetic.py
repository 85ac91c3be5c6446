"""A search without a lab: twelve knobs of all kinds, a known optimum, and 5 % noise a run."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tobs.experiment.metrics import METRICS
from tobs.host.space import Dimension
from tobs.tuning.journal import CUT, FAILED, OK, Done, Journal, tpe
from tobs.tuning.ranges import begin
from tobs.tuning.rounds import Told
from tobs.tuning.search import Found, Search, search

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tobs.knobs import Value
    from tobs.tuning.journal import Asked, Sampling

NOISE = 0.05
DIMENSIONS = (
    Dimension("a.connections", "int", 4, 1, 16, log=True),
    Dimension("a.in_flight", "int", 2, 1, 32, log=True),
    Dimension("a.part_kb", "choice", 128, choices=(64, 128, 256, 512, 1024)),
    Dimension("a.queue", "int", 8, 1, 128, log=True),
    Dimension("b.depth", "int", 4, 0, 32),
    Dimension("b.batch", "int", 64, 4, 1024, log=True),
    Dimension("b.order", "choice", "first", choices=("first", "small", "large")),
    Dimension("b.together", "choice", default=False, choices=(False, True)),
    Dimension("c.gain", "float", 0.5, 0.05, 5.0, log=True),
    Dimension("c.share", "float", 0.5, 0.0, 1.0),
    Dimension("c.pause", "float", 0.2, 0.01, 2.0, log=True),
    Dimension("c.idle", "int", 10, 1, 100, log=True),
)
START: dict[str, Value] = {one.name: one.default for one in DIMENSIONS}
WALL = METRICS["wall"]


def cost(values: Mapping[str, Value]) -> float:
    """Seconds without noise; 10 at the optimum. The last two knobs change nothing."""

    def octaves(name: str, best: float) -> float:
        return abs(math.log2(float(values[name]) / best))

    log = 0.05 * octaves("a.connections", 8) ** 1.5 + 0.04 * octaves("a.in_flight", 6) ** 1.5
    log += 0.05 * octaves("a.part_kb", 512) + 0.02 * octaves("a.queue", 32)
    log += 0.1 * ((float(values["b.depth"]) - 16) / 16) ** 2 + 0.03 * octaves("b.batch", 256)
    log += {"first": 0.08, "small": 0.0, "large": 0.2}[str(values["b.order"])] + 0.1 * (not values["b.together"])
    log += 0.03 * octaves("c.gain", 1.0) ** 2 + 0.3 * (float(values["c.share"]) - 0.7) ** 2
    return 10 * math.exp(log)


@dataclass
class Runs:
    """Runs of the synthetic objective, all of them kept; `steep` makes bad settings worse, `drift` every next run."""

    seed: int = 0
    noise: float = NOISE
    drift: float = 0.0
    steep: float = 1.0
    asked: list[Asked] = field(default_factory=list)
    cuts: list[float | None] = field(default_factory=list)

    def __call__(self, asked: Asked, cut: float | None) -> Told:
        self.asked.append(asked)
        self.cuts.append(cut)
        noise = random.Random(f"{self.seed}/{len(self.asked)}").gauss(0, self.noise)
        wall = self.true(asked) * math.exp(noise + self.drift * len(self.asked))
        if self.fails(asked):
            return Told(FAILED, "its archive differs from the lab's truth", wall)
        if cut is not None and wall > cut:
            return Told(CUT, f"did not end within {cut:.1f} s", cut)
        return Told(OK, "", wall, self.measured(asked, wall))

    def true(self, asked: Asked) -> float:
        """Seconds without noise and drift."""
        return 10 * math.pow(cost(asked.values) / 10, self.steep)

    def fails(self, asked: Asked) -> bool:  # noqa: ARG002 - for others to say
        """Whether these settings lose a message."""
        return False

    def measured(self, asked: Asked, wall: float) -> dict[str, float]:  # noqa: ARG002 - likewise
        """What the run's metrics say."""
        return {"wall": wall, "peak_rss": 50e6, "flood_seconds": 0.0, "requests": 100.0, "errors": 0.0}


def wanted(**more: object) -> Search:
    """A search of the twelve knobs from their defaults."""
    return Search(**{"ranges": begin(DIMENSIONS, START), "start": START, "metric": WALL, "trials": 20, **more})  # type: ignore[arg-type]


def searched(folder: Path, what: Search, runs: Runs, *, seed: int = 1, sampling: Sampling = tpe) -> Found:
    """The search in a study of its own."""
    journal = Journal(folder / "study.journal", "synthetic", seed, sampling)
    return search(what, journal, runs, lambda _: None)


def best(found: Found) -> Done:
    """The best trial that counts."""
    return min((one for one in found.trials if one.feasible), key=lambda one: one.objective)
