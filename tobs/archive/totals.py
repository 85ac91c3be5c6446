"""What an archive holds, counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Count:
    """What is kept of a chat, or of all.

    `files` counts finished references and `bytes` their sizes; the distinct ones count a file that is posted
    again once. `pending` (also those that failed and are tried again), `missing` (gone on the server) and
    `skipped` are references.
    """

    title: str
    messages: int
    files: int
    bytes: int
    distinct_files: int
    distinct_bytes: int
    pending: int
    missing: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of each exported chat by marked id, and over all: what two chats carry is distinct once there."""

    chats: dict[int, Count]
    all: Count


_STATES = """
SELECT m.chat_id, total(m.status = 'done'), total(iif(m.status = 'done', coalesce(f.size, m.size), 0)),
    total(m.status IN ('pending', 'failed')), total(m.status = 'missing'), total(m.status = 'skipped')
FROM media m LEFT JOIN files f ON f.id = m.file_id GROUP BY m.chat_id"""
_DISTINCT = """
SELECT chat_id, count(*), sum(size) FROM (SELECT DISTINCT m.chat_id, f.id, f.size
    FROM media m JOIN files f ON f.id = m.file_id WHERE m.status = 'done') GROUP BY chat_id"""
_DISTINCT_ALL = """
SELECT count(*), coalesce(sum(size), 0) FROM files
    WHERE id IN (SELECT file_id FROM media WHERE status = 'done')"""


def count(db: sqlite3.Connection) -> Totals:
    """Count what is in the database."""
    titles = dict(db.execute("SELECT id, title FROM chats WHERE exported = 1 ORDER BY id").fetchall())
    messages = dict(db.execute("SELECT chat_id, count(*) FROM messages GROUP BY chat_id").fetchall())
    states = {chat: tuple(map(int, numbers)) for chat, *numbers in db.execute(_STATES)}
    distinct = {chat: (number, size) for chat, number, size in db.execute(_DISTINCT)}
    chats = {}
    for chat, title in titles.items():
        files, size, pending, missing, skipped = states.get(chat, (0, 0, 0, 0, 0))
        one, once = distinct.get(chat, (0, 0))
        chats[chat] = Count(title, messages.get(chat, 0), files, size, one, once, pending, missing, skipped)
    held = list(chats.values())
    number, size = db.execute(_DISTINCT_ALL).fetchone()
    return Totals(
        chats,
        Count(
            "",
            sum(one.messages for one in held),
            sum(one.files for one in held),
            sum(one.bytes for one in held),
            number,
            size,
            sum(one.pending for one in held),
            sum(one.missing for one in held),
            sum(one.skipped for one in held),
        ),
    )
