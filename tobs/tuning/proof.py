"""A confirmation: the same settings compared on every scenario, and what that says of them together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tobs.experiment.compare import BETTER, REFUSED
from tobs.experiment.several import combine
from tobs.tuning.goal import WORST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tobs.experiment.compare import Comparison
    from tobs.experiment.report import Outcome
    from tobs.tuning.goal import Over
    from tobs.tuning.limits import Limits


@dataclass(frozen=True, slots=True)
class Proof:
    """Experiments of the same arms, one a scenario; what counts is `over` them all."""

    outcomes: tuple[Outcome, ...]
    over: Over = WORST

    def comparisons(self) -> list[Comparison]:
        """Every arm but the first against it, over all scenarios.

        In the mean blocks of the same number are put together. In the worst an arm has its lowest ratio, and is better
        only if it is better on each scenario.
        """
        each = [next(iter(one.comparisons().values())) for one in self.outcomes]
        if len(each) == 1:
            return each[0]
        if self.over != WORST:
            return combine(self.outcomes)
        names = [one.definition.wanted.scenario for one in self.outcomes]
        return [_worst(names, ones) for ones in zip(*each, strict=True)]

    def runs(self, arm: int) -> list[Mapping[str, float]]:
        """What the arm's runs that count measured; requests and errors are those of all its runs on a scenario."""
        found: list[Mapping[str, float]] = []
        for outcome in self.outcomes:
            own = [run["measurements"] for run in outcome.runs if run["arm"] == arm and not run["invalid"]]
            lost = sum(one.get("errors", 0.0) for one in own) / max(1.0, sum(one.get("requests", 0.0) for one in own))
            found += [{**one, "errors": lost * one.get("requests", 0.0)} for one in own]
        return found

    def broken(self, limits: Limits, arm: int) -> list[str]:
        """The limits that the arm does not keep, in words: memory and floods in each run, lost requests in all."""
        return limits.broken(*self.runs(arm))

    @property
    def sound(self) -> bool:
        """Whether every run counts and left the truth."""
        return all(one.sound for one in self.outcomes)

    @property
    def blocks(self) -> int:
        """Blocks on each scenario."""
        return min(one.blocks for one in self.outcomes)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The scenario seeds of the blocks."""
        return tuple(dict.fromkeys(seed for one in self.outcomes for seed in one.seeds))

    def warnings(self) -> list[str]:
        """What a reader has to know beside the figures."""
        return list(dict.fromkeys(warning for one in self.outcomes for warning in one.warnings()))


def _worst(names: Sequence[str], ones: Sequence[Comparison]) -> Comparison:
    """One arm on all scenarios: where it does worst, and the verdict of those where it is not better, if there are."""
    told = list(zip(names, ones, strict=True))
    for name, one in told:
        if one.verdict == REFUSED or one.estimate is None:
            return replace(one, words=f"on {name}: {one.words}")
    name, lowest = min(told, key=lambda pair: pair[1].ratio or 0.0)
    name, decides = next(((name, one) for name, one in told if one.verdict != BETTER), (name, lowest))
    corrected = max(one.corrected or 0.0 for one in ones)
    return replace(lowest, corrected=corrected, verdict=decides.verdict, words=f"on {name}: {decides.words}")
