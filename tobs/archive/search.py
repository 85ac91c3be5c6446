"""Full-text search in an archive."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tobs.archive import derive
from tobs.archive.archive import Archive
from tobs.archive.faults import guard
from tobs.archive.schema import connect_reading
from tobs.errors import ArchiveError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MARKS = ("[", "]")
"""What stands around the words found in a snippet."""
_QUERY = """
SELECT m.chat_id, c.title, m.id, m.date, m.sender_id, coalesce(u.name, s.title),
    snippet(messages_fts, 0, :open, :close, '…', 24), m.text
FROM messages_fts
JOIN messages m ON m.seq = messages_fts.rowid
JOIN chats c ON c.id = m.chat_id
LEFT JOIN users u ON u.id = m.sender_id
LEFT JOIN chats s ON s.id = m.sender_id
WHERE messages_fts MATCH :query AND (:chat IS NULL OR m.chat_id = :chat)
ORDER BY bm25(messages_fts), m.date DESC LIMIT :limit"""

# An index in memory, of this connection alone; it goes by the name of the one that the run makes at its end.
_FOR_NOW = f"""
PRAGMA temp_store = memory;
CREATE VIRTUAL TABLE temp.messages_fts USING fts5 (text, tokenize = "{derive.TOKENS}");
INSERT INTO temp.messages_fts (rowid, text) SELECT seq, text FROM messages;"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Hit:
    """A message found: `snippet` is the stretch of `text` around the words, which stand in brackets."""

    chat_id: int
    chat: str
    id: int
    date: str
    sender_id: int | None
    sender: str | None
    snippet: str
    text: str


def search(folder: Path, query: str, limit: int = 20, chat_id: int | None = None) -> list[Hit]:
    """The `limit` best hits, best first, in all chats or one.

    `query` is FTS5's: words (all must occur), "a phrase", prefix*, OR, NOT, NEAR(a b). What an interrupted
    run left out of the index is indexed first, unless a run is going on: then what is indexed is searched, and while a
    first run makes the archive, all that it has committed. Raises `UsageError` for a malformed query.
    """
    _catch_up(folder)
    db = connect_reading(folder)
    try:
        with guard(folder):
            if not derive.indexed(db):
                db.executescript(_FOR_NOW)
            try:
                rows = db.execute(
                    _QUERY,
                    {"query": query, "chat": chat_id, "limit": limit, "open": MARKS[0], "close": MARKS[1]},
                ).fetchall()
            except sqlite3.OperationalError as fault:
                if _malformed(str(fault)):
                    raise UsageError(
                        f"the query {query!r} cannot be read: {fault}",
                        hint=f"Put what is meant literally into double quotes: {_literal(query)}",
                    ) from fault
                raise
            return [Hit(*row) for row in rows]
    finally:
        db.close()


def _catch_up(folder: Path) -> None:
    db = connect_reading(folder)
    try:
        with guard(folder):
            behind = derive.behind(db)
    finally:
        db.close()
    if behind:
        try:
            with Archive.create(folder, []) as archive:
                archive.index()
        except ArchiveError:
            # Somebody is writing (and indexes at the end), or we may not: what is indexed is searched.
            return


def _malformed(fault: str) -> bool:
    return any(
        sign in fault
        for sign in (
            "fts5: ",
            "no such column",
            "unterminated string",
            "unknown special query",
            "malformed MATCH",
        )
    )


def _literal(query: str) -> str:
    return '"' + query.replace('"', "").strip() + '"'
