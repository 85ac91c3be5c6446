"""A forest plot as SVG: a line an effect, its interval, and where there is none. Readable by itself, no script."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLE = 'role="img" font-family="system-ui, sans-serif" font-size="13" fill="#222"'
ROW, LEFT, PLOT, RIGHT, TOP = 26, 190, 380, 210, 34
_MOST = math.log(64)


@dataclass(frozen=True, slots=True)
class Line:
    """One effect: logs of ratios (the estimate, its interval), what is written at its right, and its class.

    `tone` is "better", "worse" or "" and colours the line; marks are further estimates, drawn as hollow dots.
    """

    label: str
    log: float
    low: float
    high: float
    note: str
    tone: str = ""
    marks: tuple[float, ...] = ()


def forest(title: str, lines: Sequence[Line]) -> str:
    """The plot; right of the middle is better. Intervals without an end reach the border."""
    reach = _reach(lines)
    width, height = LEFT + PLOT + RIGHT, TOP + ROW * (len(lines) + 1) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" {STYLE}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="20" font-weight="600">{escape(title)}</text>',
    ]
    bottom = TOP + ROW * len(lines) + 4
    for log in _ticks(reach):
        x = _x(log, reach)
        colour = "#888" if log == 0 else "#ddd"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="{colour}"/>')
        label = f"x{math.exp(log):.3g}"
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="#666">{label}</text>')
    for number, line in enumerate(lines):
        parts += _row(line, TOP + ROW * number + ROW / 2, reach)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(line: Line, y: float, reach: float) -> list[str]:
    colour = {"better": "#1a7f4b", "worse": "#b3261e"}.get(line.tone, "#555")
    low, high, at = (_x(value, reach) for value in (line.low, line.high, line.log))
    parts = [
        f'<text x="8" y="{y + 4:.1f}">{escape(line.label)}</text>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="2"/>',
        f'<text x="{LEFT + PLOT + 12}" y="{y + 4:.1f}" fill="#444">{escape(line.note)}</text>',
    ]
    parts += [
        f'<circle cx="{_x(mark, reach):.1f}" cy="{y:.1f}" r="3.5" fill="none" stroke="{colour}"/>'
        for mark in line.marks
    ]
    if math.isfinite(line.log):
        parts.append(f'<circle cx="{at:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
    return parts


def _reach(lines: Sequence[Line]) -> float:
    """How far the axis goes to either side."""
    ends = [abs(end) for line in lines for end in (line.log, line.low, line.high, *line.marks) if math.isfinite(end)]
    return min(_MOST, max([math.log(1.1), *ends]) * 1.05)


def _ticks(reach: float) -> list[float]:
    """Logs of round ratios, the same to either side."""
    steps = next(
        (
            steps
            for steps in ((1.02, 1.05, 1.1), (1.1, 1.2, 1.4), (1.5, 2, 3), (2, 5, 10), (4, 16, 64))
            if _fit(steps, reach)
        ),
        (4, 16, 64),
    )
    ups = [math.log(step) for step in steps if math.log(step) <= reach]
    return [*(-up for up in reversed(ups)), 0.0, *ups]


def _fit(steps: Sequence[float], reach: float) -> bool:
    return math.log(steps[-1]) >= reach * 0.75


def _x(log: float, reach: float) -> float:
    bounded = 0.0 if math.isnan(log) else max(-reach, min(reach, log))
    return LEFT + PLOT * (bounded / reach + 1) / 2
