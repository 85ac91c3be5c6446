"""Spans, gaps and what is read again, against sets of ids."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.archive.rows import CHANNEL, CHAT, batch, commit, message, query
from tobs.archive import Archive
from tobs.archive.spans import clip, gaps, merge
from tobs.values import Span

TOP = 40
SPANS = st.lists(st.builds(lambda low, size: Span(low, low + size), st.integers(0, TOP), st.integers(-2, 12)))


def ids(spans: list[Span]) -> set[int]:
    return {number for span in spans for number in range(span.low, span.high + 1)}


@given(SPANS)
def test_merged_spans_are_the_same_ids_disjoint_and_apart(spans: list[Span]) -> None:
    merged = merge(spans)
    assert ids(merged) == ids(spans)
    assert all(before.high + 1 < after.low for before, after in pairwise(merged))


@given(SPANS, st.integers(1, TOP), st.integers(0, TOP))
def test_gaps_and_clip_divide_the_interval(spans: list[Span], low: int, high: int) -> None:
    covered = merge(spans)
    missing, there = gaps(covered, low, high), clip(covered, low, high)
    everything = set(range(low, high + 1))
    assert ids(missing) == everything - ids(spans)
    assert ids(there) == everything & ids(spans)
    assert missing == sorted(missing, reverse=True)
    assert there == sorted(there, reverse=True)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, TOP), st.integers(0, 12), st.booleans()), max_size=12),
    st.integers(0, 60),
    st.integers(0, 30),
)
def test_the_archive_agrees_with_a_set_of_ids(pages: list[tuple[int, int, bool]], top: int, last: int) -> None:
    covered: set[int] = set()
    kept: set[int] = set()
    with tempfile.TemporaryDirectory() as folder, Archive.create(Path(folder), [CHAT]) as archive:
        for low, size, filled in pages:
            span = Span(low, low + size)
            numbers = [number for number in range(low, low + size + 1) if filled and number % 3]
            commit(archive, batch([message(number) for number in reversed(numbers)], span=span))
            covered |= ids([span])
            kept |= set(numbers)
        assert ids(archive.gaps(CHANNEL, top)) == set(range(1, top + 1)) - covered
        assert archive.messages(CHANNEL) == len(kept)
        assert ids(archive.reread(CHANNEL, None)) == covered
        newest = sorted(kept)[-last:] if last else []
        again = ids(archive.reread(CHANNEL, last))
        assert again <= covered
        assert set(newest) <= again
        if last and len(kept) >= last:
            assert again == {number for number in covered if number >= newest[0]}
        rows = query(archive.folder, "SELECT low, high FROM spans ORDER BY low")
        assert [Span(*row) for row in rows] == merge(Span(number, number) for number in covered)


@pytest.mark.parametrize("last", [None, 0, 5])
def test_an_empty_archive_has_nothing_to_read_again(tmp_path: Path, last: int | None) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        assert archive.reread(CHANNEL, last) == []
        assert archive.gaps(CHANNEL, 0) == []
        assert archive.gaps(CHANNEL, 7) == [Span(1, 7)]
