"""The files that wait for one data centre, and which of them goes next."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.api import MediaRef


@dataclass(frozen=True, slots=True)
class Entry:
    """A reference that waits. `rank` orders within its kind, `turn` is its place in the order of arrival."""

    ref: MediaRef
    rank: float
    turn: int
    arrived: float


@dataclass(slots=True)
class Waiting:
    """By arrival, by kind and rank, and by size. A few thousand at most, so that sorted lists are quick enough."""

    size: int = 0
    """Bytes of all of them."""
    _entries: dict[int, Entry] = field(default_factory=dict)
    _kinds: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    _sizes: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._entries)

    @property
    def since(self) -> int:
        """The turn of the one that came first."""
        return next(iter(self._entries))

    def add(self, entry: Entry) -> None:
        """One more."""
        self._entries[entry.turn] = entry
        insort(self._kinds.setdefault(entry.ref.kind, []), (entry.rank, entry.turn))
        insort(self._sizes, (entry.ref.size, entry.turn))
        self.size += entry.ref.size

    def largest(self) -> Entry:
        """The largest file; of equal ones the last that came."""
        return self._entries[self._sizes[-1][1]]

    def next(self, moving: Mapping[str, int], shares: Mapping[str, float]) -> Entry:
        """The first by rank, of the kind that has least of its share moving."""
        kind = min(self._kinds, key=lambda kind: (moving.get(kind, 0) / shares.get(kind, 1.0), self._kinds[kind][0]))
        return self._entries[self._kinds[kind][0][1]]

    def take(self, entry: Entry) -> None:
        """It waits no longer."""
        del self._entries[entry.turn]
        ranks = self._kinds[entry.ref.kind]
        del ranks[bisect_left(ranks, (entry.rank, entry.turn))]
        if not ranks:
            del self._kinds[entry.ref.kind]
        del self._sizes[bisect_left(self._sizes, (entry.ref.size, entry.turn))]
        self.size -= entry.ref.size

    def clear(self) -> None:
        """Nothing waits."""
        self._entries.clear()
        self._kinds.clear()
        self._sizes.clear()
        self.size = 0
