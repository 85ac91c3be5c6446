"""The table of `efficiency.py`: what the arms did on each scenario, beside its limit."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from tobs.experiment.report import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from efficiency import Reached

HEAD = (
    *("scenario", "scale", "arm", "limit s", "set by", "without takeout s", "seconds", "efficiency", "bar", "x slower"),
    *("floods", "of warm-up", "in 1,000", "in a wait", "twice", "messages/s", "MB/s", "connections"),
)


def table(reached: Sequence[Reached]) -> list[str]:
    """A line for each scenario and arm: medians of times and rates, the worst of the counts."""
    rows: list[Sequence[str]] = [HEAD]
    for one in reached:
        rows += [_row(one, arm) for arm in one.arms]
    return aligned(rows)


def _row(one: Reached, arm: str) -> Sequence[str]:
    runs = one.of(arm)
    first = arm == one.arms[0]

    def middle(name: str, per: float = 1.0) -> float:
        return statistics.median(float(getattr(run, name)) for run in runs) / per

    def most(name: str) -> str:
        return f"{max(getattr(run, name) for run in runs)}"

    judged, seconds = statistics.median(run.seconds for run in one.of(one.arms[0])), middle("seconds")
    return (
        one.goal.name,
        f"{one.scale:g}",
        arm,
        f"{middle('limit'):.2f}",
        one.bounds[0].limit.resource,
        f"{statistics.median(bound.without_takeout.seconds for bound in one.bounds):.2f}",
        f"{seconds:.2f}",
        f"{one.efficiency(arm):.3f}",
        f"{one.goal.efficiency:g}" if first else "",
        "" if first or not judged else f"{seconds / judged:.2f}",
        most("floods"),
        most("warm_up_floods"),
        f"{max(run.flood_rate for run in runs):.2f}",
        most("requests_during_flood"),
        most("duplicate_parts"),
        f"{middle('messages_per_second'):,.0f}",
        f"{middle('bytes_per_second', 1e6):.2f}",
        most("connections_opened"),
    )
