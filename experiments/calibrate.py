"""Close the loop of `tobs lab calibrate`, printed as JSON: an arm on a scenario, its twin, the same arm on the twin.

What counts is how long the run on the twin took, as a share of the run that it was made from.

    python experiments/calibrate.py [--scenario S] [--scale X] [--arm ARM] [--keep DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tobs.experiment.calibrate import calibrate
from tobs.experiment.definition import Wanted, define
from tobs.experiment.launch import Trial, launch

RUNS = (
    ("text_far", 0.2, "baseline"),
    ("text_far", 1.0, "baseline +async_pipeline"),
    ("media_home", 0.4, "baseline"),
    ("media_home", 1.0, "baseline +parallel_media"),
    ("media_throttled_account", 1.0, "baseline +parallel_media"),
)
"""Scenario, scale and arm: what round trips decide, and what a throttle of connections or of the account does."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A run, what the twin was made of, and the run on it: seconds of both."""

    scenario: str
    scale: float
    arm: str
    seconds: float
    again: float
    twin: str

    def as_json(self) -> dict[str, Any]:
        """For the result."""
        lines = [line for line in self.twin.splitlines() if line and not line.startswith("#")]
        return {
            "scenario": self.scenario,
            "scale": self.scale,
            "arm": self.arm,
            "seconds": round(self.seconds, 2),
            "seconds_on_twin": round(self.again, 2),
            "ratio": round(self.again / self.seconds, 3),
            "twin": lines,
        }


def close(scenario: str, scale: float, arm: str, folder: Path) -> Loop:
    """Run, calibrate, run again. Raises `RuntimeError` for a run that does not count."""
    seconds = _run(scenario, scale, arm, folder / "run")
    twin = calibrate(folder / "run", folder / "twin.toml")
    again = _run(str(twin), 1.0, arm, folder / "again")
    return Loop(scenario, scale, arm, seconds, again, twin.read_text(encoding="utf-8"))


def _run(scenario: str, scale: float, arm: str, folder: Path) -> float:
    definition = define(Wanted("calibrate", scenario, (arm, arm), scale=scale))
    chosen = definition.arms[0]
    result = launch(Trial(folder, scenario, scale, 1, definition.chat, chosen.frozen, chosen.plan_hash))
    if result.invalid:
        raise RuntimeError(f"{arm} on {scenario}: {result.invalid}")
    return result.measurements["wall"]


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenario", help="one scenario instead of those that are usual")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--arm", default="baseline")
    parser.add_argument("--keep", type=Path, help="leave runs and twins in this folder")
    asked = parser.parse_args()
    runs = RUNS if asked.scenario is None else ((asked.scenario, asked.scale, asked.arm),)
    found = []
    with nullcontext(asked.keep) if asked.keep else tempfile.TemporaryDirectory(prefix="tobs-calibrate-") as folder:
        for number, (scenario, scale, arm) in enumerate(runs):
            found.append(close(scenario, scale, arm, Path(folder) / f"{number}").as_json())
            sys.stderr.write(f"{scenario} {arm}: {found[-1]['seconds']} s, twin {found[-1]['seconds_on_twin']} s\n")
    sys.stdout.write(json.dumps({"command": "python experiments/calibrate.py", "runs": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
