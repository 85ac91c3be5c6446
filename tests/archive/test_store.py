"""Commits: rows, media, peers and spans together; what is known is never lost."""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.rows import (
    CHANNEL,
    CHAT,
    OTHER,
    batch,
    commit,
    message,
    photo,
    query,
    settle,
    store_file,
    user,
    with_photo,
)
from tobs.archive import Archive
from tobs.archive.schema import CACHE
from tobs.archive.store import Store
from tobs.errors import ArchiveError
from tobs.values import PeerRow, Settled, Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.create(tmp_path / "archive", [CHAT, OTHER]) as opened:
        yield opened


def rows(archive: Archive, sql: str) -> list[tuple[Any, ...]]:
    return query(archive.folder, sql)


def test_a_batch_is_kept_with_its_span_and_media(archive: Archive) -> None:
    commit(archive, batch([with_photo(8, 1), message(5)], [photo(8, 1)], [user(55, "Ann")], span=Span(4, 9)))
    assert rows(archive, "SELECT id, text FROM messages ORDER BY id") == [(5, "message 5"), (8, "message 8")]
    assert rows(archive, "SELECT message_id, file_id, status FROM media") == [(8, 1, "pending")]
    assert rows(archive, "SELECT id, name FROM users") == [(55, "Ann")]
    assert archive.gaps(CHANNEL, 12) == [Span(10, 12), Span(1, 3)]
    assert list(archive.pending(CHANNEL)) == [photo(8, 1)]


def test_an_empty_page_covers_its_span(archive: Archive) -> None:
    commit(archive, batch(span=Span(1, 40)))
    assert archive.gaps(CHANNEL, 40) == []


def test_a_batch_that_fails_leaves_nothing(archive: Archive) -> None:
    bad = photo(99, 1)  # of a message that is not there
    with pytest.raises(ArchiveError):
        commit(archive, batch([message(1)], [bad], [user(1, "Ann")]))
    for table in ("messages", "media", "users", "spans"):
        assert rows(archive, f"SELECT * FROM {table}") == []
    commit(archive, batch([message(1)], peers=[user(1, "Ann")]))
    assert rows(archive, "SELECT name FROM users") == [("Ann",)]


def test_the_same_batch_again_changes_nothing(archive: Archive) -> None:
    given = batch([with_photo(8, 1), message(5)], [photo(8, 1)])
    commit(archive, given)
    before = [rows(archive, f"SELECT * FROM {table}") for table in ("messages", "media", "spans", "edits", "stale")]
    commit(archive, given)
    after = [rows(archive, f"SELECT * FROM {table}") for table in ("messages", "media", "spans", "edits", "stale")]
    assert after == before


def test_an_edit_replaces_the_row_and_keeps_the_old_version(archive: Archive) -> None:
    commit(archive, batch([message(5, "first")]))
    commit(archive, batch([message(5, "second", edited="2024-02-01T00:00:00+00:00")]))
    commit(archive, batch([message(5, "third", edited="2024-02-02T00:00:00+00:00")]))
    assert rows(archive, "SELECT text FROM messages") == [("third",)]
    assert rows(archive, "SELECT text, edited FROM edits ORDER BY seq") == [
        ("first", None),
        ("second", "2024-02-01T00:00:00+00:00"),
    ]


def test_new_views_are_no_edit(archive: Archive) -> None:
    commit(archive, batch([message(5, views=10)]))
    commit(archive, batch([message(5, views=20, raw={"views": 20})]))
    assert rows(archive, "SELECT views FROM messages") == [(20,)]
    assert rows(archive, "SELECT * FROM edits") == []


def test_what_comes_back_emptied_erases_nothing(archive: Archive) -> None:
    commit(archive, batch([with_photo(1, 7), message(2, "words"), message(3, "words")], [photo(1, 7)]))
    gone = message(1, raw={"media": {"_": "MessageMediaPhoto", "ttl_seconds": 5}})
    cleared = message(3, "", kind="service", raw={"action": {"_": "MessageActionHistoryClear"}})
    commit(archive, batch([gone, message(2, ""), cleared]))
    assert rows(archive, "SELECT text, kind, instr(raw, 'photo') > 0 FROM messages ORDER BY id") == [
        ("message 1", "message", 1),
        ("words", "message", 0),
        ("words", "message", 0),
    ]
    assert len(list(archive.pending(CHANNEL))) == 1


def test_an_edit_that_changes_the_file_changes_the_reference(archive: Archive) -> None:
    commit(archive, batch([with_photo(1, 7)], [photo(1, 7)]))
    store_file(archive, photo(1, 7), b"first")
    commit(archive, batch([with_photo(1, 8, edited="2024-02-01T00:00:00+00:00")], [photo(1, 8)]))
    assert [ref.file_id for ref in archive.pending(CHANNEL)] == [8]
    assert rows(archive, "SELECT file_id FROM media") == [(8,)]
    old = archive.stored(7)
    assert old is not None
    assert (archive.folder / str(old.path)).read_bytes() == b"first"


def test_an_edit_read_without_its_media_keeps_the_reference(archive: Archive) -> None:
    commit(archive, batch([with_photo(1, 7)], [photo(1, 7)]))
    commit(archive, batch([with_photo(1, 7, edited="2024-02-01T00:00:00+00:00")]))
    assert [ref.file_id for ref in archive.pending(CHANNEL)] == [7]


def test_a_pending_reference_is_refreshed_and_a_settled_one_is_not(archive: Archive) -> None:
    commit(archive, batch([with_photo(1, 7), with_photo(2, 8)], [photo(1, 7), photo(2, 8)]))
    store_file(archive, photo(1, 7), b"bytes")
    commit(
        archive,
        batch([with_photo(1, 7), with_photo(2, 8)], [photo(1, 7, reference=b"new"), photo(2, 8, reference=b"new")]),
    )
    assert rows(archive, "SELECT file_id, status, reference FROM media ORDER BY file_id") == [
        (7, "done", b"ref"),
        (8, "pending", b"new"),
    ]


def test_a_file_posted_twice_is_settled_once(archive: Archive) -> None:
    first, second = photo(1, 7), photo(2, 7)
    commit(archive, batch([with_photo(1, 7), with_photo(2, 7)], [first, second]))
    done = store_file(archive, second, b"bytes")
    assert list(archive.pending(CHANNEL)) == []
    stored = archive.stored(7)
    assert stored is not None
    assert (stored.sha256, stored.size, stored.path) == (done.sha256, 5, done.path)


def test_a_missing_reference_does_not_spoil_the_same_file_elsewhere(archive: Archive) -> None:
    commit(archive, batch([with_photo(1, 7), with_photo(2, 7)], [photo(1, 7), photo(2, 7)]))
    settle(archive, Settled(photo(1, 7), "missing", reason="LOCATION_INVALID"))
    assert [ref.message_id for ref in archive.pending(CHANNEL)] == [2]
    store_file(archive, photo(2, 7), b"bytes")
    assert rows(archive, "SELECT DISTINCT status FROM media") == [("done",)]


def test_failed_references_are_tried_again_and_skipped_ones_on_request(archive: Archive) -> None:
    commit(archive, batch([with_photo(n, n) for n in (1, 2, 3)], [photo(n, n) for n in (1, 2, 3)]))
    settle(archive, Settled(photo(1, 1), "failed", reason="timeout"), Settled(photo(2, 2), "skipped"))
    assert [ref.message_id for ref in archive.pending(CHANNEL)] == [1, 3]
    assert archive.retry(CHANNEL, ["skipped"]) == 1
    assert [ref.message_id for ref in archive.pending(CHANNEL)] == [1, 2, 3]


def test_stored_looks_at_the_disk(archive: Archive) -> None:
    commit(archive, batch([with_photo(1, 7)], [photo(1, 7)]))
    assert archive.stored(7) is None
    done = store_file(archive, photo(1, 7), b"bytes")
    path = archive.folder / str(done.path)
    path.write_bytes(b"byte")
    assert archive.stored(7) is None
    path.unlink()
    assert archive.stored(7) is None
    assert archive.forget([7]) == 1
    assert [ref.file_id for ref in archive.pending(CHANNEL)] == [7]


def test_pending_may_be_settled_while_it_is_walked(archive: Archive) -> None:
    numbers = list(range(1, 351))
    commit(archive, batch([with_photo(n, n) for n in numbers], [photo(n, n) for n in reversed(numbers)]))
    walked = []
    for ref in archive.pending(CHANNEL):
        walked.append(ref.message_id)
        settle(archive, Settled(ref, "failed" if ref.message_id % 2 else "missing"))
    assert walked == numbers
    assert len(list(archive.pending(CHANNEL))) == 175


def test_ids_of_64_bits_with_sign_are_kept(archive: Archive) -> None:
    ref = photo(1, -(1 << 63))._replace(access_hash=(1 << 63) - 1)
    commit(archive, batch([with_photo(1, -(1 << 63))], [ref]))
    assert list(archive.pending(CHANNEL)) == [ref]


def test_a_stub_of_a_peer_does_not_replace_the_whole(archive: Archive) -> None:
    commit(archive, batch([message(1)], peers=[user(55, "Ann Old", phone="123")]))
    commit(archive, batch([message(2)], peers=[user(55, "", min=True)]))
    assert rows(archive, "SELECT name, phone FROM users") == [("Ann Old", "123")]
    commit(archive, batch([message(3)], peers=[user(55, "Ann New")]))
    assert rows(archive, "SELECT name FROM users") == [("Ann New",)]
    commit(archive, batch([message(4)], peers=[PeerRow(CHANNEL, "channel", "News 2", "news", '{"_":"Channel"}')]))
    assert rows(archive, f"SELECT title, exported FROM chats WHERE id = {CHANNEL}") == [("News 2", 1)]


def test_sweep_removes_half_written_files_only(archive: Archive) -> None:
    ref = photo(1, 7)._replace(kind="file", name="archive.part")
    commit(archive, batch([with_photo(1, 7)], [ref]))
    kept = store_file(archive, ref, b"whole")
    folder = archive.folder / "media" / "photos"
    folder.mkdir()
    (folder / "a.jpg.part").write_bytes(b"half")
    (folder / "b.jpg").write_bytes(b"whole")
    assert str(kept.path).endswith(".part")
    assert archive.sweep() == 1
    assert archive.sweep() == 0
    assert (archive.folder / str(kept.path)).exists()
    assert [path.name for path in folder.iterdir()] == ["b.jpg"]


def test_totals_count_references_and_distinct_files(archive: Archive) -> None:
    numbers = (1, 2, 3, 4)
    commit(archive, batch([with_photo(n, n % 3) for n in numbers], [photo(n, n % 3) for n in numbers]))
    store_file(archive, photo(1, 1), b"12345")
    settle(archive, Settled(photo(3, 0), "missing"))
    commit(archive, batch([message(1, chat=OTHER.id)], chat=OTHER.id))
    totals = archive.totals()
    one = totals.chats[CHANNEL]
    assert (one.messages, one.files, one.bytes, one.distinct_files, one.distinct_bytes) == (4, 2, 10, 1, 5)
    assert (one.pending, one.missing) == (1, 1)
    assert totals.chats[OTHER.id].messages == 1
    assert (totals.all.messages, totals.all.files, totals.all.distinct_bytes) == (5, 2, 5)


TUNED: dict[str, Any] = {"journal": "wal", "synchronous": "normal", "page_size": 16384, "log": 1 << 25}


def pragma(archive: Archive, name: str) -> Any:
    return archive._db.execute(f"PRAGMA {name}").fetchone()[0]


def tune(archive: Archive, **changed: Any) -> None:
    assert isinstance(archive.write, Store)
    archive.write.tune(**(TUNED | changed))


def test_a_tuned_archive_without_messages_takes_another_page_size_and_keeps_it(archive: Archive) -> None:
    before = rows(archive, "SELECT * FROM chats")
    archive.start_run({})
    tune(archive)
    assert (pragma(archive, "page_size"), pragma(archive, "journal_mode")) == (16384, "wal")
    assert (pragma(archive, "synchronous"), pragma(archive, "wal_autocheckpoint")) == (1, 2048)
    assert pragma(archive, "busy_timeout") == 10_000
    assert rows(archive, "SELECT * FROM chats") == before
    commit(archive, batch([message(1)]))
    tune(archive, page_size=4096)
    assert pragma(archive, "page_size") == 16384
    folder = archive.folder
    archive.close()
    with Archive.create(folder, [CHAT]) as again:
        assert pragma(again, "page_size") == 16384
        assert again.messages(CHANNEL) == 1


def test_larger_pages_take_no_more_memory(archive: Archive) -> None:
    """SQLite, asked for another page size, goes on to hold as many pages as before, each of them larger."""
    used = sqlite_memory()
    tune(archive)
    text = "x" * 20_000
    for page in range(12):
        commit(archive, batch([message(100 * page + each, text=text) for each in range(1, 101)]))
    assert sqlite_memory() - used < 1.25 * CACHE


def sqlite_memory() -> int:
    """Bytes that SQLite holds, in all connections of this process."""
    try:
        used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    except (AttributeError, OSError):
        pytest.skip("SQLite does not say what it holds")
    used.restype = ctypes.c_int64
    return int(used())


def test_a_journal_other_than_the_log_is_never_less_than_fully_synced(archive: Archive) -> None:
    tune(archive, journal="truncate")
    assert (pragma(archive, "journal_mode"), pragma(archive, "synchronous")) == ("truncate", 2)
    commit(archive, batch([message(1)]))
    tune(archive, synchronous="full")
    assert (pragma(archive, "journal_mode"), pragma(archive, "synchronous")) == ("wal", 2)
    assert archive.messages(CHANNEL) == 1


def test_a_reader_keeps_what_cannot_be_changed_under_it(archive: Archive) -> None:
    commit(archive, batch([message(1)]))
    reader = sqlite3.connect(archive.folder / "tobs.sqlite")
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM messages").fetchone()
        tune(archive, journal="truncate", synchronous="normal")
        assert (pragma(archive, "journal_mode"), pragma(archive, "synchronous")) == ("wal", 1)
        commit(archive, batch([message(2)]))
    finally:
        reader.close()
    assert archive.messages(CHANNEL) == 2


def test_a_reader_keeps_an_empty_archive_as_it_is(archive: Archive) -> None:
    reader = sqlite3.connect(archive.folder / "tobs.sqlite")
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM messages").fetchone()
        tune(archive)
        assert (pragma(archive, "page_size"), pragma(archive, "journal_mode")) == (4096, "wal")
    finally:
        reader.close()
    commit(archive, batch([message(2)]))
    assert archive.messages(CHANNEL) == 1


def test_what_is_kept_of_a_span_is_told_as_it_was_kept(archive: Archive) -> None:
    rows = [message(9), message(5), message(3)]
    commit(archive, batch(rows))
    assert archive.raw(CHANNEL, Span(3, 5)) == {row.id: row.raw.encode() for row in rows[1:]}
    commit(archive, batch([message(5, "mended", edited="2026-01-01T00:00:00+00:00")]))
    assert b"mended" in archive.raw(CHANNEL, Span(4, 100))[5]
    assert archive.raw(CHANNEL, Span(10, 20)) == archive.raw(CHANNEL + 1, Span(1, 20)) == {}


def test_files_of_a_size_are_found_each_path_once(archive: Archive) -> None:
    commit(archive, batch([with_photo(n, n) for n in (1, 2, 3, 4)], [photo(n, n) for n in (1, 2, 3, 4)]))
    first = store_file(archive, photo(2, 2), b"12345")
    store_file(archive, photo(3, 3), b"54321")
    store_file(archive, photo(4, 4), b"longer")
    settle(archive, replace(first, ref=photo(1, 1)))
    found = archive.of_size(5, 10)
    assert sorted((one.file_id, one.path.read_bytes()) for one in found) == [(1, b"12345"), (3, b"54321")]
    assert len(archive.of_size(5, 1)) == 1
    assert archive.of_size(7, 10) == []
    assert archive.holds(first.path or "")
    assert not archive.holds("media/photos/other.jpg")
