"""Names and labels of the users, groups and channels that messages refer to."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

CHANNEL = 10**12
"""A channel's marked id is -(CHANNEL + its own id)."""


class Peer(NamedTuple):
    """What is known of a peer; all None for one that the archive does not know."""

    name: str | None
    username: str | None
    is_bot: bool


class Peers:
    """Looks peers up in an archive; remembers the last 50,000."""

    find: Callable[[int], Peer]

    def __init__(self, db: sqlite3.Connection) -> None:
        """Look up in the tables users and chats of `db`."""
        self._db = db
        self.find = lru_cache(50_000)(self._find)

    def name(self, marked_id: int) -> str | None:
        """The name, None (null) where there is none, such as of a deleted account."""
        return self.find(marked_id).name

    def _find(self, marked_id: int) -> Peer:
        row = self._db.execute("SELECT name, username, raw FROM users WHERE id = ?", (marked_id,)).fetchone()
        if row is None:
            row = self._db.execute("SELECT title, username, raw FROM chats WHERE id = ?", (marked_id,)).fetchone()
        if row is None:
            return Peer(None, None, is_bot=False)
        raw = orjson.loads(row[2]) if row[2] else {}
        return Peer(row[0] or None, row[1] or None, is_bot=bool(raw.get("bot")))


def marked(peer: dict[str, Any] | None) -> int | None:
    """The marked id of a Peer object."""
    if peer is None:
        return None
    if "user_id" in peer:
        return int(peer["user_id"])
    if "channel_id" in peer:
        return -(CHANNEL + int(peer["channel_id"]))
    if "chat_id" in peer:
        return -int(peer["chat_id"])
    return None


def bare(marked_id: int) -> int:
    """The positive id without its mark."""
    if marked_id > 0:
        return marked_id
    return -marked_id - CHANNEL if marked_id < -CHANNEL else -marked_id


def label(marked_id: int) -> str:
    """`user1`, `chat1` or `channel1`."""
    if marked_id > 0:
        return f"user{marked_id}"
    return f"{'channel' if marked_id < -CHANNEL else 'chat'}{bare(marked_id)}"
