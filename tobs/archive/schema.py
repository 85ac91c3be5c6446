"""The tables of `tobs.sqlite`, and the one place that opens it.

The tables are plain SQL rather than sqlite-utils calls because compound foreign keys, partial indexes and
generated columns cannot be said there. The full-text index and the derived tables are sqlite-utils' work
(see `derive.py`).

What was chosen where there was a choice:

- `messages.seq` is the row's own key, so that a page is appended to the table and FTS5 has a stable rowid;
  `(chat_id, id)` is what everybody else refers to.
- `media.file_id` is a plain indexed column, not a foreign key: a row of `files` exists once the bytes do.
- `edits` holds what an edit replaced, oldest first by `seq`; `stale` names rows that changed after they were
  indexed, with the text that the index knows.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from tobs.archive.faults import guard
from tobs.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "tobs.sqlite"
VERSION = 1
APPLICATION = 0x544F4253
"""`PRAGMA application_id`: "TOBS" in ASCII, so that `file` and we recognise an archive."""

CACHE = 16_384_000
"""Bytes of database pages that SQLite keeps in memory."""
LOG = 8000 * 4096
"""Bytes of SQLite's log after which it is moved into the database."""

TABLES = f"""
CREATE TABLE chats (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, username TEXT, raw TEXT,
    exported INTEGER NOT NULL DEFAULT 0);
CREATE TABLE users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, username TEXT, raw TEXT NOT NULL,
    phone TEXT GENERATED ALWAYS AS (json_extract(raw, '$.phone')) VIRTUAL);
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    chat_id INTEGER NOT NULL REFERENCES chats(id),
    id INTEGER NOT NULL,
    date TEXT NOT NULL, sender_id INTEGER, text TEXT NOT NULL, kind TEXT NOT NULL, reply_to INTEGER,
    grouped_id INTEGER, topic_id INTEGER, edited TEXT, views INTEGER, forwards INTEGER, raw TEXT NOT NULL,
    UNIQUE (chat_id, id));
CREATE TABLE edits (
    seq INTEGER PRIMARY KEY, chat_id INTEGER NOT NULL, id INTEGER NOT NULL, edited TEXT,
    text TEXT NOT NULL, raw TEXT NOT NULL,
    FOREIGN KEY (chat_id, id) REFERENCES messages(chat_id, id));
CREATE INDEX edits_message ON edits(chat_id, id);
CREATE TABLE media (
    chat_id INTEGER NOT NULL, message_id INTEGER NOT NULL, kind TEXT NOT NULL, file_id INTEGER NOT NULL,
    name TEXT, mime TEXT NOT NULL, size INTEGER NOT NULL, status TEXT NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'done', 'missing', 'skipped', 'failed')),
    dc INTEGER NOT NULL, form TEXT NOT NULL, access_hash INTEGER NOT NULL, reference BLOB NOT NULL,
    thumb TEXT NOT NULL, date TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (chat_id, message_id, file_id),
    FOREIGN KEY (chat_id, message_id) REFERENCES messages(chat_id, id)) WITHOUT ROWID;
CREATE INDEX media_file ON media(file_id);
CREATE INDEX media_open ON media(chat_id, message_id, file_id) WHERE status IN ('pending', 'failed');
CREATE TABLE files (
    id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, path TEXT NOT NULL);
CREATE INDEX files_sha256 ON files(sha256);
CREATE INDEX files_path ON files(path);
CREATE TABLE spans (
    chat_id INTEGER NOT NULL REFERENCES chats(id), low INTEGER NOT NULL, high INTEGER NOT NULL,
    PRIMARY KEY (chat_id, low)) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, started TEXT NOT NULL, ended TEXT, outcome TEXT, plan TEXT NOT NULL, counts TEXT);
CREATE TABLE reactions (
    chat_id INTEGER NOT NULL, message_id INTEGER NOT NULL, kind TEXT NOT NULL, reaction TEXT NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (chat_id, message_id, kind, reaction),
    FOREIGN KEY (chat_id, message_id) REFERENCES messages(chat_id, id)) WITHOUT ROWID;
CREATE TABLE polls (
    chat_id INTEGER NOT NULL, message_id INTEGER NOT NULL, poll_id INTEGER NOT NULL, question TEXT NOT NULL,
    closed INTEGER NOT NULL, quiz INTEGER NOT NULL, multiple INTEGER NOT NULL, total_voters INTEGER,
    answers TEXT NOT NULL, PRIMARY KEY (chat_id, message_id),
    FOREIGN KEY (chat_id, message_id) REFERENCES messages(chat_id, id)) WITHOUT ROWID;
CREATE TABLE topics (
    chat_id INTEGER NOT NULL REFERENCES chats(id), id INTEGER NOT NULL, title TEXT NOT NULL,
    icon_color INTEGER, icon_emoji_id INTEGER, created TEXT, closed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (chat_id, id)) WITHOUT ROWID;
CREATE TABLE stale (seq INTEGER PRIMARY KEY REFERENCES messages(seq), text TEXT NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""

BY_SIZE = "CREATE INDEX IF NOT EXISTS files_size ON files(size, path)"
"""Also made in an archive that has its tables already and lacks it: an index needs no version of its own."""


def connect(folder: Path) -> sqlite3.Connection:
    """Open `tobs.sqlite` for writing; make it and its tables where they are missing.

    Raises `ArchiveError` for a file that is damaged, another program's or of a newer version of TOBS.
    """
    with guard(folder):
        db = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            version = _recognise(db, folder)
            # WAL: readers (search, verify) go on while a writer commits, and a commit costs no fsync.
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            _checkpoint_every(db, LOG)
            _hold_at_most(db, CACHE)
            db.execute("PRAGMA foreign_keys = ON")
            if version == 0:
                db.executescript(f"BEGIN;{TABLES}COMMIT;")
            db.execute(BY_SIZE)
        except BaseException:
            db.close()
            raise
    return db


def tune(db: sqlite3.Connection, folder: Path, *, journal: str, synchronous: str, page_size: int, log: int) -> None:
    """Set how the database is written until it is closed; see `tobs.ports.ArchiveWrite.tune`.

    What cannot be had because another program reads the database just now stays as it is. Raises `ArchiveError`.
    """
    with guard(folder):
        waits = db.execute("PRAGMA busy_timeout").fetchone()[0]
        db.execute("PRAGMA busy_timeout = 0")  # a reader may stay for hours
        try:
            empty = db.execute("SELECT 1 FROM messages LIMIT 1").fetchone() is None
            if empty and page_size != _page_size(db):
                _page(db, page_size)
            mode = _journal(db, journal)
            # With a rollback journal and less than FULL a power cut at the wrong moment may damage the database.
            db.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' and synchronous == 'normal' else 'FULL'}")
            _checkpoint_every(db, log)
        finally:
            db.execute(f"PRAGMA busy_timeout = {waits}")


def _page(db: sqlite3.Connection, size: int) -> None:
    """Rewrite the database, which must be small, with pages of `size` bytes; SQLite does that in no log."""
    if _journal(db, "delete") == "delete":
        try:
            db.execute(f"PRAGMA page_size = {size:d}")
            db.execute("VACUUM")
            _hold_at_most(db, CACHE)  # SQLite keeps the number of pages, and so four times the bytes
        except sqlite3.OperationalError as fault:
            if not _held(fault):
                raise


def _journal(db: sqlite3.Connection, wanted: str) -> str:
    """Ask for a journal mode; returns the one in force."""
    try:
        found = db.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
    except sqlite3.OperationalError as fault:
        if not _held(fault):
            raise
        found = db.execute("PRAGMA journal_mode").fetchone()[0]
    return str(found)


def _held(fault: sqlite3.OperationalError) -> bool:
    return fault.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _page_size(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA page_size").fetchone()[0])


def _hold_at_most(db: sqlite3.Connection, size: int) -> None:
    """Bound the pages in memory to `size` bytes: SQLite reckons them in pages, of the size that they have now."""
    db.execute(f"PRAGMA cache_size = {-size // 1024}")


def _checkpoint_every(db: sqlite3.Connection, size: int) -> None:
    """Have the log moved into the database whenever it holds about `size` bytes."""
    db.execute(f"PRAGMA wal_autocheckpoint = {max(1, size // _page_size(db))}")


def connect_reading(folder: Path) -> sqlite3.Connection:
    """Open `tobs.sqlite` for reading only, also while a writer is at work or on a read-only medium.

    Raises `ArchiveError` where there is no archive, or it is damaged or newer.
    """
    path = folder / FILE
    if not path.is_file():
        raise ArchiveError(
            f"{folder} holds no archive: there is no {FILE} in it",
            hint="Name the folder that `tobs export CHAT -o FOLDER` wrote.",
        )
    with guard(folder):
        db = _try_reading(f"{path.resolve().as_uri()}?mode=ro")
        if db is None and not _left_over(folder):
            # A read-only medium: SQLite cannot make its shared-memory file, and nobody else writes either.
            db = _try_reading(f"{path.resolve().as_uri()}?mode=ro&immutable=1")
        if db is None:
            raise ArchiveError(
                f"{path} cannot be read here",
                hint="Copy the folder, with tobs.sqlite-wal, to a place that you may write to, and try there.",
            )
        try:
            if _recognise(db, folder) == 0:
                raise _foreign(folder)
        except BaseException:
            db.close()
            raise
    return db


def _try_reading(uri: str) -> sqlite3.Connection | None:
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        db.close()
        return None
    except BaseException:
        db.close()
        raise
    return db


def _left_over(folder: Path) -> bool:
    """Whether a log with commits that are not yet in the database lies beside it."""
    with contextlib.suppress(OSError):
        return (folder / f"{FILE}-wal").stat().st_size > 0
    return False


def _recognise(db: sqlite3.Connection, folder: Path) -> int:
    """The schema version, 0 for an empty database. Raises `ArchiveError` for what is not ours."""
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if application == APPLICATION:
        if version > VERSION:
            raise ArchiveError(
                f"{folder} was written by a newer TOBS (schema {version}, this one knows {VERSION})",
                hint="Upgrade: pip install --upgrade tobs.",
            )
        return version
    if application or version or db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise _foreign(folder)
    return 0


def _foreign(folder: Path) -> ArchiveError:
    return ArchiveError(
        f"{folder / FILE} is not an archive of TOBS",
        hint="Choose another folder with -o.",
    )
