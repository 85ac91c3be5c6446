"""`--fail-if`: a condition on the figures of a comparison, so that a build can fail on a slower arm.

Written `FIGURE < NUMBER` with `<`, `<=`, `>` or `>=`, where FIGURE is `ratio`, `low`, `high` (of the interval), `p`
(corrected) or `invalid` (runs of the arm), and `METRIC:FIGURE` for another metric than the first.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_FORM = re.compile(
    r"\s*(?:(?P<metric>\S+):)?(?P<figure>[a-z_]+)\s*(?P<sign><=|>=|<|>)\s*(?P<number>-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*"
)
_FIGURES = {"ratio": "ratio", "low": "low", "high": "high", "p": "p_corrected", "invalid": "invalid"}
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as it was written. `metric` "" is the one that decides."""

    text: str
    metric: str
    figure: str
    sign: str
    number: float

    def failures(self, arms: Iterable[Mapping[str, Any]]) -> list[str]:
        """In words, the arms (as `tobs ab --json` tells them) that meet it, or that have no such figure.

        What was not measured cannot have passed.
        """
        found = []
        for arm in arms:
            figures = arm if self.figure == "invalid" else arm["metrics"].get(self.metric) if self.metric else arm
            value = None if figures is None else figures.get(_FIGURES[self.figure])
            if value is None:
                found.append(f"{arm['arm']} on {arm['scenario']}: there is no figure for {self.text}")
            elif _SIGNS[self.sign](value, self.number):
                found.append(f"{arm['arm']} on {arm['scenario']}: {self.text}, it is {value:.4g}")
        return found


def parse_condition(text: str, metrics: Iterable[str]) -> Condition:
    """The condition that is written; `metrics` are those that are compared. Raises `UsageError` for another form."""
    known = tuple(metrics)
    found = _FORM.fullmatch(text)
    if found is None or found["figure"] not in _FIGURES:
        raise UsageError(
            f"{text!r} is no condition",
            hint=f"Write for example 'ratio<0.95' or 'cpu:low<0.9'; figures are {', '.join(_FIGURES)}.",
        )
    if found["metric"] and found["metric"] not in known:
        raise UsageError(
            f"{text!r} is about {found['metric']}, which is not compared",
            hint=f"Compared are {', '.join(known)}; ask for another with --metric.",
        )
    return Condition(text.strip(), found["metric"] or "", found["figure"], found["sign"], float(found["number"]))
