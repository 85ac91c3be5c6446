"""What is made from the rows in bulk, after the hot path: full-text index, reactions, polls, topics.

The index itself knows how far it got (its highest rowid); `stale` names the rows below that which changed
since. Both are worked off in one transaction, so an interrupted run leaves either state, never a mixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.archive.store import transaction

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

TOKENS = "unicode61 remove_diacritics 2"
"""How FTS5 takes texts apart."""
_COLUMNS = "chat_id, id, date, kind, reply_to, topic_id, raw"
FRESH = f"""(
    SELECT {_COLUMNS} FROM messages WHERE seq > :mark
    UNION ALL SELECT {_COLUMNS} FROM messages WHERE seq <= :mark AND seq IN (SELECT seq FROM stale)) AS messages"""  # noqa: S608
"""Messages that are new or changed. Not joined by OR: SQLite would keep the number of every row that it has met."""

REACTIONS = f"""
INSERT OR REPLACE INTO reactions (chat_id, message_id, kind, reaction, count)
SELECT messages.chat_id, messages.id,
    CASE json_extract(item.value, '$.reaction._') WHEN 'ReactionEmoji' THEN 'emoji'
        WHEN 'ReactionCustomEmoji' THEN 'custom_emoji' ELSE 'paid' END,
    coalesce(json_extract(item.value, '$.reaction.emoticon'),
        json_extract(item.value, '$.reaction.document_id'), ''),
    coalesce(json_extract(item.value, '$.count'), 0)
FROM {FRESH}, json_each(messages.raw, '$.reactions.results') AS item
WHERE instr(messages.raw, '"MessageReactions"') > 0"""  # noqa: S608 - a constant

# Texts of questions and answers are TextWithEntities since layer 178, and were plain before.
POLLS = f"""
INSERT OR REPLACE INTO polls
    (chat_id, message_id, poll_id, question, closed, quiz, multiple, total_voters, answers)
SELECT chat_id, id, json_extract(raw, '$.media.poll.id'),
    coalesce(json_extract(raw, '$.media.poll.question.text'), json_extract(raw, '$.media.poll.question'), ''),
    coalesce(json_extract(raw, '$.media.poll.closed'), 0), coalesce(json_extract(raw, '$.media.poll.quiz'), 0),
    coalesce(json_extract(raw, '$.media.poll.multiple_choice'), 0),
    json_extract(raw, '$.media.results.total_voters'),
    (SELECT json_group_array(json_object(
        'text', coalesce(json_extract(answer.value, '$.text.text'), json_extract(answer.value, '$.text'), ''),
        'option', json_extract(answer.value, '$.option'),
        'voters', (SELECT json_extract(result.value, '$.voters')
            FROM json_each(raw, '$.media.results.results') AS result
            WHERE json_extract(result.value, '$.option') = json_extract(answer.value, '$.option'))))
        FROM json_each(raw, '$.media.poll.answers') AS answer)
FROM {FRESH}
WHERE instr(raw, '"MessageMediaPoll"') > 0
    AND json_extract(raw, '$.media._') = 'MessageMediaPoll'"""  # noqa: S608

TOPIC = f"""
INSERT INTO topics (chat_id, id, title, icon_color, icon_emoji_id, created)
SELECT chat_id, id, coalesce(json_extract(raw, '$.action.title'), ''), json_extract(raw, '$.action.icon_color'),
    json_extract(raw, '$.action.icon_emoji_id'), date
FROM {FRESH}
WHERE kind = 'service' AND json_extract(raw, '$.action._') = 'MessageActionTopicCreate'
ON CONFLICT DO NOTHING"""  # noqa: S608 - a constant
TOPIC_EDITS = f"""
SELECT chat_id, coalesce(topic_id, reply_to), json_extract(raw, '$.action.title'),
    json_extract(raw, '$.action.icon_emoji_id'), json_type(raw, '$.action.closed') IS NOT NULL,
    coalesce(json_extract(raw, '$.action.closed'), 0)
FROM {FRESH}
WHERE kind = 'service' AND json_extract(raw, '$.action._') = 'MessageActionTopicEdit'
ORDER BY chat_id, id"""  # noqa: S608 - a constant
TOPIC_EDIT = """
UPDATE topics SET title = coalesce(:title, title), icon_emoji_id = coalesce(:icon, icon_emoji_id),
    closed = iif(:told, :closed, closed) WHERE chat_id = :chat AND id = :topic"""


def behind(db: sqlite3.Connection) -> bool:
    """Whether there are rows that the full-text index does not know as they are."""
    if not indexed(db):
        return bool(db.execute("SELECT 1 FROM messages LIMIT 1").fetchone())
    mark = _mark(db)
    return bool(
        db.execute("SELECT 1 FROM messages WHERE seq > ? LIMIT 1", (mark,)).fetchone()
        or db.execute("SELECT 1 FROM stale LIMIT 1").fetchone()
    )


def indexed(db: sqlite3.Connection) -> bool:
    """Whether there is a full-text index at all."""
    return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'messages_fts'").fetchone())


def bring_up_to_date(db: sqlite3.Connection, folder: Path) -> None:
    """Derive everything that new and changed rows need, in one transaction. Raises `ArchiveError`."""
    if indexed(db) and not behind(db):
        return
    with transaction(db, folder):
        mark = _mark(db) if indexed(db) else 0
        at = {"mark": mark}
        for table, sign in (("reactions", "MessageReactions"), ("polls", "MessageMediaPoll")):
            db.execute(
                f"DELETE FROM {table} WHERE (chat_id, message_id) IN "  # noqa: S608 - our own names
                "(SELECT chat_id, id FROM messages WHERE seq IN (SELECT seq FROM stale))"
            )
            db.execute(REACTIONS if sign == "MessageReactions" else POLLS, at)
        _topics(db, at)
        _full_text(db, mark)
        db.execute("DELETE FROM stale")


def _topics(db: sqlite3.Connection, at: dict[str, int]) -> None:
    db.execute(TOPIC, at)
    for chat, topic, title, icon, told, closed in db.execute(TOPIC_EDITS, at).fetchall():
        db.execute(
            TOPIC_EDIT,
            {"chat": chat, "topic": topic, "title": title, "icon": icon, "told": told, "closed": closed},
        )


def _full_text(db: sqlite3.Connection, mark: int) -> None:
    if not indexed(db):
        from sqlite_utils import Database  # noqa: PLC0415 - 0.3 s of CPU that only a first run needs

        Database(db).table("messages").enable_fts(["text"], tokenize=TOKENS, create_triggers=False)
        return
    db.execute(
        "INSERT INTO messages_fts (messages_fts, rowid, text) SELECT 'delete', seq, text FROM stale WHERE seq <= ?",
        (mark,),
    )
    db.execute(
        "INSERT INTO messages_fts (rowid, text) SELECT seq, text FROM messages "
        "WHERE seq <= ? AND seq IN (SELECT seq FROM stale) ORDER BY seq",
        (mark,),
    )
    db.execute(
        "INSERT INTO messages_fts (rowid, text) SELECT seq, text FROM messages WHERE seq > ? ORDER BY seq", (mark,)
    )


def _mark(db: sqlite3.Connection) -> int:
    """The highest row that is indexed."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM messages_fts_docsize").fetchone()[0])
