"""The checker itself: whatever is spoiled, it sees."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.export.checker import differences
from tests.export.labs import Served, export

if TYPE_CHECKING:
    from pathlib import Path

SPOILED = [
    "UPDATE messages SET text = text || '.' WHERE id = (SELECT min(id) FROM messages WHERE text <> '')",
    "UPDATE messages SET date = '2020-01-01T00:00:00+00:00' WHERE id = (SELECT max(id) FROM messages)",
    "UPDATE messages SET sender_id = 1 WHERE id = (SELECT max(id) FROM messages)",
    "UPDATE messages SET kind = 'message' WHERE kind = 'service'",
    "UPDATE messages SET reply_to = NULL",
    "UPDATE messages SET grouped_id = NULL",
    "UPDATE messages SET edited = NULL",
    "UPDATE messages SET views = NULL, forwards = NULL",
    "UPDATE messages SET raw = json_remove(raw, '$.entities[0]')",
    "UPDATE messages SET raw = json_remove(raw, '$.fwd_from')",
    "UPDATE messages SET raw = json_set(raw, '$.action.title', 'Another') WHERE raw LIKE '%ChatEditTitle%'",
    "UPDATE messages SET chat_id = -5 WHERE id = (SELECT max(id) FROM messages)",
    "DELETE FROM messages WHERE id = (SELECT max(id) FROM messages)",
    "DELETE FROM media WHERE message_id = (SELECT max(message_id) FROM media)",
    "UPDATE media SET status = 'failed'",
    "UPDATE media SET kind = 'file' WHERE kind = 'photo'",
    "UPDATE files SET path = (SELECT min(path) FROM files)",
    "DELETE FROM files WHERE id = (SELECT max(id) FROM files)",
    "UPDATE users SET raw = json_set(raw, '$.first_name', 'Nobody')",
]


@pytest.fixture
async def archive(small: Served, tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    await export(small.server, folder, [small.chat])
    return folder


async def test_every_field_is_looked_at(small: Served, archive: Path) -> None:
    database = archive / "tobs.sqlite"
    whole = database.read_bytes()
    for spoil in SPOILED:
        with closing(sqlite3.connect(database)) as db:
            assert db.execute(spoil).rowcount > 0, spoil
            db.commit()
        try:
            found = differences(archive, small.world, [small.chat])
        except (KeyError, TypeError) as error:  # a file without a path
            found = [str(error)]
        assert found, spoil
        database.write_bytes(whole)
    assert differences(archive, small.world, [small.chat]) == []


async def test_every_byte_is_looked_at(small: Served, archive: Path) -> None:
    largest = max((archive / "media").rglob("*.*"), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert differences(archive, small.world, [small.chat]) != []
    largest.write_bytes(whole)
    (largest.parent / "stranger.bin.part").write_bytes(b"")
    assert differences(archive, small.world, [small.chat]) == [
        f"{(largest.parent / 'stranger.bin.part').relative_to(archive).as_posix()} lies in media and is no file's"
    ]
