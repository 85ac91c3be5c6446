"""Within which bounds knobs are searched. Width matters more than the sampler, so a search begins narrow and widens."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tobs.host.space import Dimension
    from tobs.knobs import Value

SANE = 16
"""A number is searched between a sixteenth and sixteen times the value that it starts with."""
WIDER = 4
"""Factor by which a bound gives way."""
EDGE = 0.1
"""Share of a range, at either end of it, where a best value makes it widen."""
DIGITS = 4
"""Significant digits that a number is tried with: more say nothing and cannot be read."""

NONE: Mapping[str, bool] = MappingProxyType({})
Kind = Literal["int", "float", "choice"]


@dataclass(frozen=True, slots=True)
class Range:
    """Where one knob, `name`, is searched: `choices`, or numbers from `low` to `high`, both included.

    It may widen up to `least` and `most`, the declared bounds. A plugin that is switched is one too: its name alone,
    False or True. A knob with `when` is there only while the plugin of that name is on.
    """

    name: str
    kind: Kind
    start: Value
    low: float = 0
    high: float = 0
    log: bool = False
    choices: tuple[Value, ...] = ()
    least: float = 0
    most: float = 0
    when: str = ""

    def holds(self, value: Value | None) -> bool:
        """Whether the search could propose this value."""
        if self.kind == "choice":
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def place(self, value: Value) -> float:
        """Where a value lies in the range, on its scale: from 0 to 1. Choices by their order."""
        if self.kind == "choice":
            return self.choices.index(value) / max(1, len(self.choices) - 1)
        low, high, at = (self._scaled(float(number)) for number in (self.low, self.high, value))
        return (at - low) / (high - low) if high > low else 0.0

    def _scaled(self, number: float) -> float:
        return math.log(number) if self.log else number

    def rounded(self, value: Value) -> Value:
        """A proposed value as it is tried."""
        if self.kind != "float":
            return value
        return min(self.high, max(self.low, float(f"{float(value):.{DIGITS}g}")))

    def widened(self, best: Value) -> Range:
        """The range once the best value known is this one: wider where that lies at an edge."""
        if self.kind == "choice":
            return self
        place = self.place(best)
        low, high = self.low, self.high
        if place < EDGE:
            low = max(self.least, low / WIDER) if low > 0 else self.least
        if place > 1 - EDGE:
            high = min(self.most, high * WIDER)
        if self.kind == "int":
            low, high = math.floor(low), math.ceil(high)
        return replace(self, low=low, high=high)


def begin(
    dimensions: Iterable[Dimension], start: Mapping[str, Value], toggles: Mapping[str, bool] = NONE
) -> tuple[Range, ...]:
    """The ranges that a search begins with, around where it starts. A start of 0 has the whole declared range.

    `toggles` are plugins to be switched, and whether they are on at the start; they come first.
    """
    switches = [Range(name, "choice", on, choices=(False, True)) for name, on in toggles.items()]
    knobs = [_begin(dimension, start[dimension.name]) for dimension in dimensions]
    owners = [one.name.partition(".")[0] for one in knobs]
    return (
        *switches,
        *(replace(one, when=owner if owner in toggles else "") for one, owner in zip(knobs, owners, strict=True)),
    )


def active(ranges: Iterable[Range], values: Mapping[str, Value]) -> dict[str, Value]:
    """Those of the values that count: without the knobs of plugins that are switched off."""
    return {one.name: values[one.name] for one in ranges if not one.when or values[one.when]}


def _begin(dimension: Dimension, start: Value) -> Range:
    if dimension.choices or dimension.low is None or dimension.high is None:
        choices = dimension.choices if start in dimension.choices else (*dimension.choices, start)
        return Range(dimension.name, "choice", start, choices=choices)
    kind: Kind = "int" if dimension.kind == "int" else "float"
    least, most, at = float(dimension.low), float(dimension.high), float(start)
    low, high = (max(least, at / SANE), min(most, at * SANE)) if at > 0 else (least, most)
    if not dimension.log and least <= 0:
        low = least
    if kind == "int":
        low, high = max(least, math.floor(low)), min(most, math.ceil(high))
        low, high, least, most = int(low), int(high), int(least), int(most)
    return Range(dimension.name, kind, start, low, high, dimension.log, (), least, most)


def widen(ranges: Sequence[Range], bests: Iterable[Mapping[str, Value]]) -> tuple[Range, ...]:
    """The ranges after these settings were, one after the other, the best known. They never get narrower."""
    found = tuple(ranges)
    for best in bests:
        found = tuple(one.widened(best[one.name]) if one.name in best else one for one in found)
    return found


def only(
    dimensions: Sequence[Dimension], names: Sequence[str], toggles: Mapping[str, bool] = NONE
) -> tuple[Dimension, ...]:
    """The dimensions of these knobs, written KNOB (of core) or PLUGIN.KNOB; all of them if none is named.

    Raises `UsageError` for a name that is no tunable knob of this arm, and where nothing is left to tune.
    """
    wanted = {name if "." in name else f"core.{name}" for name in names}
    known = [dimension.name for dimension in dimensions]
    for name in sorted(wanted - set(known)):
        raise UsageError(f"{name} is no knob that can be tuned here", hint=f"Known: {', '.join(known)}.")
    found = tuple(one for one in dimensions if one.name in wanted or not wanted)
    if not found and not toggles:
        raise UsageError("this arm has no knob that could be tuned", hint="Switch plugins on, see `tobs plugins list`.")
    return found


def fingerprint(ranges: Iterable[Range]) -> str:
    """A hash of the space. Choices can't change in a study, so its name holds this."""
    return hashlib.sha256(json.dumps(list(_declared(ranges))).encode()).hexdigest()[:12]


def _declared(ranges: Iterable[Range]) -> Iterator[list[object]]:
    for one in ranges:
        yield [one.name, one.kind, one.low, one.high, one.log, list(one.choices), one.least, one.most, one.when]
