"""Several scenarios as one answer: the geometric mean of an arm's ratios over them, with an interval.

Blocks of the same number are put together: d of a block is the mean of its logarithms over the scenarios, so that each
scenario weighs the same however long its runs take. Only blocks that every scenario has are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.experiment.compare import REFUSED, Comparison, differences_by_block, invalid, judge
from tobs.experiment.statistics import estimate, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.report import Outcome
    from tobs.experiment.statistics import Estimate


def combine(outcomes: Sequence[Outcome]) -> list[Comparison]:
    """Every arm but the first against it over all scenarios, by the first metric; empty unless there are several.

    The outcomes are of the same arms. An arm with an invalid run in any of them is refused.
    """
    if len(outcomes) < 2:
        return []
    definition = outcomes[0].definition
    metric, rule = definition.metrics[0], definition.rule
    estimates: dict[int, Estimate] = {}
    for arm in range(1, len(definition.arms)):
        logs = _logs(outcomes, arm)
        if logs:
            estimates[arm] = estimate(logs, rule.alpha)
    corrected = dict(zip(estimates, holm(found.p for found in estimates.values()), strict=True))
    combined = []
    for arm in range(1, len(definition.arms)):
        bad = [outcome.definition.wanted.scenario for outcome in outcomes if _is_refused(outcome, arm)]
        if bad:
            verdict, words = REFUSED, f"refused: invalid runs on {', '.join(bad)}"
        else:
            verdict, words = judge(metric, estimates.get(arm), corrected.get(arm), rule.alpha)
        combined.append(Comparison(arm, metric, estimates.get(arm), corrected.get(arm), verdict, words))
    return combined


def _is_refused(outcome: Outcome, arm: int) -> bool:
    return bool(invalid(outcome.runs, 0) or invalid(outcome.runs, arm))


def _logs(outcomes: Sequence[Outcome], arm: int) -> list[float]:
    found = [differences_by_block(outcome.runs, arm, outcome.definition.metrics[0]) or {} for outcome in outcomes]
    shared = sorted(set(found[0]).intersection(*found[1:]))
    return [sum(logs[block] for logs in found) / len(found) for block in shared]
