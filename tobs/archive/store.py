"""Keeps batches and outcomes: the hot path of an export.

One connection, prepared statements, one transaction a call, run directly on the event loop: handing a page to
a thread would cost more than the page does.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from tobs.archive.faults import guard
from tobs.archive.schema import tune

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tobs.values import Batch, MessageRow, PeerRow, Settled, Span

MESSAGE = """
INSERT INTO messages (chat_id, id, date, sender_id, text, kind, reply_to, grouped_id, topic_id, edited,
    views, forwards, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (chat_id, id) DO UPDATE SET date = excluded.date, sender_id = excluded.sender_id,
    text = excluded.text, kind = excluded.kind, reply_to = excluded.reply_to,
    grouped_id = excluded.grouped_id, topic_id = excluded.topic_id, edited = excluded.edited, views = excluded.views,
    forwards = excluded.forwards, raw = excluded.raw"""
MEDIA = """
INSERT INTO media (chat_id, message_id, kind, file_id, dc, size, name, mime, date, form, access_hash, reference,
    thumb) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (chat_id, message_id, file_id) DO UPDATE SET dc = excluded.dc, access_hash = excluded.access_hash,
    reference = excluded.reference, thumb = excluded.thumb WHERE status <> 'done'"""
# A "min" user or chat is a stub that Telegram sends beside a message; it never replaces the full one.
USER = """
INSERT INTO users (id, name, username, raw) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, username = excluded.username, raw = excluded.raw
    WHERE json_extract(excluded.raw, '$.min') IS NOT 1"""
CHAT = """
INSERT INTO chats (id, kind, title, username, raw) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET title = excluded.title, username = excluded.username, raw = excluded.raw
    WHERE chats.raw IS NULL OR json_extract(excluded.raw, '$.min') IS NOT 1"""
KNOWN = "SELECT id, seq, kind, edited, text, raw FROM messages WHERE chat_id = ? AND id BETWEEN ? AND ?"
KEEP = "INSERT INTO edits (chat_id, id, edited, text, raw) VALUES (?, ?, ?, ?, ?)"
STALE = "INSERT OR IGNORE INTO stale (seq, text) VALUES (?, ?)"
TOUCHING = "SELECT low, high FROM spans WHERE chat_id = ? AND low <= ? AND high >= ?"
FILE = "INSERT OR REPLACE INTO files (id, sha256, size, path) VALUES (?, ?, ?, ?)"
DONE = "UPDATE media SET status = 'done', reason = '' WHERE file_id = ? AND status <> 'done'"
UNDONE = """
UPDATE media SET status = ?, reason = ?
    WHERE chat_id = ? AND message_id = ? AND file_id = ? AND status <> 'done'"""


class Kept(NamedTuple):
    """What the archive holds of a message that arrives once more."""

    id: int
    seq: int
    kind: str
    edited: str | None
    text: str
    raw: str


class Store:
    """Implements the port `ArchiveWrite` on an open database. One caller at a time."""

    def __init__(self, db: sqlite3.Connection, folder: Path) -> None:
        """Write through `db`, the database of the archive in `folder`."""
        self._db = db
        self._folder = folder
        # Hashes of the peers written in this run: a page names the same dozen users as the page before.
        self._peers: dict[int, int] = {}

    async def commit(self, batch: Batch) -> None:
        """Keep rows, peers, pending media and the span together, or nothing of them.

        A message that is known is replaced; if it was edited, its old version goes to `edits`. One that comes
        back emptied (expired media, cleared text, without an edit) leaves what is kept as it is.
        Raises `ArchiveError`.
        """
        peers = [peer for peer in batch.peers if self._peers.get(peer.id) != hash(peer)]
        with transaction(self._db, self._folder):
            if peers:
                self._keep_peers(peers)
            rows = batch.messages
            if rows:
                rows = self._supersede(batch.chat_id, rows)
                # sqlite3 binds an exact tuple 0.5 us faster than a named one.
                self._db.executemany(MESSAGE, list(map(tuple, rows)))
            if batch.media:
                self._db.executemany(MEDIA, batch.media)
            self._cover(batch.chat_id, batch.span)
        for peer in peers:
            self._peers[peer.id] = hash(peer)

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        """Keep what became of references. A finished file settles every message that carries it.

        Raises `ArchiveError`.
        """
        done = [outcome for outcome in outcomes if outcome.status == "done"]
        rest = [outcome for outcome in outcomes if outcome.status != "done"]
        with transaction(self._db, self._folder):
            self._db.executemany(FILE, [(o.ref.file_id, o.sha256, o.size, o.path) for o in done])
            self._db.executemany(DONE, [(o.ref.file_id,) for o in done])
            self._db.executemany(
                UNDONE,
                [(o.status, o.reason, o.ref.chat_id, o.ref.message_id, o.ref.file_id) for o in rest],
            )

    def tune(self, *, journal: str, synchronous: str, page_size: int, log: int) -> None:
        """See `tobs.ports.ArchiveWrite`. Raises `ArchiveError`."""
        tune(self._db, self._folder, journal=journal, synchronous=synchronous, page_size=page_size, log=log)

    def _keep_peers(self, peers: Sequence[PeerRow]) -> None:
        users = [(p.id, p.name, p.username, p.raw) for p in peers if p.kind == "user"]
        if users:
            self._db.executemany(USER, users)
        if len(users) < len(peers):
            self._db.executemany(CHAT, [p for p in peers if p.kind != "user"])

    def _supersede(self, chat_id: int, rows: list[MessageRow]) -> list[MessageRow]:
        """Put aside what `rows` replace, and leave out those that must not replace anything.

        On a first export nothing is known between the lowest and the highest id of a page, and this is one
        index look-up a page.
        """
        ids = [row.id for row in rows]
        known = {kept[0]: Kept(*kept) for kept in self._db.execute(KNOWN, (chat_id, min(ids), max(ids))).fetchall()}
        if not known:
            return rows
        written: list[MessageRow] = []
        for row in rows:
            kept = known.get(row.id)
            if kept is None:
                written.append(row)
            elif kept.raw != row.raw:
                lost = self._lost_files(row)
                if kept.edited == row.edited:
                    if lost or _emptied(kept, row):
                        continue
                else:
                    self._db.execute(KEEP, (chat_id, row.id, kept.edited, kept.text, kept.raw))
                    for file_id in lost:
                        self._db.execute(
                            "DELETE FROM media WHERE chat_id = ? AND message_id = ? AND file_id = ?",
                            (chat_id, row.id, file_id),
                        )
                self._db.execute(STALE, (kept.seq, kept.text))
                written.append(row)
        return written

    def _lost_files(self, row: MessageRow) -> list[int]:
        """Files that were this message's and that it names no more; a filter on media does not lose any."""
        held = self._db.execute("SELECT file_id FROM media WHERE chat_id = ? AND message_id = ?", (row.chat_id, row.id))
        return [file_id for (file_id,) in held.fetchall() if str(file_id) not in row.raw]

    def _cover(self, chat_id: int, span: Span) -> None:
        low, high = span.low, span.high
        if high < low:
            return
        touching = self._db.execute(TOUCHING, (chat_id, high + 1, low - 1)).fetchall()
        if touching:
            if len(touching) == 1 and touching[0][0] <= low and touching[0][1] >= high:
                return
            self._db.executemany(
                "DELETE FROM spans WHERE chat_id = ? AND low = ?", [(chat_id, start) for start, _ in touching]
            )
            low = min(low, *(start for start, _ in touching))
            high = max(high, *(end for _, end in touching))
        self._db.execute("INSERT INTO spans (chat_id, low, high) VALUES (?, ?, ?)", (chat_id, low, high))


@contextmanager
def transaction(db: sqlite3.Connection, folder: Path) -> Iterator[None]:
    """All that is written inside, or nothing of it. Raises `ArchiveError` for what SQLite refuses."""
    with guard(folder):
        try:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
            raise


def _emptied(kept: Kept, row: MessageRow) -> bool:
    """Whether a message that was not edited comes back with less than is kept of it."""
    return (kept.text != "" and row.text == "") or (kept.kind == "message" and row.kind == "service")
