"""Which of many toggles do something: each alone, each taken away, all of them in a fractional factorial.

A toggle is a plugin that is switched on. Three views of the same runs: *alone* (add-one-in, against nothing), *removed*
(leave-one-out, what the full set loses without it) and the *main effect* over a fold-over design, where everything else
is on in half of the runs. The mean of the first two is the Shapley value when only pairs interact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import chain
from statistics import variance
from typing import TYPE_CHECKING

from tobs.errors import UsageError
from tobs.experiment import student
from tobs.experiment.compare import BETTER, IMMATERIAL, INCONCLUSIVE, WORSE
from tobs.experiment.factorial import MOST, contrast, fold_over
from tobs.experiment.statistics import MATERIAL, holm, signed_rank_p

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tobs.experiment.compare import Run
    from tobs.experiment.definition import Wanted
    from tobs.experiment.factorial import Design
    from tobs.experiment.metrics import Metric

LEVEL = 0.95
BLOCKS = 3
FEWEST = 2
"""Blocks below which nothing says how much the contrasts vary."""
SETTLING_BLOCKS = 12
"""Blocks of a follow-up: its exact p can be as low as 2 / 2**12, so that it holds for many pairs."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An effect as a log of a ratio (above 0 is better), its interval, p corrected by Holm, and a verdict."""

    log: float
    low: float
    high: float
    p: float
    verdict: str

    @property
    def ratio(self) -> float:
        """How many times as good."""
        return math.exp(self.log)


@dataclass(frozen=True, slots=True)
class ToggleResult:
    """What a toggle does: main effect in the deciding metric, alone, removed, their mean, and main effects beside."""

    name: str
    main: Figure
    alone: float | None
    removed: float | None
    beside: Mapping[str, Figure]

    @property
    def shapley(self) -> float | None:
        """The mean of alone and removed, a log of a ratio."""
        return None if self.alone is None or self.removed is None else (self.alone + self.removed) / 2

    @property
    def is_worth_it(self) -> bool:
        """Whether it is better than nothing by more than chance."""
        return self.main.verdict == BETTER


@dataclass(frozen=True, slots=True)
class GroupResult:
    """A group of interactions that the design cannot tell apart; its pairs by name."""

    pairs: tuple[tuple[str, str], ...]
    figure: Figure

    @property
    def is_suspicious(self) -> bool:
        """Whether one of its pairs interacts, as far as can be told."""
        return self.figure.p < 1 - LEVEL


@dataclass(frozen=True, slots=True)
class PairResult:
    """An interaction settled by a 2x2: log of how much better both are together than their product, and Holm's p."""

    pair: tuple[str, str]
    log: float
    p: float

    @property
    def interacts(self) -> bool:
        """Whether the two change one another's effect."""
        return self.p < 1 - LEVEL


@dataclass(frozen=True, slots=True)
class Ablation:
    """The outcome; `proposed` are the toggles that are worth it here."""

    toggles: tuple[ToggleResult, ...]
    groups: tuple[GroupResult, ...]
    invalid: tuple[str, ...]

    @property
    def proposed(self) -> tuple[str, ...]:
        """What a default set for this scenario would hold."""
        return tuple(toggle.name for toggle in self.toggles if toggle.is_worth_it)


def arm_of(on: Iterable[str]) -> str:
    """The arm with just these toggles on."""
    return " ".join(["baseline", *(f"+{name}" for name in on)])


def arms(toggles: Sequence[str]) -> list[str]:
    """Every arm that an ablation runs, each once, the baseline first. Raises `UsageError` for too few or too many."""
    if not 2 <= len(toggles) <= MOST:
        raise UsageError(f"an ablation takes 2 to {MOST} toggles, not {len(toggles)}", hint="Choose with --plugin.")
    design = fold_over(len(toggles))
    factorial = [_on(run, toggles) for run in design.runs]
    alone = [[name] for name in toggles]
    removed = [[other for other in toggles if other != name] for name in toggles]
    every = chain([[]], alone, removed, [list(toggles)], factorial)
    return list(dict.fromkeys(arm_of(on) for on in every))


def _on(run: tuple[bool, ...], toggles: Sequence[str]) -> list[str]:
    return [name for name, on in zip(toggles, run, strict=True) if on]


def planned(wanted: Wanted, toggles: Sequence[str]) -> Wanted:
    """The experiment that an ablation is. Raises `UsageError`."""
    blocks = wanted.blocks or BLOCKS
    if blocks < FEWEST:
        raise UsageError(f"an ablation takes at least {FEWEST} blocks", hint="One says nothing of the noise.")
    return replace(wanted, arms=tuple(arms(toggles)), blocks=blocks)


def analyse(runs: Sequence[Run], toggles: Sequence[str], metrics: Sequence[Metric]) -> Ablation:
    """What the runs of `planned` say, by the first metric; the others are told beside.

    Arms with an invalid run are named; a block in which a run of the design is missing is not used.
    """
    order = {text: number for number, text in enumerate(arms(toggles))}
    design = fold_over(len(toggles))
    numbers = [order[arm_of(_on(run, toggles))] for run in design.runs]
    names = {number: text for text, number in order.items()}
    invalid = tuple(sorted({names[run["arm"]] for run in runs if run["invalid"]}))
    by_metric = {metric.name: _mains(_table(runs, metric), design, numbers) for metric in metrics}
    first = _table(runs, metrics[0])
    baseline, full = order[arm_of(())], order[arm_of(toggles)]
    told = []
    for place, name in enumerate(toggles):
        removed = order[arm_of(other for other in toggles if other != name)]
        told.append(
            ToggleResult(
                name,
                by_metric[metrics[0].name][0][place],
                _mean_difference(first, order[arm_of([name])], baseline),
                _mean_difference(first, full, removed),
                {metric.name: by_metric[metric.name][0][place] for metric in metrics[1:]},
            )
        )
    groups = tuple(
        GroupResult(tuple((toggles[one], toggles[other]) for one, other in pairs), figure)
        for pairs, figure in zip(design.groups, by_metric[metrics[0].name][1], strict=True)
    )
    return Ablation(tuple(told), groups, invalid)


Table = dict[int, dict[int, float]]
"""Logs of a metric by block and arm, above for better."""


def _table(runs: Sequence[Run], metric: Metric) -> Table:
    found: Table = {}
    for run in runs:
        value = run["measurements"].get(metric.name)
        if not run["invalid"] and value is not None and value > 0:
            log = math.log(value)
            found.setdefault(run["block"], {})[run["arm"]] = log if metric.direction == "up" else -log
    return found


def _mains(table: Table, design: Design, numbers: Sequence[int]) -> tuple[list[Figure], list[Figure]]:
    """Main effects and groups, each with an interval from how its contrast varies over blocks, pooled over all."""
    whole = [[arms_[number] for number in numbers] for arms_ in table.values() if set(numbers) <= arms_.keys()]
    signs = [design.main(toggle) for toggle in range(design.toggles)]
    signs += [design.group(number) for number in range(len(design.groups))]
    contrasts = [[contrast(one, values) for values in whole] for one in signs]
    blocks = len(whole)
    if blocks < FEWEST:
        nothing = Figure(math.nan, -math.inf, math.inf, 1.0, INCONCLUSIVE)
        return [nothing] * design.toggles, [nothing] * len(design.groups)
    spread = math.sqrt(sum(variance(one) for one in contrasts) / len(contrasts) / blocks)
    freedom = (blocks - 1) * len(contrasts)
    figures: list[Figure] = []
    for family in (contrasts[: design.toggles], contrasts[design.toggles :]):
        means = [sum(one) / blocks for one in family]
        ps = holm(_p(mean, spread, freedom) for mean in means)
        reach = student.quantile(LEVEL, freedom) * spread
        figures += [_figure(mean, reach, p) for mean, p in zip(means, ps, strict=True)]
    return figures[: design.toggles], figures[design.toggles :]


def _p(mean: float, spread: float, freedom: float) -> float:
    if not spread:
        return 0.0 if mean else 1.0
    return student.two_sided_p(mean / spread, freedom)


def _figure(mean: float, reach: float, p: float) -> Figure:
    low, high = mean - reach, mean + reach
    if low > -MATERIAL and high < MATERIAL:
        verdict = IMMATERIAL
    elif p < 1 - LEVEL:
        verdict = BETTER if mean > 0 else WORSE
    else:
        verdict = INCONCLUSIVE
    return Figure(mean, low, high, p, verdict)


def _mean_difference(table: Table, arm: int, against: int) -> float | None:
    found = [arms_[arm] - arms_[against] for arms_ in table.values() if {arm, against} <= arms_.keys()]
    return sum(found) / len(found) if found else None


def settling_arms(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The arms of 2x2 designs for these pairs, everything else off, each once."""
    every = chain([[]], *([[one], [other], [one, other]] for one, other in pairs))
    return list(dict.fromkeys(arm_of(on) for on in every))


def settle(runs: Sequence[Run], pairs: Sequence[tuple[str, str]], metric: Metric) -> list[PairResult]:
    """Each pair's interaction from the runs of `settling_arms`: mean over blocks, exact signed-rank p, Holm."""
    order = {text: number for number, text in enumerate(settling_arms(pairs))}
    table = _table(runs, metric)
    logs: list[list[float]] = []
    for one, other in pairs:
        nothing, first, second, both = (order[arm_of(on)] for on in ([], [one], [other], [one, other]))
        whole = [arms_ for arms_ in table.values() if {nothing, first, second, both} <= arms_.keys()]
        logs.append([arms_[both] - arms_[first] - arms_[second] + arms_[nothing] for arms_ in whole])
    ps = holm(signed_rank_p(one) if one else 1.0 for one in logs)
    return [
        PairResult(pair, sum(one) / len(one) if one else math.nan, p)
        for pair, one, p in zip(pairs, logs, ps, strict=True)
    ]
