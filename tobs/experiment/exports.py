"""The latest exports of this user, as their metrics tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.experiment.launch import METRICS
from tobs.experiment.metrics import measure
from tobs.host import folders
from tobs.telemetry import read

if TYPE_CHECKING:
    from collections.abc import Iterator


def latest() -> Iterator[dict[str, Any]]:
    """Every export whose metrics were kept and can be read, oldest first: arm, plan, completeness, measurements."""
    for folder in sorted((folders.state() / "runs").glob("*")):
        try:
            run = read(folder / METRICS)
        except TobsError:
            continue  # it is running, or ended before its first interval
        yield {
            "folder": str(folder),
            "arm": run.resource.get("tobs.arm", ""),
            "plan_hash": run.resource.get("tobs.plan.hash", ""),
            "complete": run.complete,
            "measurements": measure(run),
        }
