"""What could not be had is told in few lines: one for each kind of reason."""

from __future__ import annotations

from tests.engine.fakes import ref
from tobs.engine.tally import Tally
from tobs.host.run import unhad
from tobs.values import Settled


def test_reasons_that_differ_in_numbers_alone_are_one_kind_and_the_most_frequent_comes_first() -> None:
    tally = Tally()
    tally.file(Settled(ref(1, 500_000, message_id=1), "missing", reason="was refused: FILE_ID_INVALID (400)"), 0)
    for number in range(2, 9):
        reason = f"file {number}: {number} bytes came where {2 * number} were due"
        tally.file(Settled(ref(number, 1_000_000, message_id=number), "failed", reason=reason), 0)
    tally.file(Settled(ref(20, 100_000, message_id=20), "failed", reason="was refused: FILE_ID_INVALID (400)"), 0)
    assert unhad(tally) == [
        "7 files of 7.0 MB failed: file 2: 2 bytes came where 4 were due (and the like) (messages 2, 3, 4, 5, 6, …)",
        "1 files of 0.5 MB missing: was refused: FILE_ID_INVALID (400) (messages 1)",
        "1 files of 0.1 MB failed: was refused: FILE_ID_INVALID (400) (messages 20)",
    ]


def test_nothing_that_was_had_in_the_end_is_told() -> None:
    tally = Tally()
    tally.file(Settled(ref(1), "failed", reason="gone"), 0)
    tally.file(Settled(ref(1), "done", "ab", 1000, "media/1"), 0)
    assert unhad(tally) == []
