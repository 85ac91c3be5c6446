"""Which data centre is asked for a file, and which one comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tobs.api import MediaRef
    from tobs_dc_routing.ahead import Ahead

Strategy: TypeAlias = "Callable[[Mapping[int, int]], int]"
"""Chooses one of the data centres that have bytes left, see `tobs.ports.Lanes.first`."""

MOVED = 4096
"""Files that moved and are remembered; the oldest makes room for another."""


class Routing:
    """See `tobs.ports.Lanes`. A file is asked of the data centre that its message names, or that the server named."""

    def __init__(self, ahead: Ahead, first: Strategy) -> None:
        self._ahead = ahead
        self._first = first
        self._moved: dict[int, int] = {}

    def lane(self, ref: MediaRef) -> int | None:
        """Where the file lies; home where the message does not say."""
        return self._moved.get(ref.file_id) or ref.dc or None

    def moved(self, ref: MediaRef, dc: int) -> None:
        """The server knows better: the file is not asked elsewhere again in this run."""
        self._moved.pop(ref.file_id, None)
        self._moved[ref.file_id] = dc
        if len(self._moved) > MOVED:
            del self._moved[next(iter(self._moved))]

    def expect(self, dc: int, size: int) -> None:
        """Files will be wanted: their connections are opened meanwhile."""
        if dc:
            self._ahead.wait(dc, size)

    def first(self, left: Mapping[int, int]) -> int:
        """As the strategy says."""
        return self._first(left)


class Smart:
    """Most bytes left first, so that what takes longest does not begin last; what is still being opened can wait."""

    def __init__(self, is_opening: Callable[[int], bool]) -> None:
        self._is_opening = is_opening

    def __call__(self, left: Mapping[int, int]) -> int:
        return max(left, key=lambda dc: (not self._is_opening(dc), left[dc]))


class Sticky:
    """The same until it has none left, then the one whose file has waited longest."""

    def __init__(self) -> None:
        self._current: int | None = None

    def __call__(self, left: Mapping[int, int]) -> int:
        if self._current not in left:
            self._current = next(iter(left))
        return self._current  # type: ignore[return-value] # it is in left


class RoundRobin:
    """Each in turn, by number."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, left: Mapping[int, int]) -> int:
        later = [dc for dc in left if dc > self._last]
        self._last = min(later or left)
        return self._last
