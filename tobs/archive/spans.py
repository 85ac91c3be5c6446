"""Arithmetic of inclusive id intervals. Lists are ascending and disjoint unless said otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.values import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def merge(spans: Iterable[Span]) -> list[Span]:
    """Join overlapping and adjacent spans, given in any order; empty ones (high < low) fall away."""
    merged: list[Span] = []
    for span in sorted(spans):
        if span.high < span.low:
            continue
        if merged and span.low <= merged[-1].high + 1:
            if span.high > merged[-1].high:
                merged[-1] = Span(merged[-1].low, span.high)
        else:
            merged.append(span)
    return merged


def gaps(covered: Sequence[Span], low: int, high: int) -> list[Span]:
    """What of `low` to `high` no span covers, newest first. `covered` is merged."""
    missing: list[Span] = []
    start = low
    for span in covered:
        if span.low > start:
            missing.append(Span(start, min(span.low - 1, high)))
        start = max(start, span.high + 1)
        if start > high:
            break
    if start <= high:
        missing.append(Span(start, high))
    return [span for span in reversed(missing) if span.low <= span.high]


def clip(covered: Sequence[Span], low: int, high: int) -> list[Span]:
    """What of `low` to `high` the spans cover, newest first."""
    return [
        Span(max(span.low, low), min(span.high, high))
        for span in reversed(covered)
        if span.low <= high and span.high >= low
    ]
