"""File references that expire: https://core.telegram.org/api/file_reference.

A world's messages are serialized once, with references that end in `MARK`. Where references expire, `MARK` gives way
to the time as an answer leaves: the same number of bytes, so that nothing is serialized anew. Time is cut into
epochs, an eighth of a reference's life each, and a reference carries its epoch's number: it is good for seven to
eight eighths of the life from when it was handed out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tobs.lab.draws import seeded_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.lab.tl import Chunks

MARK = seeded_bytes(8, "where a file reference carries its time")
_KEPT = 4
"""Bytes of `MARK` that stay; the others become the epoch."""

EPOCHS = 8


def reference(*key: str | int) -> bytes:
    """The reference of the file with this key, as a message carries it before it is handed out: 25 bytes."""
    return b"\x01" + seeded_bytes(16, "reference", *key) + MARK


class References:
    """Hands out and checks references that live `life` seconds; None: for ever, as they stand.

    `clock` gives Unix seconds, so that a reference outlives a restart of the lab.
    """

    def __init__(self, life: float | None, clock: Callable[[], float] = time.time) -> None:
        self.expire = life is not None
        self._span = (life or 0.0) / EPOCHS
        self._clock = clock

    @property
    def epoch(self) -> int:
        """The number that references carry that are handed out now; always 0 where they do not expire."""
        return int(self._clock() / self._span) & 0xFFFFFFFF if self.expire else 0

    def stamp(self, body: Chunks) -> Chunks:
        """A serialized answer with references of now."""
        if not self.expire:
            return body
        stamped = MARK[:_KEPT] + self.epoch.to_bytes(4, "little")
        return tuple(chunk.replace(MARK, stamped) for chunk in body)

    def accepts(self, given: bytes, held: bytes) -> bool:
        """Whether a reference that comes back is the file's own (`held`, as its messages carry it) and still good."""
        if not (self.expire and held.endswith(MARK)):
            return given == held
        known = len(held) - len(MARK) + _KEPT
        if given[:known] != held[:known] or len(given) != len(held):
            return False
        age = (self.epoch - int.from_bytes(given[known:], "little")) & 0xFFFFFFFF
        return age < EPOCHS
