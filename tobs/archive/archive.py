"""An archive folder: opening it for a run or for reading, and what it knows.

`tobs.sqlite` is the truth; media lie beside it. Reading works while a writer is at work.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import orjson

from tobs.archive import derive, spans
from tobs.archive.faults import guard
from tobs.archive.lock import FILE as LOCK
from tobs.archive.lock import FolderLock
from tobs.archive.schema import FILE, connect, connect_reading
from tobs.archive.store import Store, transaction
from tobs.archive.totals import Totals, count
from tobs.archive.transform.shelf import Original
from tobs.errors import ArchiveError
from tobs.values import MediaRef, Settled, Span, Stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from tobs.ports import Write
    from tobs.values import Chat

PARTIAL = ".part"
"""What a file's name ends in while it is being written."""
_UNMINDED = frozenset({LOCK, ".DS_Store", "Thumbs.db", "desktop.ini"})
_SECRET = frozenset({"api_hash", "session", "phone", "code", "password", "auth_key"})
_REF = """
    m.chat_id, m.message_id, m.kind, m.file_id, m.dc, m.size, m.name, m.mime, m.date, m.form, m.access_hash,
    m.reference, m.thumb"""
_OPEN = f"""
SELECT {_REF} FROM media m INDEXED BY media_open
    WHERE m.status IN ('pending', 'failed') AND m.chat_id = ? AND (m.message_id, m.file_id) > (?, ?)
    ORDER BY m.chat_id, m.message_id, m.file_id LIMIT 100"""  # noqa: S608 - a constant
_DERIVABLE = """
SELECT DISTINCT f.id, f.sha256, f.path, m.kind, m.mime
    FROM (SELECT id, sha256, path FROM files WHERE id > ? ORDER BY id LIMIT 500) f LEFT JOIN media m ON m.file_id = f.id
    ORDER BY f.id"""
# A file whose message was edited to carry another one has no row in media any more.
_RAW = "SELECT id, CAST(raw AS BLOB) FROM messages WHERE chat_id = ? AND id BETWEEN ? AND ?"
_STORED = f"""
SELECT f.sha256, f.size, f.path, {_REF} FROM files f LEFT JOIN media m ON m.file_id = f.id
    WHERE f.id = ? LIMIT 1"""  # noqa: S608 - a constant


class Archive:
    """Implements the port `Ledger`; `write` implements `Write`. Close it, or use it in a `with`."""

    folder: Path
    write: Write

    def __init__(self, folder: Path, db: sqlite3.Connection, lock: FolderLock | None) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self.write = Store(db, folder)
        self._db = db
        self._lock = lock

    @classmethod
    def create(cls, folder: Path, chats: Sequence[Chat], *, add: bool = False) -> Self:
        """Open for writing, make what is missing, take the lock.

        `chats` are those to be exported; other chats in the archive are refused unless `add`.
        Raises `ArchiveError` for a folder that is another program's, of a newer version, damaged, locked, or
        holds other chats.
        """
        with guard(folder):
            folder.mkdir(parents=True, exist_ok=True)
            strangers = [] if (folder / FILE).exists() else _strangers(folder)
            if strangers:
                raise ArchiveError(
                    f"{folder} is not an archive of TOBS and not empty: {', '.join(strangers[:3])}, …",
                    hint="Choose a new or empty folder with -o.",
                )
            lock = FolderLock(folder)
        try:
            db = connect(folder)
            try:
                with transaction(db, folder):
                    _admit(db, folder, chats, add=add)
                    db.execute("UPDATE runs SET ended = started, outcome = 'interrupted' WHERE ended IS NULL")
                return cls(folder, db, lock)
            except BaseException:
                db.close()
                raise
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open for reading only.

        Raises `ArchiveError` where there is no archive, or it is damaged or newer.
        """
        return cls(folder, connect_reading(folder), None)

    def __enter__(self) -> Self:
        """Return the archive itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # ---------------------------------------------------------------- what is known

    def chats(self) -> list[int]:
        """Ids of the chats that are exported into this archive, ascending."""
        return exported(self._db, self.folder)

    def gaps(self, chat_id: int, top: int) -> list[Span]:
        """Id spans from 1 up to `top` that no committed batch covers, newest first."""
        return spans.gaps(self._spans(chat_id), 1, top)

    def reread(self, chat_id: int, last: int | None) -> list[Span]:
        """Covered spans that hold the newest `last` messages (None: all of them), newest first.

        What an incremental run reads again for edits; ask before the run's first commit.
        """
        covered = self._spans(chat_id)
        if not covered or last == 0:
            return []
        low = covered[0].low
        if last is not None:
            with guard(self.folder):
                found = self._db.execute(
                    "SELECT id FROM messages WHERE chat_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
                    (chat_id, last - 1),
                ).fetchone()
            low = found[0] if found else low
        return spans.clip(covered, low, covered[-1].high)

    def pending(self, chat_id: int) -> Iterator[MediaRef]:
        """References that are not settled, or failed in an earlier run, by message id.

        Reads a hundred at a time, so it may be walked while outcomes are being kept.
        """
        after = (-(1 << 63), -(1 << 63))
        while True:
            with guard(self.folder):
                rows = self._db.execute(_OPEN, (chat_id, *after)).fetchall()
            for row in rows:
                yield MediaRef._make(row)
            if not rows:
                return
            after = (rows[-1][1], rows[-1][3])

    def stored(self, file_id: int) -> Settled | None:
        """The finished file of this id, if its bytes are here: a row, and a file of that size."""
        with guard(self.folder):
            row = self._db.execute(_STORED, (file_id,)).fetchone()
        if row is None:
            return None
        sha256, size, path, *ref = row
        try:
            if (self.folder / path).stat().st_size != size:
                return None
        except OSError:
            return None
        if ref[0] is None:
            ref = [0, 0, "file", file_id, 0, size, None, "", "", "document", 0, b"", ""]
        return Settled(MediaRef._make(ref), "done", sha256, size, path)

    def holds(self, path: str) -> bool:
        """Whether a finished file is kept under this path, relative to the archive."""
        with guard(self.folder):
            return self._db.execute("SELECT 1 FROM files WHERE path = ?", (path,)).fetchone() is not None

    def of_size(self, size: int, most: int) -> list[Stored]:
        """Finished files of exactly this size, at most `most`, each path once; whether it is there was not looked."""
        with guard(self.folder):
            rows = self._db.execute(
                "SELECT min(id), path FROM files WHERE size = ? GROUP BY path LIMIT ?", (size, most)
            ).fetchall()
        return [Stored(file_id, size, self.folder / path) for file_id, path in rows]

    def derivable(self) -> Iterator[Original]:
        """Every finished file, once for each kind and MIME type that messages give it; five hundred files at a time."""
        after = -(1 << 63)
        while True:
            with guard(self.folder):
                rows = self._db.execute(_DERIVABLE, (after,)).fetchall()
            for _, sha256, path, kind, mime in rows:
                if kind is not None:
                    yield Original(sha256, path, kind, mime)
            if not rows:
                return
            after = rows[-1][0]

    def messages(self, chat_id: int) -> int:
        """Messages kept of this chat."""
        with guard(self.folder):
            found = self._db.execute("SELECT count(*) FROM messages WHERE chat_id = ?", (chat_id,)).fetchone()
        return int(found[0])

    def raw(self, chat_id: int, span: Span) -> dict[int, bytes]:
        """The `raw` (UTF-8) of every message that is kept of this chat inside a span, by id."""
        with guard(self.folder):
            return dict(self._db.execute(_RAW, (chat_id, span.low, span.high)))

    def totals(self) -> Totals:
        """Messages, files and bytes of each chat and of all."""
        with guard(self.folder):
            return count(self._db)

    # ---------------------------------------------------------------- a run

    def start_run(self, facts: dict[str, object]) -> int:
        """Note that a run began, with its plan and settings (secrets are left out). Returns its number."""
        with transaction(self._db, self.folder):
            done = self._db.execute("INSERT INTO runs (started, plan) VALUES (?, ?)", (_now(), _facts(facts)))
        return int(done.lastrowid or 0)

    def end_run(self, run: int, facts: dict[str, object]) -> None:
        """Note how run number `run` ended: `facts["outcome"]` (done if not given), and its counts."""
        with transaction(self._db, self.folder):
            self._db.execute(
                "UPDATE runs SET ended = ?, outcome = ?, counts = ? WHERE id = ?",
                (_now(), str(facts.get("outcome", "done")), _facts(facts), run),
            )

    def sweep(self, keep: Collection[Path] = ()) -> int:
        """Remove half-written files that a killed run left in media/, but `keep`. Returns how many."""
        swept = 0
        with guard(self.folder):
            for path in (self.folder / "media").rglob(f"*{PARTIAL}"):
                inside = path.relative_to(self.folder).as_posix()
                # A finished document may be called that way too: the part of a split archive.
                if path not in keep and not self.holds(inside) and path.is_file():
                    path.unlink()
                    swept += 1
        return swept

    def retry(self, chat_id: int, statuses: Collection[str]) -> int:
        """Make references of these statuses (skipped, missing, failed) pending again. Returns how many."""
        marks = ", ".join("?" * len(statuses))
        with transaction(self._db, self.folder):
            return self._db.execute(
                f"UPDATE media SET status = 'pending', reason = '' "  # noqa: S608 - question marks only
                f"WHERE chat_id = ? AND status IN ({marks}) AND status <> 'done'",
                (chat_id, *statuses),
            ).rowcount

    def forget(self, file_ids: Iterable[int]) -> int:
        """Make files pending again whose bytes `verify` found missing or damaged.

        Returns how many references that makes.
        """
        ids = [(file_id,) for file_id in file_ids]
        with transaction(self._db, self.folder):
            self._db.executemany("DELETE FROM files WHERE id = ?", ids)
            return self._db.executemany(
                "UPDATE media SET status = 'pending', reason = '' WHERE file_id = ? AND status = 'done'", ids
            ).rowcount

    def index(self) -> None:
        """Bring the full-text index and the tables reactions, polls and topics up to date, in bulk.

        Picks up what an interrupted run left; costs nothing where nothing is new.
        """
        derive.bring_up_to_date(self._db, self.folder)

    def close(self) -> None:
        """Move the log into the database, close it, give up the lock. May be called twice."""
        with guard(self.folder):
            try:
                if self._lock is not None and self._lock.held:
                    # A reader that is still at work keeps the log; waiting for it would hold up the end of a run.
                    self._db.execute("PRAGMA busy_timeout = 0")
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self._db.close()
                if self._lock is not None:
                    self._lock.release()

    def _spans(self, chat_id: int) -> list[Span]:
        with guard(self.folder):
            rows = self._db.execute("SELECT low, high FROM spans WHERE chat_id = ? ORDER BY low", (chat_id,)).fetchall()
        return [Span(low, high) for low, high in rows]


def exported(db: sqlite3.Connection, folder: Path) -> list[int]:
    """Ids of the chats that are exported into an archive, ascending; `chats` also has those merely named."""
    with guard(folder):
        return [chat_id for (chat_id,) in db.execute("SELECT id FROM chats WHERE exported = 1 ORDER BY id")]


def _strangers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in _UNMINDED)


def _admit(db: sqlite3.Connection, folder: Path, chats: Sequence[Chat], *, add: bool) -> None:
    """Register the chats of a run.

    Raises `ArchiveError` if the archive is for others and `add` is False.
    """
    known = dict(db.execute("SELECT id, title FROM chats WHERE exported = 1").fetchall())
    others = [chat for chat in chats if chat.id not in known]
    if known and others and not add:
        raise ArchiveError(
            f"{folder} holds {_quote(known.values())}, not {_quote(chat.title for chat in others)}",
            hint="Choose another folder with -o, or --add to keep both in one archive.",
        )
    db.executemany(
        "INSERT INTO chats (id, kind, title, username, exported) VALUES (?, ?, ?, ?, 1) ON CONFLICT (id) "
        "DO UPDATE SET kind = excluded.kind, title = excluded.title, username = excluded.username, exported = 1",
        [(chat.id, chat.kind, chat.title, chat.username) for chat in chats],
    )


def _quote(titles: Iterable[str]) -> str:
    names = [f"“{title}”" for title in titles]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _facts(facts: dict[str, object]) -> str:
    return orjson.dumps(_public(facts), default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _public(value: object) -> object:
    """The same without what must not be kept: an archive is handed on."""
    if isinstance(value, dict):
        return {key: _public(held) for key, held in value.items() if key not in _SECRET}
    if isinstance(value, list | tuple):
        return [_public(held) for held in value]
    return value
