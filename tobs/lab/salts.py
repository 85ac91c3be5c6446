"""Server salts: which number a client has to put into its messages, and when it changes.

Source: https://core.telegram.org/mtproto/service_messages (get_future_salts) and
https://core.telegram.org/mtproto/description (server salt). A real salt holds for an hour, half of it together
with the one before it.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.lab.keys import Client

MOST_AHEAD = 64
"""Salts that a client may ask for at once."""

FOREVER = 3650 * 86_400.0
"""Seconds for which a salt is said to hold that never changes."""


def salt_of(key: bytes, epoch: int = 0) -> int:
    """The salt of an authorization key in an epoch, signed 64 bits; a pure function of both."""
    number = b"" if epoch == 0 else struct.pack("<q", epoch)
    return int(struct.unpack("<q", sha256(b"server salt" + key + number).digest()[:8])[0])


@dataclass(frozen=True, slots=True)
class Salts:
    """The schedule of a lab: a new salt every `life` seconds since `start` (Unix time); None: the first for ever.

    A salt is still accepted for half a life after the next one has come.
    """

    life: float | None
    start: float

    def _epoch(self, now: float) -> int:
        return 0 if self.life is None else max(0, math.floor((now - self.start) / self.life))

    def current(self, client: Client, now: float) -> int:
        """The salt that holds for a key now."""
        return client.salt if self.life is None else salt_of(client.key.key, self._epoch(now))

    def until(self, now: float) -> float:
        """Until when what holds now is accepted, as Unix time."""
        if self.life is None:
            return math.inf
        return self.start + (self._epoch(now) + 1.5) * self.life

    def accepts(self, client: Client, salt: int, now: float) -> bool:
        """Whether a message of this key may carry this salt now."""
        if salt == self.current(client, now):
            return True
        if salt == client.first_salt:
            return now < client.first_until
        if self.life is None:
            return False
        epoch = self._epoch(now)
        is_overlap = epoch > 0 and now - self.start - epoch * self.life < self.life / 2
        return is_overlap and salt == salt_of(client.key.key, epoch - 1)

    def ahead(self, client: Client, now: float, count: int) -> list[tuple[int, int, int]]:
        """The current salt and those after it, at most `count`: since when, until when (Unix time), salt."""
        if self.life is None:
            return [(int(self.start), int(now + FOREVER), client.salt)][: max(0, count)]
        first = self._epoch(now)
        return [
            (
                int(self.start + epoch * self.life),
                math.ceil(self.start + (epoch + 1.5) * self.life),
                salt_of(client.key.key, epoch),
            )
            for epoch in range(first, first + min(count, MOST_AHEAD))
        ]
