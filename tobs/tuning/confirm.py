"""Measures what a search found on work that it has not seen, paired, and puts back the knobs that do not matter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tobs.experiment.compare import BETTER, REFUSED
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import Wanted
from tobs.experiment.definition import define as define_experiment
from tobs.tuning.definition import OTHER_SIZE
from tobs.tuning.proof import Proof
from tobs.tuning.ranges import active

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tobs.experiment.compare import Comparison
    from tobs.experiment.conduct import Say
    from tobs.experiment.launch import Launch
    from tobs.knobs import Value
    from tobs.tuning.definition import Definition
    from tobs.tuning.limits import Limits
    from tobs.tuning.ranges import Range

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
) -> Proof:
    """Settings against the first of them, as `tobs ab` would: on held-out seeds and at another size, on each scenario.

    What is finished of the same comparison in `folder` is taken from there.
    """
    wanted = definition.wanted
    outcomes = []
    for scenario in wanted.scenarios:
        experiment = define_experiment(
            Wanted(
                name=f"tune: {phase}",
                scenario=scenario,
                arms=tuple(definition.arm(one) for one in settings),
                metrics=(definition.metric.name,),
                scale=wanted.scale * OTHER_SIZE,
                seed=definition.held_out(phase),
                blocks=blocks,
            )
        )
        outcomes.append(conduct(experiment, folder / "confirm" / experiment.id, say, launch))
    return Proof(tuple(outcomes), wanted.over)


def better(proof: Proof, limits: Limits) -> Comparison | None:
    """The best arm whose whole interval lies above 1 and that keeps the limits; None if there is none."""
    good = [
        one
        for one in proof.comparisons()
        if one.verdict == BETTER and one.low is not None and one.low > 1 and not proof.broken(limits, one.arm)
    ]
    return max(good, key=lambda one: one.ratio or 0.0, default=None)


def gain(proof: Proof) -> float | None:
    """Log of how many times as good the second arm is; None if that cannot be said."""
    (one,) = proof.comparisons()
    return None if one.estimate is None or one.verdict == REFUSED else one.estimate.centre


def put_back(
    winner: Mapping[str, Value],
    ranges: Sequence[Range],
    order: Sequence[str],
    measured: Callable[[Values, Values], float | None],
) -> Values:
    """The winner with every knob at its start that may be there without costing more than a hundredth.

    Knobs are tried in `order`, halves of them together and then halves of those, so that many which do not matter
    take few runs. A plugin that is switched back takes its knobs along. `measured` says the log of how many times as
    good its second settings are; None if they cannot run.
    """
    start = {one.name: one.start for one in ranges}
    current = dict(winner)
    changed = [name for name in order if current[name] != start[name]]
    groups = [changed] if changed else []
    while groups:
        group = [name for name in groups.pop(0) if current.get(name, start[name]) != start[name]]
        if not group:
            continue
        simpler = active(ranges, {**start, **current, **{name: start[name] for name in group}})
        # Everything put back is the start, which was measured to be worse.
        cost = None if simpler == active(ranges, start) else measured(current, simpler)
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
