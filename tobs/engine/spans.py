"""Arithmetic of id intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.values import Span

if TYPE_CHECKING:
    from collections.abc import Iterable

NEWEST = 2**31 - 1
"""An id no message reaches (message ids are positive 32-bit integers): a span up to it ends at the newest."""


def merge(spans: Iterable[Span]) -> list[Span]:
    """Join overlapping and adjacent spans; newest first."""
    joined: list[Span] = []
    for span in sorted(span for span in spans if span.low <= span.high):
        if joined and span.low <= joined[-1].high + 1:
            joined[-1] = Span(joined[-1].low, max(joined[-1].high, span.high))
        else:
            joined.append(span)
    return joined[::-1]
