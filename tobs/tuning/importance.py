"""How much each knob seems to matter, and how far that can be trusted: over trials drawn again and again."""

from __future__ import annotations

import random
import warnings
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

DRAWS = 60
"""Times that the trials are drawn with replacement."""
FEW = 5
"""Trials below which nothing can be said."""
TAIL = 0.1
"""Share of the draws that lies beyond each end of an interval."""


class Importance(NamedTuple):
    """A share of what explains the good trials: the median over the draws, and where four of five lie."""

    middle: float
    low: float
    high: float


def importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Shares of all knobs that every trial had, by these trials. Empty where they are too few or too alike."""
    if len(trials) < FEW:
        return {}
    study = optuna.create_study()
    spaces = _spaces(trials)
    for one in trials:
        params = {name: value for name, value in one.params.items() if name in spaces}
        own = {name: spaces[name] for name in params}
        study.add_trial(optuna.create_trial(params=params, distributions=own, value=one.value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is experimental
        try:
            return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        except (ValueError, RuntimeError):
            return {}


def uncertain(trials: Sequence[FrozenTrial], draws: int = DRAWS) -> dict[str, Importance]:
    """The same over trials drawn with replacement, always in the same way; the most important first."""
    chance = random.Random(len(trials))  # noqa: S311 - to be repeated
    found: dict[str, list[float]] = {}
    for _ in range(draws if trials else 0):
        for name, share in importances(chance.choices(trials, k=len(trials))).items():
            found.setdefault(name, []).append(share)
    told = {name: _interval(sorted(shares)) for name, shares in found.items()}
    return dict(sorted(told.items(), key=lambda one: -one[1].middle))


def _interval(shares: Sequence[float]) -> Importance:
    beyond = int(TAIL * len(shares))
    return Importance(median(shares), shares[beyond], shares[-1 - beyond])


def _spaces(trials: Iterable[FrozenTrial]) -> dict[str, BaseDistribution]:
    """One range for each knob: as wide as any that it was searched in, or Optuna would leave it out."""
    found: dict[str, BaseDistribution] = {}
    for one in trials:
        for name, own in one.distributions.items():
            known = found.get(name, own)
            if isinstance(own, IntDistribution) and isinstance(known, IntDistribution):
                low, high = min(own.low, known.low), max(own.high, known.high)
                found[name] = IntDistribution(low, high, log=own.log)
            elif isinstance(own, FloatDistribution) and isinstance(known, FloatDistribution):
                found[name] = FloatDistribution(min(own.low, known.low), max(own.high, known.high), log=own.log)
            elif isinstance(own, CategoricalDistribution):
                found[name] = own
    return found
