"""Small charts as SVG, without a script: points in their order, distributions, and lines over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS = ("#0b62a4", "#c2571a", "#1a7f4b", "#8a3ffc", "#b3261e", "#6b6b00", "#00736b", "#a1007a")
"""Of arms and series, in their order; told apart by marks and labels too."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 240, 64, 14, 26, 34
BOX = 44
FEW = 4
"""Values below which a box would say more than they do."""


@dataclass(frozen=True, slots=True)
class Series:
    """Named points (x, y); `crosses` are points that do not count."""

    name: str
    points: tuple[tuple[float, float], ...]
    crosses: tuple[tuple[float, float], ...] = ()


def scatter(
    title: str, series: Sequence[Series], across: str, unit: str, stairs: Sequence[tuple[float, float]] = ()
) -> str:
    """Points of each series, in order of x; `stairs` are joined, each level as far as the next point."""
    frame = _Frame.around([point for one in series for point in (*one.points, *one.crosses)])
    parts = frame.axes(across, unit)
    if stairs:
        path = " ".join(
            [f"{frame.x(stairs[0][0]):.1f},{frame.y(stairs[0][1]):.1f}"]
            + [
                f"{frame.x(to):.1f},{frame.y(level):.1f} {frame.x(to):.1f},{frame.y(after):.1f}"
                for (_, level), (to, after) in pairwise(stairs)
            ]
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="#222" stroke-width="1.4"/>')
    for number, one in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        parts += [
            f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3.5" fill="{colour}"/>' for x, y in one.points
        ]
        parts += [_cross(frame.x(x), frame.y(y), colour) for x, y in one.crosses]
    return _figure(title, parts, [one.name for one in series])


def lines(title: str, series: Sequence[Series], across: str, unit: str) -> str:
    """A line for each series."""
    frame = _Frame.around([(0.0, 0.0), *(point for one in series for point in one.points)])
    parts = frame.axes(across, unit)
    for number, one in enumerate(series):
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in one.points)
        colour = COLOURS[number % len(COLOURS)]
        dash = "" if number < len(COLOURS) else ' stroke-dasharray="5 3"'
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
    return _figure(title, parts, [one.name for one in series])


def boxes(title: str, groups: Sequence[tuple[str, Sequence[float]]], unit: str) -> str:
    """A row of dots for each group, with a box from quartile to quartile and its median."""
    values = [value for _, own in groups for value in own] or [0.0]
    frame = _Frame.around([(-0.5, values[0]), (len(groups) - 0.5, values[0]), *((0.0, value) for value in values)])
    parts = frame.axes("", unit)
    for number, (_, own) in enumerate(groups):
        parts += _box(frame, float(number), own, COLOURS[number % len(COLOURS)])
    return _figure(title, parts, [name for name, _ in groups])


def _box(frame: _Frame, place: float, values: Sequence[float], colour: str) -> list[str]:
    middle, parts = frame.x(place), []
    left, right = middle - BOX / 2, middle + BOX / 2
    if len(values) >= FEW:
        low, median, high = (frame.y(value) for value in quantiles(values, n=4))
        paint = f'fill="{colour}" fill-opacity=".15" stroke="{colour}"'
        size = f'width="{BOX}" height="{max(1.0, low - high):.1f}"'
        parts.append(f'<rect x="{left:.1f}" y="{high:.1f}" {size} {paint}/>')
        across = f'x1="{left:.1f}" x2="{right:.1f}" y1="{median:.1f}" y2="{median:.1f}"'
        parts.append(f'<line {across} stroke="{colour}" stroke-width="2"/>')
    for number, value in enumerate(values):
        x = middle + ((number * 7) % 15 - 7)  # beside one another, so that equal values can be told apart
        parts.append(f'<circle cx="{x:.1f}" cy="{frame.y(value):.1f}" r="2.5" fill="{colour}"/>')
    return parts


def rates(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """How fast a counter grew between two readings, at the later of them."""
    return tuple((later, (to - of) / (later - at)) for (at, of), (later, to) in pairwise(points) if later > at)


@dataclass(frozen=True, slots=True)
class _Frame:
    left: float
    right: float
    low: float
    high: float

    @staticmethod
    def around(points: Sequence[tuple[float, float]]) -> _Frame:
        xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
        low, high = min(ys), max(ys)
        if low > 0 and low < high * 0.75:
            low = 0.0
        room = (high - low or abs(high) or 1.0) * 0.06
        return _Frame(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, low - (room if low else 0.0), high + room)

    def x(self, value: float) -> float:
        return LEFT + (value - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def axes(self, across: str, unit: str) -> list[str]:
        parts = [_text(LEFT, TOP - 10, unit, "start")]
        for tick in _ticks(self.low, self.high):
            y = self.y(tick)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e2e2"/>')
            parts.append(_text(LEFT - 6, y + 4, _short(tick), "end"))
        if across:
            parts += [_text(self.x(tick), HEIGHT - BOTTOM + 15, _short(tick)) for tick in _ticks(self.left, self.right)]
            parts.append(_text(WIDTH - RIGHT, HEIGHT - 4, across, "end"))
        return parts


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#555">{escape(text)}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Four or so round numbers within."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _short(value: float) -> str:
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{letter}"
    return f"{value:.4g}"


def _cross(x: float, y: float, colour: str) -> str:
    return f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0-8l-8 8" stroke="{colour}" stroke-width="2"/>'


def _figure(title: str, parts: Sequence[str], names: Sequence[str]) -> str:
    legend = "".join(
        f'<span class="key" style="--c:{COLOURS[number % len(COLOURS)]}">{escape(name)}</span>'
        for number, name in enumerate(names)
    )
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" font-size="12">'
    drawn = "\n".join([head, *parts, "</svg>"])
    return f"<figure><figcaption>{escape(title)}</figcaption>\n{drawn}\n<p>{legend}</p></figure>"
