"""The digest of an archive, version 1: what was exported, whatever the order in which it arrived.

SHA-256 over UTF-8 lines, each an orjson dump with sorted keys and a newline: first a line for every message
by (chat id, message id), then one for every file by (chat id, message id, file id). Nothing but a row at a
time is held in memory.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from tobs.archive.faults import guard
from tobs.archive.schema import connect_reading

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_SHORT_LIVED = frozenset({"file_reference", "access_hash"})
_MESSAGES = """
SELECT chat_id, id, kind, date, sender_id, text, reply_to, grouped_id, edited, raw FROM messages
    WHERE chat_id = ? ORDER BY id"""
_FILES = """
SELECT m.chat_id, m.message_id, m.kind, m.file_id, iif(m.status = 'done', coalesce(f.size, m.size), m.size),
    iif(m.status = 'done', f.sha256, NULL)
FROM media m LEFT JOIN files f ON f.id = m.file_id
WHERE m.chat_id = ? ORDER BY m.message_id, m.file_id"""


def digest(folder: Path, chats: Collection[int] | None = None) -> str:
    """The digest in hexadecimal, of all chats or only of those with these marked ids.

    Raises `ArchiveError`.
    """
    db = connect_reading(folder)
    total = hashlib.sha256()
    dump, sort = orjson.dumps, orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    try:
        with guard(folder):
            db.execute("BEGIN")  # one state of the archive, even while a run goes on
            found = [chat for (chat,) in db.execute("SELECT DISTINCT chat_id FROM messages ORDER BY chat_id")]
            asked = [chat for chat in found if chats is None or chat in chats]
            for chat in asked:
                for *fields, raw in db.execute(_MESSAGES, (chat,)):
                    total.update(dump(["m", *fields, prune(orjson.loads(raw))], option=sort))
            for chat in asked:
                for row in db.execute(_FILES, (chat,)):
                    total.update(dump(["f", *row], option=sort))
    finally:
        db.close()
    return total.hexdigest()


def prune(value: Any) -> Any:
    """A TL object as JSON without what is empty and without what is another at every request."""
    if isinstance(value, dict):
        return {
            key: prune(held)
            for key, held in value.items()
            if key not in _SHORT_LIVED and held is not None and held is not False and held != []
        }
    if isinstance(value, list):
        return [prune(held) for held in value]
    return value
