"""Which data centres a chat's files came from, kept from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.api import State

NAME = "chats"
CHATS = 1000
"""Chats that are remembered; the one that was longest not exported makes room for another."""


class Chats:
    """Bytes by data centre of the chats of one account, the most that one run fetched, in its state.

    It only says what to open early. A wrong entry costs a connection and never a file.
    """

    def __init__(self, state: State, most: int = CHATS) -> None:
        self._state = state
        self._most = most
        self._earlier = self._read()
        self._seen: dict[int, dict[int, int]] = {}

    def centres(self, chat: int) -> list[int]:
        """Data centres that the chat's files came from in earlier runs, the one with most bytes first."""
        sizes = self._earlier.get(chat, {})
        return sorted(sizes, key=sizes.__getitem__, reverse=True)

    def saw(self, chat: int, dc: int, size: int) -> None:
        """A file of this run came from there."""
        seen = self._seen.setdefault(chat, {})
        seen[dc] = seen.get(dc, 0) + size

    def save(self) -> None:
        """Keep what this run saw beside what other runs kept meanwhile."""
        if not self._seen:
            return
        known = self._read()
        for chat, seen in self._seen.items():
            before = known.pop(chat, {})  # and in again behind the others: it was used last
            known[chat] = {dc: max(before.get(dc, 0), seen.get(dc, 0)) for dc in before.keys() | seen.keys()}
        rows = [[chat, {str(dc): size for dc, size in sizes.items()}] for chat, sizes in known.items()]
        self._state.put(NAME, {"chats": rows[-self._most :]})

    def _read(self) -> dict[int, dict[int, int]]:
        """What is kept, the longest unused first; what is damaged counts as not kept."""
        try:
            rows = self._state.get(NAME).get("chats", [])
            return {int(chat): {int(dc): int(size) for dc, size in sizes.items()} for chat, sizes in rows}
        except (AttributeError, TypeError, ValueError):
            return {}
