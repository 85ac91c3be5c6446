"""How old file references are, and old ones read again just before they are used.

A reference is good for a time that the server does not tell (two to three hours, as users report). A file asked for
with an expired one costs a refusal and a request for its message; a hundred messages can be asked for at once.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from tobs.api import LostError, MediaRef, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tobs.api import Attempt, Batch, Context, Page, Settled

    Read: TypeAlias = "tuple[Sequence[MediaRef], float]"
    """References and the time at which they were read."""

EXPIRED = "FILE_REFERENCE_EXPIRED"
NEVER = -inf
"""When references were read that some earlier run left in the archive: nobody knows."""
NOTED = 10_000
"""Stretches of messages whose time of reading is kept, of a page or more each: under 2 MB."""
USED = 3
"""Chunks that the agenda may still be at: an expired reference is taken to be one of theirs."""


class Ages:
    """When references were read. `after` is the age in seconds that is taken as safe; it sinks where one expired.

    `clock` gives seconds that go on while the machine sleeps, as the server's do.
    """

    def __init__(self, after: float, clock: Callable[[], float] = time.time) -> None:
        self.safe = after
        self._clock = clock
        self._noted: dict[int, list[tuple[int, int, float]]] = {}
        self._room = NOTED
        self._sorted = True
        self._used: deque[float] = deque(maxlen=USED)
        self._gone = 0

    def now(self) -> float:
        """The time of what is read at this moment."""
        return self._clock()

    def note(self, refs: Sequence[MediaRef]) -> None:
        """Remember that these references of one page, which nobody keeps, were read at this moment."""
        if self._room:
            self._room -= 1
            ids = [ref.message_id for ref in refs]
            # A page has all of the messages between two of its own, so that what lies between was read with them.
            self._noted.setdefault(refs[0].chat_id, []).append((min(ids), max(ids), self._clock()))
            self._sorted = False

    def dated(self, refs: Iterable[MediaRef]) -> list[Read]:
        """References out of the archive by the time at which they were read: one that was noted, or `NEVER`."""
        if not self._sorted:
            for stretches in self._noted.values():
                stretches.sort()
            self._sorted = True
        found: dict[float, list[MediaRef]] = {}
        for ref in refs:
            found.setdefault(self._read(ref), []).append(ref)
        return [(dated, read) for read, dated in found.items()]

    def _read(self, ref: MediaRef) -> float:
        stretches = self._noted.get(ref.chat_id, ())
        place = bisect_right(stretches, ref.message_id, key=itemgetter(0))
        if place:
            _, high, read = stretches[place - 1]
            if ref.message_id <= high:
                return read
        return NEVER

    async def renewed(self, chunk: Sequence[Read], ctx: Context) -> list[MediaRef]:
        """The chunk's references, those that are too old read again: one request for a hundred messages of a chat.

        What the server no longer has, or does not hand out just now, stays as it is: core settles it.
        """
        limit = self._clock() - self.safe
        old = [ref for refs, read in chunk if read <= limit for ref in refs]
        if not old:
            self._used.append(min(read for _, read in chunk))
            return [ref for refs, _ in chunk for ref in refs]
        try:
            found = await ctx.refresh(old)
        except (LostError, RpcError):
            found = {}
        self._used.append(min((read for _, read in chunk if read > limit), default=self._clock()))
        renewed = []
        for refs, read in chunk:
            for ref in refs:
                fresh = found.get((ref.message_id, ref.file_id)) if read <= limit else None
                if fresh is not None and fresh.chat_id == ref.chat_id:
                    renewed.append(_with(ref, fresh))
                else:
                    renewed.append(ref)
                    self._gone += read <= limit
        return renewed

    def expired(self) -> None:
        """The server refused a reference: half the age of the oldest in use is taken as safe from here on."""
        if self._gone:
            self._gone -= 1  # it could not be read again, so that its age says nothing
        elif self._used:
            self.safe = min(self.safe, max(0.0, self._clock() - min(self._used)) / 2)


def _with(ref: MediaRef, fresh: MediaRef) -> MediaRef:
    """The reference with what is needed to ask for its file taken from a fresh one; its name does not change."""
    return ref._replace(dc=fresh.dc, access_hash=fresh.access_hash, reference=fresh.reference, thumb=fresh.thumb)


class Expiries:
    """A probe that tells `Ages` of references which the server refused as expired."""

    def __init__(self, ages: Ages) -> None:
        self._ages = ages

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        """Nothing to learn."""

    def file(self, outcome: Settled, seconds: float) -> None:
        """Nothing to learn."""

    def attempt(self, attempt: Attempt) -> None:
        """Learn from a refusal."""
        if attempt.outcome == EXPIRED:
            self._ages.expired()

    def flood(self, method: str, seconds: float) -> None:
        """Nothing to learn."""
