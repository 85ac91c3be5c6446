"""Several metrics as one, written `METRIC=WEIGHT,METRIC=WEIGHT,…`: the weighted geometric mean of what they measure.

A weight that is left out is 1. What should go up takes part as its inverse, so less is always better, and the ratio of
two runs is the weighted geometric mean of their ratios in the single metrics: `wall=2,peak_rss=1` counts time twice.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TERM = re.compile(r"(?P<name>[^={},]+(?:\{[^{}]*\}[^={},]*)?)(?:=(?P<weight>[^={},]*))?")
_HINT = "Write METRIC=WEIGHT,METRIC=WEIGHT, for example wall=2,peak_rss=1; a weight is above 0."


def terms(text: str) -> tuple[tuple[str, float], ...]:
    """The names and weights that a text holds; one name with the weight 1 for a single metric.

    Raises `UsageError` for what cannot be read, for weights that are not above 0 and for a name that comes twice.
    """
    found: dict[str, float] = {}
    place = 0
    while place <= len(text):
        term = _TERM.match(text, place)
        if term is None or (term.end() < len(text) and text[term.end()] != ","):
            raise UsageError(f"{text!r} is no metric and no weighted set of metrics", hint=_HINT)
        name, weight = term["name"].strip(), _weight(term["weight"], text)
        if not name or name in found:
            raise UsageError(f"{text!r} names a metric twice, or none", hint=_HINT)
        found[name] = weight
        place = term.end() + 1
    return tuple(found.items())


def _weight(text: str | None, whole: str) -> float:
    try:
        weight = 1.0 if text is None else float(text)
    except ValueError:
        weight = math.nan
    if not (weight > 0 and math.isfinite(weight)):
        raise UsageError(f"{whole!r}: {text!r} is no weight", hint=_HINT)
    return weight


def joined(texts: Iterable[str]) -> str:
    """Texts as one in their shortest form: equal sets of weights in the same order have the same text."""
    found = terms(",".join(texts))
    least = min(weight for _, weight in found)
    if len(found) == 1:
        return found[0][0]
    return ",".join(f"{name}={weight / least:.6g}" for name, weight in found)


def mean(values: Sequence[tuple[float | None, float, bool]]) -> float | None:
    """The weighted geometric mean of values; each comes with its weight and whether more of it is better.

    None if one is missing or not above 0.
    """
    logs = 0.0
    for value, weight, up in values:
        if value is None or value <= 0:
            return None
        logs += (-weight if up else weight) * math.log(value)
    return math.exp(logs / sum(weight for _, weight, _ in values))
