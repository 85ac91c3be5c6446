"""What stops cost in bytes: what was in flight, what was not, and that a file that begins anew breaks the bar."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import chaos_told
from chaos_bytes import BATCHES, BLOCK, JOURNAL_KB, RESUME_KB, WIRE, Cost, Kept, Life, cost, read_kept
from tobs.archive.archive import Archive
from tobs.engine.state import FolderState
from tobs.engine.store import PlainDisk
from tobs.values import Batch, Chat, MediaRef, MessageRow, Span
from tobs_resilience.copies import Copies
from tobs_resilience.journal import BlockJournal
from tobs_resilience.told import Told

if TYPE_CHECKING:
    from pathlib import Path

PART = 65_536
LARGE, SMALL = 10 * BLOCK + 700, RESUME_KB * 1024
BATCH = JOURNAL_KB * 1024
FILES = 4 * LARGE


def parts(
    file: int, size: int, low: int = 0, high: int | None = None, step: int = PART, **said: bool
) -> list[dict[str, Any]]:
    """Parts of a file from one offset to another, acknowledged and right unless it is said otherwise."""
    return [
        {
            "file": file,
            "whole": size,
            "offset": offset,
            "size": min(step, size - offset),
            "spoilt": said.get("spoilt", False),
            "acknowledged": said.get("acknowledged", True),
            "at": 100.0,
        }
        for offset in range(low, size if high is None else high, step)
    ]


def noted(*blocks: int) -> Kept:
    return Kept(frozenset(), {1: frozenset(blocks)})


def test_a_run_that_goes_on_from_what_is_noted_costs_nothing() -> None:
    first = Life(parts(1, LARGE, 0, 4 * BLOCK) + parts(2, SMALL), Kept(frozenset({2}), {1: frozenset(range(4))}))
    assert cost([first, Life(parts(1, LARGE, 4 * BLOCK), Kept())]).lost == 0


def test_what_was_not_acknowledged_and_blocks_that_are_not_whole_were_in_flight() -> None:
    came = parts(1, LARGE, 0, 3 * BLOCK + PART)
    came[2]["acknowledged"] = False
    again = parts(1, LARGE, BLOCK)
    found = cost([Life(came, noted(0, 2)), Life(again, Kept())])
    # Of block 1 one half was on the wire and one was there, of block 3 one half was there; block 2 is had again.
    assert found.flight == {"wire": PART, "open": 2 * PART, "journal": 0}
    assert (found.lost, found.kept_again, found.beyond) == (3 * PART, BLOCK, BLOCK)


def test_what_left_long_ago_is_not_on_the_wire_though_it_is_not_acknowledged() -> None:
    came = parts(1, LARGE, 0, 4 * BLOCK, acknowledged=False)
    for part in came[:6]:
        part["at"] -= WIRE + 0.1
    found = cost([Life(came, noted()), Life(parts(1, LARGE), Kept())])
    assert found.flight == {"wire": BLOCK, "open": 0, "journal": BATCHES * BATCH}
    assert found.beyond == BLOCK


def test_of_whole_blocks_two_batches_of_a_file_were_in_flight_and_not_more() -> None:
    for blocks, beyond in ((BATCHES, 0), (BATCHES + 1, BLOCK), (10, 10 * BLOCK - BATCHES * BATCH)):
        found = cost([Life(parts(1, LARGE, 0, blocks * BLOCK), noted()), Life(parts(1, LARGE), Kept())])
        assert (found.lost, found.beyond) == (blocks * BLOCK, beyond)
        assert found.flight["journal"] == BATCHES * BATCH


def test_a_batch_is_never_less_than_a_part() -> None:
    for count, beyond in ((2, 0), (3, 4 * BLOCK)):
        found = cost(
            [
                Life(parts(1, 3 * LARGE, 0, count * 4 * BLOCK, step=4 * BLOCK), noted()),
                Life(parts(1, LARGE * 3), Kept()),
            ]
        )
        assert (found.lost, found.beyond) == (count * 4 * BLOCK, beyond)


def test_a_small_file_begins_anew_and_a_larger_one_does_not() -> None:
    for size, beyond in ((SMALL, 0), (LARGE, LARGE - BATCHES * BATCH)):
        found = cost([Life(parts(1, size), noted()), Life(parts(1, size), Kept())])
        assert (found.lost, found.beyond) == (size, beyond), "also its last page, which is shorter"


def test_what_is_not_fetched_again_was_not_lost() -> None:
    came = Life(parts(1, LARGE) + parts(2, SMALL), noted())
    assert cost([came, Life([], Kept(frozenset({1, 2}))), Life([], Kept())]).lost == 0


def test_what_is_lost_at_two_stops_counts_twice() -> None:
    came = Life(parts(2, SMALL), Kept())
    found = cost([came, came, came])
    assert (found.lost, found.flight["small"], found.beyond) == (2 * SMALL, 2 * SMALL, 0)


def test_what_came_when_the_disk_was_full_was_in_flight() -> None:
    came, again = parts(1, LARGE, 0, 8 * BLOCK), Life(parts(1, LARGE, 2 * BLOCK), Kept())
    for part in came[8:]:
        part["at"] = 101.0
    found = cost([Life(came, noted(0, 1), full=101.0), again])
    assert found.flight == {"wire": 4 * BLOCK, "open": 0, "journal": 2 * BLOCK}
    assert (found.lost, found.beyond) == (6 * BLOCK, 0)
    assert cost([Life(came, noted(0, 1)), again]).beyond == 4 * BLOCK, "there was room for it"


def test_faults_are_no_cost_of_a_stop() -> None:
    spoilt = parts(1, LARGE, 0, BLOCK, spoilt=True)
    spoilt[0]["size"] = 3
    came = spoilt + parts(1, LARGE, 0, BLOCK, acknowledged=False) + parts(1, LARGE, 0, BLOCK) + parts(1, LARGE, 0, PART)
    found = cost([Life(came, noted(0)), Life(parts(1, LARGE, BLOCK), Kept())])
    assert (found.lost, found.in_flight, found.beyond) == (0, 0, 0)
    assert found.faults == {"spoilt": PART + 3, "unheard": BLOCK, "heard": PART}
    wrong = Life(parts(1, LARGE, 0, PART) + parts(1, LARGE, PART, BLOCK, spoilt=True), noted(0))
    found = cost([wrong, Life(parts(1, LARGE), Kept())])
    assert (found.lost, found.beyond) == (0, 0), "a block that was noted and is wrong is mended"


def test_every_byte_that_left_is_one_of_the_files_or_has_a_cause() -> None:
    lives = [
        Life(parts(1, LARGE, 0, 5 * BLOCK) + parts(2, SMALL, 0, PART) + parts(1, LARGE, 0, PART), noted(0, 1)),
        Life(parts(1, LARGE, BLOCK, 6 * BLOCK, acknowledged=False) + parts(2, SMALL, spoilt=True), noted(0, 1)),
        Life(parts(1, LARGE, 2 * BLOCK) + parts(2, SMALL), Kept()),
    ]
    found = cost(lives)
    sent = sum(part["size"] for life in lives for part in life.parts)
    assert sent - LARGE - SMALL == found.lost + found.kept_again + sum(found.faults.values())


def test_what_was_kept_and_is_lost_was_not_in_flight() -> None:
    first, second = Life(parts(1, LARGE, 0, 4 * BLOCK), noted(0, 1, 2, 3)), Life([], noted(3))
    found = cost([first, second, Life(parts(1, LARGE, 0, 3 * BLOCK), Kept())])
    assert (found.lost, found.in_flight, found.beyond) == (3 * BLOCK, 0, 3 * BLOCK)


async def test_what_is_kept_are_settled_files_and_noted_blocks_that_are_as_they_were_noted(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    assert read_kept(folder) == Kept()
    folder.mkdir()
    (folder / "tobs.sqlite").touch()
    assert read_kept(folder) == Kept()
    (folder / "tobs.sqlite").unlink()
    chat = Chat(-1_000_000_000_005, "channel", "Chaos")
    row = MessageRow(chat.id, 3, "2026-01-01T00:00:00Z", None, "", "message", None, None, None, None, None, None, "{}")
    with Archive.create(folder, [chat]) as archive:
        await archive.write.commit(Batch(chat.id, Span(3, 3), [row], [], []))
    with closing(sqlite3.connect(folder / "tobs.sqlite")) as db, db:
        db.execute("INSERT INTO files VALUES (7, 'a', 1, 'media/a')")
    data = [bytes([number]) * BLOCK for number in range(3)] + [b"end"]
    half = folder / "media" / "half.part"
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"".join(data))
    state = folder / ".tobs-state" / "resilience"
    state.mkdir(parents=True)
    hashes = {str(number): hashlib.sha256(block).hexdigest() for number, block in enumerate(data)}
    entries = {"1": {"path": "media/half.part", "size": 3 * BLOCK + 3}, "2": {"path": "media/gone", "size": BLOCK * 2}}
    (state / "files.json").write_text(json.dumps(entries))
    (state / "1-0.json").write_text(json.dumps({"0": hashes["0"], "1": hashes["2"]}))
    (state / "1-1.json").write_text(json.dumps({"3": hashes["3"]}))
    (state / "1-3.json").write_text(json.dumps({"2": hashes["2"]}))
    assert read_kept(folder) == Kept(frozenset({7}), {1: frozenset({0, 3}), 2: frozenset()})


@pytest.mark.parametrize(("resume_kb", "kept", "holds"), [(RESUME_KB, 8, True), (100_000, 0, False)])
async def test_an_arm_whose_large_files_begin_anew_breaks_the_bar(
    tmp_path: Path, resume_kb: int, kept: int, holds: bool
) -> None:
    """The journal of resilience itself writes what is read here; the next run fetches what it does not have."""
    state, copies = FolderState(tmp_path / ".tobs-state" / "resilience"), Copies()
    journal = BlockJournal(lambda: state, copies, Told(), smallest=resume_kb * 1024, batch=BATCH)
    assert list(journal.kept(tmp_path, lambda _: False)) == []
    ref = MediaRef(1, 1, "video_file", 1, 2, LARGE, None, "video/mp4", "", "document", 1, b"", "")
    half = tmp_path / "half.part"
    note = await journal.open(ref, half)
    sink = note.around(await PlainDisk().open(half, LARGE))
    for block in range(8):
        await sink.write(block * BLOCK, bytes([block]) * BLOCK)
    await sink.close()
    assert note.end(whole=False, again=True) == holds
    found = read_kept(tmp_path)
    assert len(found.blocks.get(1, ())) == kept
    one = run(0)
    one.cost = cost(
        [
            Life(parts(1, LARGE, 0, 8 * BLOCK), found),
            Life(parts(1, LARGE, len(found.blocks.get(1, ())) * BLOCK), Kept()),
        ]
    )
    assert (one.cost.beyond == 0) == holds
    assert (one.hold() == "") == holds


# ---------------------------------------------------------------- the bar


def run(number: int, kind: str = "kill", *, again: int = 0, lab: int = 0, undisturbed: float = 0.0) -> chaos_told.Run:
    return chaos_told.Run(number, kind, 1, lab=lab, files=FILES, again=again, undisturbed=undisturbed)


def test_a_run_where_a_large_file_begins_anew_breaks_the_bar() -> None:
    one = run(0)
    one.cost = cost([Life(parts(1, LARGE), noted()), Life(parts(1, LARGE), Kept())])
    assert f"{LARGE - BATCHES * BATCH:,} of {FILES:,} bytes" in one.hold()
    assert chaos_told.bars([one, run(1)])[0].startswith("1 of 2 runs fetched more than 2%")
    assert [told["run"] for told in chaos_told.summary([one, run(1)])["beyond"]] == [0]
    one.cost = cost([Life(parts(1, LARGE, 0, 2 * BLOCK), noted()), Life(parts(1, LARGE), Kept())])
    assert one.hold() == ""


def test_the_excess_is_beside_what_undisturbed_runs_fetch_again_and_what_was_in_flight() -> None:
    one = run(0, again=500_000, undisturbed=120_000.5)
    one.cost = Cost(lost=300_000, flight=Counter(wire=200_000, small=50_000))
    assert one.excess == 500_000 - 120_000.5 - 250_000


@pytest.mark.parametrize(("share", "broken"), [(0.019, 0), (0.021, 1)])
def test_all_runs_without_outages_are_held_to_the_bar(share: float, broken: int) -> None:
    runs = [run(n, again=round(FILES * share * (n % 3)), lab=n // 3) for n in range(12)]
    away = [run(20 + n, "away", again=FILES * (n % 2), lab=9 + n) for n in range(4)]
    assert chaos_told.excess(runs)["share"] == pytest.approx(share, abs=1e-4)
    assert len([told for told in chaos_told.bars(runs + away) if told.startswith("without outages")]) == broken


def test_a_kind_is_held_to_the_bar_as_far_as_chance_does_not_explain_it() -> None:
    good = [run(n, "full", lab=n) for n in range(90)]
    scattered = [run(n, "kill", again=round(FILES * 0.15 * (n == 0)), lab=100 + n) for n in range(6)]
    surely = [run(n, "kill", again=round(FILES * (0.03 + 0.001 * n)), lab=100 + n) for n in range(6)]
    assert chaos_told.excess(scattered)["share"] == pytest.approx(0.025)
    assert chaos_told.bars(good + scattered) == []
    (told,) = chaos_told.bars(good + surely)
    assert told.startswith("kill: 3.25%")


def test_runs_on_one_lab_are_one_sample_of_the_standard_error() -> None:
    assert chaos_told.excess([run(0), run(1)]) == {"share": 0.0, "error": None, "at_most": None}
    assert chaos_told.excess([]) == {"share": None, "error": None, "at_most": None}
    one = [run(n, again=round(FILES * 0.02 * (n % 2)), lab=n % 2) for n in range(10)]
    assert chaos_told.excess(one) == {"share": 0.01, "error": 0.01, "at_most": 0.03}
