"""Pictures of a study as SVG, without a script: how knobs go together, one by one, and how much they seem to matter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tobs.knobs import Value
    from tobs.tuning.importance import Importance

GOOD, BAD, START, WINNER = "#0b62a4", "#b9c4cc", "#c2571a", "#1a7f4b"
"""The best and the worst trials, the settings at the start, and the result."""
WIDTH, LABEL, END, ROW, TOP = 720, 210, 700, 40, 16
"""Of the pictures that have a row for each knob: total, end of names, end of axes, height of a row, first row."""
SMALL, TALL, LEFT, RIGHT, UP, DOWN = 340, 190, 44, 12, 12, 34
"""Of a picture of one knob."""
DIGITS = 3
MARKS = 8
"""Choices of a knob that are all written along its row."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A knob as an axis: its `choices`, or numbers from `low` to `high`."""

    name: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    def place(self, value: Value) -> float:
        """Where a value lies, from 0 to 1."""
        if self.choices:
            return self.choices.index(value) / max(1, len(self.choices) - 1) if value in self.choices else 0.0
        low, high, at = (self._scaled(float(number)) for number in (self.low, self.high, value))
        return (at - low) / (high - low) if high > low else 0.5

    def _scaled(self, number: float) -> float:
        return math.log(max(number, 1e-12)) if self.log else number

    def marks(self) -> list[tuple[float, str]]:
        """What is written along it, and where."""
        if self.choices:
            return [(self.place(one), _word(one)) for one in self.choices]
        middle = math.sqrt(self.low * self.high) if self.log and self.low > 0 else (self.low + self.high) / 2
        ends = [self.low, middle, self.high] if self.high > self.low else [self.low]
        return [(self.place(one), _number(one)) for one in ends]


def _number(value: float) -> str:
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * limit:
            return f"{value / limit:.{DIGITS}g}{letter}"
    return f"{value:.{DIGITS}g}"


def _word(value: Value) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def axis(name: str, values: Iterable[Value], choices: Sequence[Value], *, log: bool) -> Axis:
    """The axis on which these values lie."""
    if choices:
        return Axis(name, tuple(choices))
    numbers = [float(one) for one in values]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    return Axis(name, (), low, high, log and low > 0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A trial to be drawn: its settings, how good it was, and whether that counts; `colour` if it is a special one."""

    values: Mapping[str, Value]
    gain: float
    counts: bool
    colour: str = ""


def parallel(title: str, axes: Sequence[Axis], trials: Sequence[Drawn]) -> str:
    """Parallel coordinates lying on their side: a row for each knob and one for the gain, a line for each trial."""
    gains = [one.gain for one in trials]
    last = Axis("times as good as the start", (), min(gains, default=0.5), max(gains, default=1.0))
    height = TOP + ROW * (len(axes) + 1)
    parts = []
    for number, one in enumerate([*axes, last]):
        y = TOP + ROW * number
        parts.append(f'<line x1="{LABEL}" x2="{END}" y1="{y}" y2="{y}" stroke="#ccc"/>')
        parts.append(_text(LABEL - 12, y + 4, one.name, "end", "#222"))
        ends = one.marks()
        for place, mark in ends if one.choices and len(ends) <= MARKS else [ends[0], ends[-1]]:
            parts.append(_text(_across(place), y + 14, mark, size=10))
    order = sorted(trials, key=lambda one: (one.colour != "", one.gain))
    for place, trial in enumerate(order):
        known = [(number, one) for number, one in enumerate(axes) if one.name in trial.values]
        points = [(_across(one.place(trial.values[one.name])), TOP + ROW * number) for number, one in known]
        points.append((_across(last.place(trial.gain)), TOP + ROW * len(axes)))
        path = " ".join(f"{x:.1f},{y}" for x, y in points)
        colour = trial.colour or _shade(place / max(1, len(order) - 1))
        width = 2.4 if trial.colour else 1.3
        dash = "" if trial.counts else ' stroke-dasharray="4 3"'
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>')
    return _figure(title, WIDTH, height, parts)


def _across(place: float) -> float:
    return LABEL + 8 + place * (END - LABEL - 16)


def _shade(rank: float) -> str:
    """From the colour of the worst to that of the best."""
    bad, good = ([int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (BAD, GOOD))
    return "#" + "".join(f"{round(one + (other - one) * rank**2):02x}" for one, other in zip(bad, good, strict=True))


def one_knob(along: Axis, trials: Sequence[Drawn]) -> str:
    """How good trials were by their value of one knob: a slice through the search."""
    own = [one for one in trials if along.name in one.values]
    up = Axis("", (), min((one.gain for one in own), default=0.5), max((one.gain for one in own), default=1.0))
    parts = []
    for place, mark in up.marks():
        y = _high(place)
        parts.append(f'<line x1="{LEFT}" x2="{SMALL - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e2e2"/>')
        parts.append(_text(LEFT - 5, y + 4, f"x{mark}", "end", size=10))
    marks = along.marks()
    fit = 1 + len(marks) * max((len(mark) for _, mark in marks), default=1) // 40
    for place, mark in marks[::fit]:
        parts.append(_text(_wide(place), TALL - DOWN + 16, mark, size=10))
    for one in sorted(own, key=lambda one: one.colour != ""):
        x, y = _wide(along.place(one.values[along.name])), _high(up.place(one.gain))
        colour = one.colour or GOOD
        if one.counts:
            opacity = "" if one.colour else ' fill-opacity=".55"'
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4.5 if one.colour else 3.5}" fill="{colour}"{opacity}/>'
            )
        else:
            parts.append(f'<path d="M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6" stroke="{colour}" stroke-width="1.5"/>')
    return _figure(along.name, SMALL, TALL, parts)


def _wide(place: float) -> float:
    return LEFT + 10 + place * (SMALL - LEFT - RIGHT - 20)


def _high(place: float) -> float:
    return TALL - DOWN - 6 - place * (TALL - UP - DOWN - 12)


def shares(title: str, found: Mapping[str, Importance]) -> str:
    """A bar for each knob's share, and a line over its interval."""
    most = max((one.high for one in found.values()), default=1.0) or 1.0
    row, parts = 26, []
    for number, (name, one) in enumerate(found.items()):
        y = TOP + row * number
        low, middle, high = (LABEL + value / most * (END - LABEL - 100) for value in (one.low, one.middle, one.high))
        parts.append(_text(LABEL - 12, y + 4, name, "end", "#222"))
        parts.append(
            f'<rect x="{LABEL}" y="{y - 7}" width="{middle - LABEL:.1f}" height="14" fill="{GOOD}" fill-opacity=".35"/>'
        )
        parts.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{GOOD}" stroke-width="2"/>')
        parts.append(_text(END, y + 4, f"{one.low:.0%} to {one.high:.0%}", "end"))
    return _figure(title, WIDTH, TOP + row * len(found), parts)


def _text(x: float, y: float, text: str, anchor: str = "middle", fill: str = "#555", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}">{escape(text)}</text>'
    )


def _figure(title: str, width: int, height: float, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width} {height:g}" role="img" aria-label="{escape(title)}">'
    drawn = "\n".join([head, *parts, "</svg>"])
    return f"<figure><figcaption>{escape(title)}</figcaption>\n{drawn}</figure>"
