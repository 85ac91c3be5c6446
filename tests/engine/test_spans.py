"""Arithmetic of id intervals, against plain sets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tobs.engine.spans import merge
from tobs.values import Span

SPANS = st.lists(st.builds(Span, st.integers(1, 60), st.integers(1, 60)), max_size=20)


def ids(spans: list[Span]) -> set[int]:
    return {number for span in spans for number in range(span.low, span.high + 1)}


@given(SPANS)
def test_merged_spans_cover_the_same_ids_newest_first_with_gaps_between(spans: list[Span]) -> None:
    merged = merge(spans)
    assert ids(merged) == ids(spans)
    assert all(span.low <= span.high for span in merged)
    assert all(upper.low > lower.high + 1 for upper, lower in pairwise(merged))


@given(SPANS, st.randoms())
def test_the_order_of_what_is_merged_does_not_matter(spans: list[Span], chance: object) -> None:
    shuffled = list(spans)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merge(shuffled) == merge(spans) == merge(merge(spans))


def test_an_empty_span_is_nothing() -> None:
    assert merge([Span(5, 4)]) == []
    assert merge([]) == []
