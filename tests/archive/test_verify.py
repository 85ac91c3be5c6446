"""verify finds what is missing, damaged or foreign, and says which messages it hits."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.archive.rows import CHANNEL, CHAT, batch, commit, photo, store_file, with_photo
from tobs.archive import Archive
from tobs.archive.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five messages; the files 1 to 3 are here (1 is posted twice), file 9 is pending."""
    with Archive.create(tmp_path, [CHAT]) as archive:
        files = {1: 1, 2: 2, 3: 3, 4: 1, 5: 9}
        commit(archive, batch([with_photo(n, f) for n, f in files.items()], [photo(n, f) for n, f in files.items()]))
        for number in (1, 2, 3):
            store_file(archive, photo(number, number), b"bytes" * number)
    return tmp_path


def path_of(folder: Path, number: int) -> Path:
    return folder / "media" / "photos" / f"photo_2024-01-31_12-00-00_{number}.jpg"


def test_a_whole_archive_is_ok(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = verify(folder, lambda done, every: seen.append((done, every)))
    assert found.ok
    assert (found.messages, found.files, found.pending) == (5, 3, 1)
    assert (found.missing, found.corrupt, found.unverified, found.foreign, found.problems) == ((),) * 5
    assert seen[-1] == (30, 30)


def test_a_missing_file_is_named_with_all_its_messages(folder: Path) -> None:
    path_of(folder, 1).unlink()
    found = verify(folder)
    assert not found.ok
    (finding,) = found.missing
    assert finding.path == path_of(folder, 1).relative_to(folder).as_posix()
    assert finding.messages == ((CHANNEL, 1), (CHANNEL, 4))


def test_a_changed_byte_and_a_changed_size_are_corrupt(folder: Path) -> None:
    path_of(folder, 2).write_bytes(b"bytesbytez")
    path_of(folder, 3).write_bytes(b"short")
    found = verify(folder)
    assert not found.ok
    assert [finding.file_id for finding in found.corrupt] == [2, 3]
    assert "SHA-256" in found.corrupt[0].reason
    assert found.corrupt[1].reason == "5 bytes instead of 15"


def test_foreign_files_are_listed_and_do_no_harm(folder: Path) -> None:
    (folder / "media" / "photos" / "holiday.jpg").write_bytes(b"mine")
    (folder / "media" / "photos" / "now.jpg.part").write_bytes(b"being written")
    found = verify(folder)
    assert found.ok
    assert found.foreign == ("media/photos/holiday.jpg",)


def test_a_path_out_of_the_archive_is_not_followed(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.write_bytes(b"bytes")
    db = sqlite3.connect(folder / "tobs.sqlite")
    with db:
        db.execute("UPDATE files SET path = '../outside' WHERE id = 1")
    db.close()
    found = verify(folder)
    assert not found.ok
    assert found.unverified[0].reason == "the path leads out of the archive"


def test_rows_that_contradict_each_other_are_problems(folder: Path) -> None:
    db = sqlite3.connect(folder / "tobs.sqlite")
    with db:
        db.execute("DELETE FROM messages WHERE id = 5")
        db.execute("DELETE FROM files WHERE id = 2")
    db.close()
    found = verify(folder)
    assert not found.ok
    assert "media" in found.problems[0]
    assert [finding.reason for finding in found.missing] == ["settled as done, but no file is recorded"]
    assert found.missing[0].messages == ((CHANNEL, 2),)


def test_what_verify_found_can_be_fetched_again(folder: Path) -> None:
    path_of(folder, 1).unlink()
    path_of(folder, 2).write_bytes(b"")
    found = verify(folder)
    with Archive.create(folder, [CHAT]) as archive:
        assert archive.forget(one.file_id for one in (*found.missing, *found.corrupt)) == 3
        for ref in list(archive.pending(CHANNEL)):
            store_file(archive, ref, b"fresh")
    assert verify(folder).ok


def test_many_files_are_hashed_with_bounded_work_ahead(tmp_path: Path) -> None:
    numbers = list(range(1, 301))
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([with_photo(n, n) for n in numbers], [photo(n, n) for n in numbers]))
        for number in numbers:
            store_file(archive, photo(number, number), str(number).encode())
    found = verify(tmp_path)
    assert found.ok
    assert found.files == 300
