"""From the record of a run to an advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.api import Advice
from tobs_advisor.bottleneck import disagreement, doubts, evidence, find, loads, path
from tobs_advisor.changes import ceiling, changes, ways
from tobs_advisor.figures import figures
from tobs_advisor.model import forecast, way_of

if TYPE_CHECKING:
    from tobs.api import Change, Load, RunRecord
    from tobs_advisor.figures import Figures
    from tobs_advisor.model import Way


def advise(run: RunRecord) -> Advice:
    """Name the bottleneck, its evidence and ceiling, what to change and what limits the run after that."""
    drawn = figures(run)
    way = way_of(run, drawn)
    stages = loads(run, drawn, way)
    found = find(drawn, stages)
    proposed = changes(run, drawn, found, way)
    law = disagreement(run)
    return Advice(
        bottleneck=found,
        evidence=tuple(evidence(found, drawn, way)),
        ceiling=ceiling(drawn, found),
        changes=tuple(proposed),
        after=_after(run, drawn, found, way, proposed, stages),
        stages=tuple(stages),
        critical_path=path(drawn),
        littles_law=round(law, 4),
        distrust=tuple(doubts(run, drawn, law)),
    )


def _after(
    run: RunRecord, drawn: Figures, found: Load, way: Way, proposed: list[Change], stages: list[Load]
) -> Load | None:
    """What has most of the run when the first change is made."""
    changed = ways(run, drawn, found, way).get(proposed[0].what)
    if changed is None:
        return None
    path = forecast(drawn, changed, way).path
    name = max(path, key=lambda component: path[component])
    return next((load for load in stages if load.stage == name), None)
