"""Opening an archive: whose folder it is, who may write, and what is said when it cannot be."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.archive.rows import CHANNEL, CHAT, OTHER, batch, commit, message, query
from tobs.archive import Archive
from tobs.archive.faults import guard
from tobs.archive.space import free_space, require_space
from tobs.errors import ArchiveError
from tobs.values import PeerRow, Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPENINGS: tuple[Callable[[Path], Archive], ...] = (
    lambda folder: Archive.create(folder, [CHAT]),
    Archive.open,
)


def test_a_new_folder_is_made_and_opens_again(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "archive"
    with Archive.create(folder, [CHAT]) as archive:
        commit(archive, batch([message(1)]))
    with Archive.create(folder, [CHAT]) as archive:
        assert archive.messages(CHANNEL) == 1
    with Archive.open(folder) as archive:
        assert archive.messages(CHANNEL) == 1
        assert archive.chats() == [CHANNEL]


def test_another_programs_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ArchiveError, match=r"letter\.txt") as caught:
        Archive.create(tmp_path, [CHAT])
    assert "-o" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "tobs.sqlite")
    db.execute("CREATE TABLE mine (x)")
    db.close()
    with pytest.raises(ArchiveError, match="not an archive of TOBS"):
        Archive.create(tmp_path, [CHAT])
    assert query(tmp_path, "SELECT name FROM sqlite_master") == [("mine",)]


def test_a_damaged_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tobs.sqlite").write_bytes(b"no database at all " * 500)
    for action in OPENINGS:
        with pytest.raises(ArchiveError, match="damaged") as caught:
            action(tmp_path)
        assert "backup" in caught.value.hint


def test_an_index_that_an_archive_lacks_is_made(tmp_path: Path) -> None:
    Archive.create(tmp_path, [CHAT]).close()
    query(tmp_path, "DROP INDEX files_size")
    Archive.create(tmp_path, [CHAT]).close()
    (plan,) = query(tmp_path, "EXPLAIN QUERY PLAN SELECT min(id), path FROM files WHERE size = 1 GROUP BY path")
    assert "USING COVERING INDEX files_size" in plan[-1]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Archive.create(tmp_path, [CHAT]).close()
    db = sqlite3.connect(tmp_path / "tobs.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    for action in OPENINGS:
        with pytest.raises(ArchiveError, match="newer TOBS"):
            action(tmp_path)


def test_no_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="holds no archive"):
        Archive.open(tmp_path)


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file")
    with pytest.raises(ArchiveError):
        Archive.create(tmp_path / "archive", [CHAT])


def test_another_chat_needs_add(tmp_path: Path) -> None:
    Archive.create(tmp_path, [CHAT]).close()
    with pytest.raises(ArchiveError, match=r"News.*Family") as caught:
        Archive.create(tmp_path, [OTHER])
    assert "--add" in caught.value.hint
    with pytest.raises(ArchiveError):
        Archive.create(tmp_path, [CHAT, OTHER])
    Archive.create(tmp_path, [OTHER], add=True).close()
    with Archive.create(tmp_path, [OTHER]) as archive:
        assert archive.chats() == [CHANNEL, OTHER.id]


def test_a_chat_that_is_merely_named_does_not_count_as_exported(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1)], peers=[PeerRow(OTHER.id, "chat", "Family", None, "{}")]))
        assert archive.chats() == [CHANNEL]
    with pytest.raises(ArchiveError):
        Archive.create(tmp_path, [OTHER])


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]):
        with pytest.raises(ArchiveError, match=rf"process {os.getpid()} on .* since 20"):
            Archive.create(tmp_path, [CHAT])
        code = (
            "import sys, pathlib; from tobs.archive import Archive; from tobs.errors import ArchiveError\n"
            "try: Archive.create(pathlib.Path(sys.argv[1]), [])\n"
            "except ArchiveError as error: print(error); sys.exit(7)"
        )
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
        assert other.returncode == 7, other.stderr
        assert f"process {os.getpid()}" in other.stdout
    Archive.create(tmp_path, [CHAT]).close()


def test_a_failed_opening_gives_the_lock_back(tmp_path: Path) -> None:
    Archive.create(tmp_path, [CHAT]).close()
    with pytest.raises(ArchiveError):
        Archive.create(tmp_path, [OTHER])
    Archive.create(tmp_path, [CHAT]).close()


def test_reading_goes_on_while_a_writer_is_at_work(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as writer:
        commit(writer, batch([message(5)]))
        with Archive.open(tmp_path) as reader:
            assert reader.messages(CHANNEL) == 1
            commit(writer, batch([message(6)]))
            assert reader.messages(CHANNEL) == 2


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    Archive.create(tmp_path, [CHAT]).close()
    with Archive.open(tmp_path) as archive, pytest.raises(ArchiveError):
        commit(archive, batch([message(1)]))


def test_closing_leaves_one_database_file(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1)]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tobs.lock", "tobs.sqlite"]
    archive.close()


def test_a_run_is_noted_without_secrets_and_an_interrupted_one_is_found(tmp_path: Path) -> None:
    archive = Archive.create(tmp_path, [CHAT])
    first = archive.start_run({"plan": "baseline", "server": {"api_hash": "f00d", "host": "here"}})
    archive.end_run(first, {"outcome": "done", "messages": 3})
    archive.start_run({})
    archive.close()
    Archive.create(tmp_path, [CHAT]).close()
    runs = query(tmp_path, "SELECT outcome, plan, counts, ended IS NULL FROM runs ORDER BY id")
    assert runs[0][0] == "done"
    assert "f00d" not in runs[0][1]
    assert '"host":"here"' in runs[0][1]
    assert '"messages":3' in runs[0][2]
    assert runs[1][0] == "interrupted"
    assert not runs[1][3]


def test_a_full_disk_is_said_and_nothing_is_half_kept(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(1)]))
        pages = archive._db.execute("PRAGMA page_count").fetchone()[0]
        archive._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ArchiveError, match="no space is left") as caught:
            commit(archive, batch([message(n, "x" * 5000) for n in range(2, 60)]))
        assert "run the same command again" in caught.value.hint
        assert archive.messages(CHANNEL) == 1
        assert archive.gaps(CHANNEL, 3) == [Span(2, 3)]
        archive._db.execute("PRAGMA max_page_count = 1000000")
        commit(archive, batch([message(2)]))
        assert archive.messages(CHANNEL) == 2


def test_space_is_required_with_a_margin(tmp_path: Path) -> None:
    free = free_space(tmp_path / "not" / "there" / "yet")
    assert free > 0
    require_space(tmp_path, 0)
    with pytest.raises(ArchiveError, match=r"needs .* are free") as caught:
        require_space(tmp_path, free * 2)
    assert "-o" in caught.value.hint


def test_what_the_system_refuses_is_translated(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no space is left"), guard(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ArchiveError, match="Permission denied"), guard(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
