"""Checks an archive against itself: every file hashed again, every row looked for, the database examined."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tobs.archive.archive import PARTIAL
from tobs.archive.faults import guard
from tobs.archive.schema import connect_reading

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

AHEAD = 64
"""Files handed to the threads before the first one's result is awaited: bounds memory."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not as it should be: the messages that carry it (chat id, message id), what is wrong."""

    path: str
    file_id: int
    messages: tuple[tuple[int, int], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    `files` were looked for, `missing` are not there (or settled without a file), `corrupt` have another size
    or SHA-256, `unverified` could not be read; `foreign` lie in media/ and belong to nothing, `problems` are
    the database's own. `pending` counts references that no run has settled yet: work left, not damage.
    """

    messages: int
    files: int
    missing: tuple[Finding, ...]
    corrupt: tuple[Finding, ...]
    unverified: tuple[Finding, ...]
    foreign: tuple[str, ...]
    problems: tuple[str, ...]
    pending: int

    @property
    def ok(self) -> bool:
        """Whether everything that was kept is here as it was kept."""
        return not (self.missing or self.corrupt or self.unverified or self.problems)


@dataclass(frozen=True, slots=True)
class _File:
    id: int
    sha256: str
    size: int
    path: str


def verify(folder: Path, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check the archive in `folder`; `progress` is called with (bytes hashed, bytes in all).

    Works while a run goes on: what that adds meanwhile is left out. Raises `ArchiveError` where the database
    cannot be opened.
    """
    db = connect_reading(folder)
    try:
        with guard(folder):
            # Listed before the rows are read: a file finished meanwhile is then not taken for foreign.
            present = set(_present(folder))
            db.execute("BEGIN")
            problems = [text for (text,) in db.execute("PRAGMA integrity_check") if text != "ok"]
            problems += [
                f"a row of {table} ({row}) refers to a row of {parent} that is not there"
                for table, row, parent, _ in db.execute("PRAGMA foreign_key_check")
            ]
            wrong = _examine(db, folder, progress)
            wrong["missing"] += _without_file(db)
            known = {path for (path,) in db.execute("SELECT path FROM files")}
            return Verification(
                messages=_number(db, "SELECT count(*) FROM messages"),
                files=_number(db, "SELECT count(*) FROM files"),
                missing=tuple(wrong["missing"]),
                corrupt=tuple(wrong["corrupt"]),
                unverified=tuple(wrong["unverified"]),
                foreign=tuple(sorted(present - known)),
                problems=tuple(problems),
                pending=_number(db, "SELECT count(*) FROM media WHERE status IN ('pending', 'failed')"),
            )
    finally:
        db.close()


def _examine(
    db: sqlite3.Connection, folder: Path, progress: Callable[[int, int], None] | None
) -> dict[str, list[Finding]]:
    """Hash every file in threads (SHA-256 gives up the interpreter's lock), findings in order of paths."""
    wrong: dict[str, list[Finding]] = {"missing": [], "corrupt": [], "unverified": []}
    every = _number(db, "SELECT coalesce(sum(size), 0) FROM files")
    done = 0
    waiting: deque[tuple[_File, Future[tuple[str, str]]]] = deque()

    def take() -> None:
        nonlocal done
        file, future = waiting.popleft()
        kind, reason = future.result()
        if kind:
            wrong[kind].append(Finding(file.path, file.id, _messages(db, file.id), reason))
        done += file.size
        if progress is not None:
            progress(done, every)

    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1), "verify") as threads:
        for row in db.execute("SELECT id, sha256, size, path FROM files ORDER BY path"):
            file = _File(*row)
            waiting.append((file, threads.submit(_check, folder, file)))
            if len(waiting) >= AHEAD:
                take()
        while waiting:
            take()
    return wrong


def _check(folder: Path, file: _File) -> tuple[str, str]:
    """The kind of finding and its reason, or two empty strings."""
    path = folder / file.path
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return "unverified", "the path leads out of the archive"
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size != file.size:
                return "corrupt", f"{size} bytes instead of {file.size}"
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing", "the file is not there"
    except OSError as fault:
        return "unverified", fault.strerror or str(fault)
    if found != file.sha256:
        return "corrupt", f"SHA-256 {found} instead of {file.sha256}"
    return "", ""


def _without_file(db: sqlite3.Connection) -> Iterator[Finding]:
    rows = db.execute(
        "SELECT DISTINCT file_id FROM media WHERE status = 'done' AND file_id NOT IN (SELECT id FROM files)"
    )
    for (file_id,) in rows.fetchall():
        yield Finding("", file_id, _messages(db, file_id), "settled as done, but no file is recorded")


def _messages(db: sqlite3.Connection, file_id: int) -> tuple[tuple[int, int], ...]:
    return tuple(
        db.execute("SELECT chat_id, message_id FROM media WHERE file_id = ? ORDER BY 1, 2", (file_id,)).fetchall()
    )


def _present(folder: Path) -> Iterator[str]:
    """Paths of the files in media/ that are not being written just now."""
    for place, _, names in os.walk(folder / "media"):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118 - a million Path objects take seconds
            inside = os.path.relpath(path, folder).replace(os.sep, "/")
            if not name.endswith(PARTIAL):
                yield inside


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
