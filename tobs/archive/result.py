"""result.json: the archive in Telegram Desktop's machine-readable format, streamed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from tobs.archive.archive import PARTIAL, exported
from tobs.archive.desktop.layout import render
from tobs.archive.desktop.media import Held
from tobs.archive.desktop.message import Row, convert
from tobs.archive.desktop.peers import Peers, bare
from tobs.archive.faults import guard
from tobs.archive.schema import connect_reading

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from tobs.archive.desktop.media import Files

NAME = "result.json"
CHUNK = 1000
"""Messages read at a time."""
ABOUT = "Exported by TOBS in the machine-readable format of Telegram Desktop."
ABOUT_CHATS = "This page lists all chats from this export."
_NAMELESS = frozenset({"saved_messages", "replies", "verification_codes"})
_REPLIES = frozenset({708513, 1271266957})
_CODES = 489000
_MESSAGES = """
SELECT id, kind, date, edited, sender_id, text, raw FROM messages
    WHERE chat_id = ? AND id > ? ORDER BY id LIMIT ?"""
_FILES = """
SELECT m.message_id, m.file_id, iif(m.status = 'done', f.path, NULL), m.status, m.reason, m.thumb
FROM media m LEFT JOIN files f ON f.id = m.file_id
WHERE m.chat_id = ? AND m.message_id BETWEEN ? AND ?"""


def render_json(folder: Path, out: Path | None = None) -> list[Path]:
    """Write result.json into the archive, or to the file `out`; returns what was written.

    One chat is its object; several stand in `chats.list`. Written beside its name and renamed when whole.
    Raises `ArchiveError`.
    """
    target = out or folder / NAME
    partial = target.with_name(target.name + PARTIAL)
    db = connect_reading(folder)
    try:
        with guard(folder):
            db.execute("BEGIN")
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("w", encoding="utf-8", newline="\n") as stream:
                    _write(db, exported(db, folder), stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(target)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise
    finally:
        db.close()
    return [target]


def _write(db: sqlite3.Connection, chats: list[int], stream: TextIO) -> None:
    peers = Peers(db)
    if len(chats) == 1:
        _write_chat(db, chats[0], peers, stream, 0)
        return
    stream.write(f'{{\n "about": {render(ABOUT)},\n "chats": {{\n  "about": {render(ABOUT_CHATS)},\n  "list": [')
    for number, chat in enumerate(chats):
        stream.write(",\n   " if number else "\n   ")
        _write_chat(db, chat, peers, stream, 3)
    stream.write("\n  ]\n }\n}")


def _write_chat(db: sqlite3.Connection, chat: int, peers: Peers, stream: TextIO, depth: int) -> None:
    """A chat's object, its brackets at `depth`; the messages one after another."""
    pad = "\n" + " " * (depth + 1)
    stream.write("{" + "".join(f'{pad}"{key}": {render(value)},' for key, value in _head(db, chat).items()))
    stream.write(f'{pad}"messages": [')
    first = True
    for row, files in _messages(db, chat):
        stream.write(f"{'' if first else ','}{pad} {render(convert(row, files, peers), depth + 2)}")
        first = False
    stream.write(f"{pad}]\n" + " " * depth + "}")


def _messages(db: sqlite3.Connection, chat: int) -> Iterator[tuple[Row, Files]]:
    after = -(1 << 63)
    while rows := db.execute(_MESSAGES, (chat, after, CHUNK)).fetchall():
        files: dict[int, Files] = {}
        for message, file, *held in db.execute(_FILES, (chat, rows[0][0], rows[-1][0])):
            files.setdefault(message, {})[file] = Held(*held)
        for row in rows:
            yield Row._make((*row[:-1], orjson.loads(row[-1]))), files.get(row[0], {})
        after = rows[-1][0]


def _head(db: sqlite3.Connection, chat: int) -> dict[str, Any]:
    title, username, raw = db.execute("SELECT title, username, raw FROM chats WHERE id = ?", (chat,)).fetchone()
    if chat > 0:
        user = db.execute("SELECT raw FROM users WHERE id = ?", (chat,)).fetchone()
        raw = user[0] if user else raw
    kind = _kind(chat, username, orjson.loads(raw) if raw else {})
    named = {} if kind in _NAMELESS else {"name": title or None}
    return {**named, "type": kind, "id": bare(chat)}


def _kind(chat: int, username: str | None, raw: dict[str, Any]) -> str:
    """Telegram Desktop's word for a chat."""
    if chat > 0:
        if raw.get("is_self"):
            return "saved_messages"
        if chat in _REPLIES:
            return "replies"
        if chat == _CODES:
            return "verification_codes"
        return "bot_chat" if raw.get("bot") else "personal_chat"
    if bare(chat) == -chat:
        return "private_group"
    public = "public" if username or raw.get("username") or raw.get("usernames") else "private"
    return f"{public}_{'channel' if raw.get('broadcast') else 'supergroup'}"
