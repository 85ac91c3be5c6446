"""Measures what a search found on work that it has not seen, paired, and puts back the knobs that do not matter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tobs.experiment.compare import BETTER, REFUSED, medians
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import Wanted
from tobs.experiment.definition import define as define_experiment
from tobs.tuning.definition import OTHER_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tobs.experiment.compare import Comparison
    from tobs.experiment.conduct import Say
    from tobs.experiment.launch import Launch
    from tobs.experiment.report import Outcome
    from tobs.knobs import Value
    from tobs.tuning.definition import Definition
    from tobs.tuning.limits import Limits

BACK_BLOCKS = 6
"""Blocks that tell whether a group of knobs may be put back."""
BACK_COST = 0.01
"""What putting back may cost, as a share."""

Values = dict[str, "Value"]


def compare_settings(
    definition: Definition,
    settings: Sequence[Mapping[str, Value]],
    phase: str,
    blocks: int,
    folder: Path,
    say: Say,
    launch: Launch,
) -> Outcome:
    """Settings against the first of them, as `tobs ab` would: on held-out seeds and at another size.

    What is finished of the same comparison in `folder` is taken from there.
    """
    wanted = definition.wanted
    experiment = define_experiment(
        Wanted(
            name=f"tune: {phase}",
            scenario=wanted.scenario,
            arms=tuple(definition.arm(one) for one in settings),
            metrics=(definition.metric.name,),
            scale=wanted.scale * OTHER_SIZE,
            seed=definition.held_out(phase),
            blocks=blocks,
        )
    )
    return conduct(experiment, folder / "confirm" / experiment.id, say, launch)


def better(outcome: Outcome, limits: Limits) -> Comparison | None:
    """The best arm whose whole interval lies above 1 and that keeps the limits; None if there is none."""
    (compared,) = outcome.comparisons().values()
    good = [
        one
        for one in compared
        if one.verdict == BETTER
        and one.low is not None
        and one.low > 1
        and not limits.broken(medians(outcome.runs, one.arm))
    ]
    return max(good, key=lambda one: one.ratio or 0.0, default=None)


def gain(outcome: Outcome) -> float | None:
    """Log of how many times as good the second arm is; None if that cannot be said."""
    ((one,),) = outcome.comparisons().values()
    return None if one.estimate is None or one.verdict == REFUSED else one.estimate.centre


def put_back(
    winner: Mapping[str, Value],
    start: Mapping[str, Value],
    order: Sequence[str],
    measured: Callable[[Values, Values], float | None],
) -> Values:
    """The winner with every knob at its start that may be there without costing more than a hundredth.

    Knobs are tried in `order`, halves of them together and then halves of those, so that many which do not matter
    take few runs. `measured` says the log of how many times as good its second settings are.
    """
    current = dict(winner)
    changed = [name for name in order if current[name] != start[name]]
    groups = [changed] if changed else []
    while groups:
        group = groups.pop(0)
        simpler = {**current, **{name: start[name] for name in group}}
        # Everything put back is the start, which was measured to be worse.
        cost = None if simpler == dict(start) else measured(current, simpler)
        if cost is not None and cost >= math.log1p(-BACK_COST):
            current = simpler
        elif len(group) > 1:
            half = (len(group) + 1) // 2
            groups[:0] = [group[:half], group[half:]]
    return current


def cheapest_first(definition: Definition, values: Mapping[str, Value], importances: Mapping[str, float]) -> list[str]:
    """Knobs in the order in which they are put back: those that seem to matter least, then those that moved least."""

    def rank(name: str) -> tuple[float, float]:
        one = next(one for one in definition.ranges if one.name == name)
        return importances.get(name, 0.0), abs(one.place(values[name]) - one.place(one.start))

    return sorted(values, key=rank)
