"""Batches for tests: the smallest rows that are still real."""

from __future__ import annotations

import asyncio
import sqlite3
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from tobs.archive.naming import place
from tobs.values import Batch, Chat, MediaRef, MessageRow, PeerRow, Settled, Span

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tobs.archive import Archive

CHANNEL = -1000000000123
CHAT = Chat(CHANNEL, "channel", "News", "news")
OTHER = Chat(-77, "chat", "Family")
DATE = "2024-01-31T12:00:00+00:00"


def message(number: int, text: str | None = None, *, chat: int = CHANNEL, **changed: Any) -> MessageRow:
    """A message; `raw` gets further TL fields."""
    text = f"message {number}" if text is None else text
    extra = changed.pop("raw", {})
    raw = {"_": "Message", "id": number, "date": DATE, "message": text, **extra}
    row = MessageRow(
        chat, number, DATE, 55, text, "message", None, None, None, None, 10, None, orjson.dumps(raw).decode()
    )
    return row._replace(**changed)


def photo(number: int, file_id: int, *, chat: int = CHANNEL, reference: bytes = b"ref", size: int = 5) -> MediaRef:
    """A photo that message `number` carries."""
    return MediaRef(chat, number, "photo", file_id, 2, size, None, "image/jpeg", DATE, "photo", 9, reference, "y")


def with_photo(number: int, file_id: int, **changed: Any) -> MessageRow:
    """A message that names the photo."""
    media = {"_": "MessageMediaPhoto", "photo": {"_": "Photo", "id": file_id, "access_hash": 9}}
    return message(number, raw={"media": media}, **changed)


def batch(
    rows: Iterable[MessageRow] = (),
    media: Iterable[MediaRef] = (),
    peers: Iterable[PeerRow] = (),
    *,
    chat: int = CHANNEL,
    span: Span | None = None,
) -> Batch:
    """A batch that covers its messages, or `span`."""
    rows = list(rows)
    ids = [row.id for row in rows]
    return Batch(chat, span or Span(min(ids), max(ids)), rows, list(media), list(peers))


def user(number: int, name: str, **raw: Any) -> PeerRow:
    """A user."""
    return PeerRow(number, "user", name, None, orjson.dumps({"_": "User", "id": number, **raw}).decode())


def commit(archive: Archive, given: Batch) -> None:
    """Commit outside a loop."""
    asyncio.run(archive.write.commit(given))


def settle(archive: Archive, *outcomes: Settled) -> None:
    """Settle outside a loop."""
    asyncio.run(archive.write.settle(outcomes))


def store_file(archive: Archive, ref: MediaRef, content: bytes) -> Settled:
    """Put a finished file where it belongs and settle it."""
    path = archive.folder / place(ref)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    outcome = Settled(ref, "done", sha256(content).hexdigest(), len(content), place(ref))
    settle(archive, outcome)
    return outcome


def query(folder: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of the database as another program sees them."""
    db = sqlite3.connect(folder / "tobs.sqlite")
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()
