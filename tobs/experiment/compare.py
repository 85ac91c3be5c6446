"""From the runs of finished blocks to what can be said of each arm against the first.

A ratio is a speed-up: how many times as good as the first arm. For metrics that should go down (seconds, bytes of
memory) it is first / arm, for those that should go up arm / first, so above 1 is always better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from tobs.experiment.metrics import COMPLETE
from tobs.experiment.shares import Shares, compare_shares
from tobs.experiment.statistics import Estimate, estimate, holm

if TYPE_CHECKING:
    from tobs.experiment.definition import Promise
    from tobs.experiment.metrics import Metric
    from tobs.experiment.statistics import Rule

Run: TypeAlias = Mapping[str, Any]
"""A row of the store: `block`, `arm`, `invalid`, `digest`, `truth`, `measurements` and so on."""

BETTER, WORSE, IMMATERIAL = "better", "worse", "no material effect"
INCONCLUSIVE, REFUSED = "inconclusive", "refused"
HOPELESS = 3
"""Invalid runs of an arm after which there is nothing left to wait for."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm against the first, in one metric.

    `estimate` is of logarithms of ratios, None where there is none to be had; `corrected` is its p after Holm over
    the arms. `words` say the verdict to people. `shares` stand in place of an estimate where runs are counted.
    """

    arm: int
    metric: Metric
    estimate: Estimate | None
    corrected: float | None
    verdict: str
    words: str
    shares: Shares | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as good."""
        return None if self.estimate is None else math.exp(self.estimate.centre)

    @property
    def low(self) -> float | None:
        """The lower end of the interval; None if there are too few blocks for one."""
        return None if self.estimate is None else _finite(self.estimate.low)

    @property
    def high(self) -> float | None:
        """The upper end of the interval; None if there are too few blocks for one."""
        return None if self.estimate is None else _finite(self.estimate.high)

    @property
    def visible(self) -> float | None:
        """The ratio that this many blocks of this noise would show in four of five experiments."""
        return None if self.estimate is None else _finite(self.estimate.visible)


def _finite(log: float | None) -> float | None:
    return math.exp(log) if log is not None and math.isfinite(log) else None


def differences(runs: Sequence[Run], arm: int, metric: Metric) -> list[float] | None:
    """Log of the ratio in each block where both runs count; None if a ratio cannot be formed or is not measured.

    Two zeros are alike; one zero has no ratio to the other.
    """
    found = differences_by_block(runs, arm, metric)
    return None if found is None else list(found.values())


def differences_by_block(runs: Sequence[Run], arm: int, metric: Metric) -> dict[int, float] | None:
    """`differences`, by block."""
    measured = _by_block(runs, metric)
    found = {}
    for block, arms in measured.items():
        if 0 not in arms or arm not in arms:
            continue
        first, other = arms[0], arms[arm]
        if first is None or other is None or min(first, other) < 0 or (first == 0) != (other == 0):
            return None
        log = math.log(first / other) if first else 0.0
        found[block] = log if metric.direction == "down" else -log
    return found


def _by_block(runs: Sequence[Run], metric: Metric) -> dict[int, dict[int, float | None]]:
    found: dict[int, dict[int, float | None]] = {}
    for run in runs:
        if not run["invalid"]:
            found.setdefault(run["block"], {})[run["arm"]] = run["measurements"].get(metric.name)
    return found


def compare(runs: Sequence[Run], arms: int, metric: Metric, rule: Rule) -> list[Comparison]:
    """Every arm but the first, each against it; Holm's correction is over these arms."""
    if metric.name == COMPLETE:
        return _counted(runs, arms, metric, rule)
    estimates: dict[int, Estimate] = {}
    for arm in range(1, arms):
        logs = differences(runs, arm, metric)
        if logs:
            estimates[arm] = estimate(logs, rule.alpha)
    corrected = dict(zip(estimates, holm(found.p for found in estimates.values()), strict=True))
    return [_compared(runs, arm, metric, estimates.get(arm), corrected.get(arm), rule.alpha) for arm in range(1, arms)]


def _counted(runs: Sequence[Run], arms: int, metric: Metric, rule: Rule) -> list[Comparison]:
    """Arms by how many of their runs are complete."""
    complete: dict[int, dict[int, bool]] = {}
    for run in runs:
        complete.setdefault(run["block"], {})[run["arm"]] = not run["invalid"]
    found: dict[int, Shares] = {}
    for arm in range(1, arms):
        pairs = [(both[0], both[arm]) for both in complete.values() if {0, arm} <= both.keys()]
        if pairs:
            found[arm] = compare_shares(pairs, rule.alpha)
    corrected = dict(zip(found, holm(one.p for one in found.values()), strict=True))
    return [
        Comparison(arm, metric, None, corrected[arm], *_judge_shares(one, corrected[arm], rule.alpha), one)
        for arm, one in found.items()
    ]


def _judge_shares(found: Shares, p: float, alpha: float) -> tuple[str, str]:
    shares = f"{percent(found.other)} of the runs are complete, {percent(found.first)} of the first arm's"
    words = f"{shares} (difference {percent(found.low)} to {percent(found.high)}, p {p:.4f})"
    if p >= alpha:
        return INCONCLUSIVE, f"inconclusive: {words}"
    verdict = BETTER if found.difference > 0 else WORSE
    return verdict, f"{verdict}: {words}"


def _compared(
    runs: Sequence[Run], arm: int, metric: Metric, found: Estimate | None, p: float | None, alpha: float
) -> Comparison:
    verdict, words = _verdict(runs, arm, metric, found, p, alpha)
    return Comparison(arm, metric, found, p, verdict, words)


def _verdict(
    runs: Sequence[Run], arm: int, metric: Metric, found: Estimate | None, p: float | None, alpha: float
) -> tuple[str, str]:
    for number, who in ((arm, "this arm"), (0, "the first arm")):
        if bad := invalid(runs, number):
            of = sum(run["arm"] == number for run in runs)
            return REFUSED, f"refused: {len(bad)} of {of} runs of {who} are invalid ({bad[0]['invalid']})"
    return judge(metric, found, p, alpha)


def judge(metric: Metric, found: Estimate | None, p: float | None, alpha: float) -> tuple[str, str]:
    """The verdict on an estimate whose runs all count, and the verdict in words; `p` is the corrected one."""
    if found is None or p is None:
        return INCONCLUSIVE, f"inconclusive: {metric.name} gives no ratio here"
    ratio = math.exp(found.centre)
    interval = f"{percent(1 - alpha)} interval x{shown(found.low)} to x{shown(found.high)}"
    if found.immaterial:
        return IMMATERIAL, f"no material effect: the {interval} lies within ±3 %"
    if p < alpha and (found.low > 0 or found.high < 0):
        verdict = BETTER if found.centre > 0 else WORSE
        return verdict, f"{verdict}: {metric.name} x{ratio:.3f}, {interval}"
    seen = _finite(found.visible)
    if seen is None:
        return INCONCLUSIVE, f"inconclusive: {found.n} blocks are too few to show any effect"
    could = f"an effect of x{seen:.3f} would have shown in 4 of 5 experiments"
    return INCONCLUSIVE, f"inconclusive: {interval}; {could}"


def invalid(runs: Sequence[Run], arm: int) -> list[Run]:
    """The arm's runs that do not count."""
    return [run for run in runs if run["arm"] == arm and run["invalid"]]


def hopeless(runs: Sequence[Run], arms: int) -> bool:
    """Whether nothing is left to compare: the first arm, or all others, had several invalid runs."""
    lost = [len(invalid(runs, arm)) >= HOPELESS for arm in range(arms)]
    return lost[0] or all(lost[1:])


def medians(runs: Sequence[Run], arm: int) -> dict[str, float]:
    """The arm's median of every metric, over its runs that count."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if run["arm"] == arm and not run["invalid"]:
            for name, value in run["measurements"].items():
                found.setdefault(name, []).append(value)
    return {name: median(values) for name, values in found.items()}


def digests_equal(runs: Sequence[Run], arm: int) -> bool:
    """Whether every run of the arm left an archive equal to the truth."""
    own = [run for run in runs if run["arm"] == arm]
    return bool(own) and all(run["digest"] == run["truth"] for run in own)


def kept(promise: Promise, comparison: Comparison) -> tuple[bool, str]:
    """Whether a promise was kept: the interval on the right side of no effect, and the estimate in its range."""
    if comparison.shares is not None:
        held = comparison.verdict == BETTER and comparison.shares.difference >= promise.low
        measured = f"{percent(promise.low)} points and more were promised; {comparison.words}"
        return held, f"{'kept' if held else 'not kept'}: {measured}"
    found = comparison.estimate
    if comparison.verdict == REFUSED or found is None:
        return False, f"not kept: {comparison.words}"
    ratio = math.exp(found.centre)
    change = 1 - 1 / ratio if promise.direction == "down" else ratio - 1
    sign = "-" if promise.direction == "down" else "+"
    text = f"{promise.metric} {sign}{percent(promise.low)} and more was promised"
    measured = f"{'-' if (change > 0) == (promise.direction == 'down') else '+'}{percent(abs(change))} was measured"
    if found.low <= 0:
        return False, f"not kept: {text}, {measured}, and the interval holds no effect"
    if change < promise.low:
        return False, f"not kept: {text}, {measured}"
    return True, f"kept: {text}, {measured}"


def percent(share: float) -> str:
    """95 %, 97.8 %."""
    return f"{share * 100:.1f}".removesuffix(".0") + " %"


def shown(log: float) -> str:
    """A ratio, given its logarithm."""
    return "?" if not math.isfinite(log) else f"{math.exp(log):.3f}"
