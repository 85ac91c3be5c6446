"""An experiment and an ablation with telemetry, for the pages that are made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.experiment.scenarios import defined
from tobs.experiment.conduct import conduct
from tobs.experiment.launch import METRICS, RUN
from tobs.experiment.synthetic import Noise, SyntheticRuns
from tobs.meters import Meters
from tobs.telemetry import Telemetry

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.experiment.launch import Result, Trial, Truth

HOSTILE = "baseline connections=5"


def conducted(folder: Path, *, spoilt: bool = False, blocks: int = 8) -> Path:
    """An experiment whose second arm is twice as fast (and never equals the truth, if it is `spoilt`)."""
    definition = defined("baseline", HOSTILE, blocks=blocks, metrics=("wall", "messages_per_second"))
    second = definition.arms[1].plan_hash
    runs = SyntheticRuns({second: 2.0}, frozenset({second} if spoilt else ()), Noise(0.02, 0.01, spikes=0.0))

    def leaving_metrics(trial: Trial, truth: Truth | None = None) -> Result:
        trial.folder.mkdir(parents=True, exist_ok=True)
        telemetry = Telemetry.start(meters=Meters(), resource={"tobs.arm": trial.arm}, file=trial.folder / METRICS)
        telemetry.close(complete=True)
        (trial.folder / RUN).write_text("{}")
        return runs(trial, truth)

    conduct(definition, folder, lambda _: None, leaving_metrics)
    return folder
