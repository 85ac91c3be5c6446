"""Tally: what the summary of a run says."""

from __future__ import annotations

from tests.engine.fakes import batch_of, page_of, ref
from tobs.engine.tally import Tally
from tobs.values import Attempt, Settled, Traffic


def attempt(method: str, outcome: str) -> Attempt:
    return Attempt(method, Traffic.HISTORY, 2, 0.1, 100, outcome, 1)


def test_batches_are_counted_with_what_they_promise() -> None:
    tally = Tally()
    page = page_of([5, 4, 3], count=30)
    tally.batch(page, batch_of(page, [ref(1, 100), ref(2, 50)]), 0.1)
    tally.batch(page_of([2], count=29), batch_of(page_of([2])), 0.1)
    assert (tally.pages, tally.messages, tally.expected_messages, tally.expected_size) == (2, 4, 30, 150)


def test_files_are_counted_with_their_bytes() -> None:
    tally = Tally()
    tally.file(Settled(ref(7), "done", "ab", 100, "x"), 0.1)
    tally.file(Settled(ref(8), "done", "cd", 11, "y"), 0.1)
    assert (tally.files, tally.size, tally.failures) == (2, 111, {})


def test_a_file_that_came_after_all_is_no_failure() -> None:
    tally = Tally()
    lost = Settled(ref(7), "failed", reason="gone")
    tally.file(lost, 0.1)
    tally.file(Settled(ref(8), "missing", reason="deleted"), 0.1)
    assert tally.failures[7] is lost
    tally.file(Settled(ref(7), "done", "ab", 100, "x"), 0.1)
    assert list(tally.failures) == [8]
    assert tally.files == 1


def test_attempts_are_counted_by_what_came_of_them() -> None:
    tally = Tally()
    for outcome in ("ok", "ok", "lost", "FLOOD_WAIT"):
        tally.attempt(attempt("upload.getFile", outcome))
    tally.attempt(attempt("messages.getHistory", "FLOOD_WAIT"))
    assert tally.requests == {"upload.getFile": 4, "messages.getHistory": 1}
    assert tally.lost == 1
    assert tally.refusals == {"FLOOD_WAIT": 2}


def test_floods_are_counted_with_their_seconds() -> None:
    tally = Tally()
    tally.flood("messages.getHistory", 5)
    tally.flood("upload.getFile", 2.5)
    assert (tally.floods, tally.flood_seconds) == (2, 7.5)
