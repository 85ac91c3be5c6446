"""The record of one chat, divided into ranges of ids.

Of most ranges only a filter is in memory. A range's record is read when a message may be in it, or is to be added; at
most so many are in memory at once, and the one that was not used for longest is written and makes room. A range that
becomes too full is divided, so that there are more filters and none that is fuller than it was made for.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from tobs_bloom_filter.leaf import Leaf
from tobs_bloom_filter.packing import FORMAT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tobs.api import State
    from tobs_bloom_filter.leaf import Choice
    from tobs_bloom_filter.record import Record

NUMBER = 8
"""Bytes of a print that stand for a message in a plain set."""


class Shelf:
    """One chat's messages. `size` is the bytes that it takes in memory, `peak` the most that it took."""

    def __init__(self, chat_id: int, state: State, choice: Choice) -> None:
        self._name = f"chat{chat_id}"
        self._state = state
        self._choice = choice
        self._kept = _lows(state.get(self._name))
        self._lows = list(self._kept)
        self._leaves = [Leaf(self._name, low, state, choice) for low in self._lows]
        self._loaded: OrderedDict[int, Leaf] = OrderedDict()
        self._weight = 0
        self._set: set[int] | None = None
        self._members = 0
        self.peak = 0
        if choice.kind == "set":
            self._set = set()
            for leaf in self._leaves:
                self._add(self._record(leaf).prints())

    @property
    def size(self) -> int:
        """Bytes of filters, of records that are loaded, and of the set where there is one."""
        lists = sys.getsizeof(self._lows) + sys.getsizeof(self._leaves)
        return lists + self._weight + (0 if self._set is None else sys.getsizeof(self._set) + self._members)

    @property
    def words(self) -> list[str]:
        """The kinds of the ranges' filters, by id; empty for a range of which there is none."""
        return [leaf.word for leaf in self._leaves]

    def overlaps(self, low: int, high: int) -> bool:
        """Whether anything may be kept from id `low` to `high`."""
        first, last = self._places(low, high)
        return any(self._opened(leaf).bottom <= high and low <= leaf.top for leaf in self._leaves[first:last])

    def likely(self, prints: Mapping[int, bytes]) -> list[int]:
        """The ids of messages that may be kept with these prints."""
        if self._set is not None:
            held = self._set
            return [number for number, mark in prints.items() if _number(mark) in held]
        found: list[int] = []
        for leaf, inside in self._parted(prints):
            found += self._opened(leaf).likely(inside, prints)
        return found

    def find(self, numbers: Collection[int]) -> dict[int, bytes]:
        """What is kept of some messages, and perhaps of others between them."""
        found: dict[int, bytes] = {}
        for leaf, inside in self._parted(numbers):
            found |= self._record(leaf).find(min(inside), max(inside))
        return found

    def put(self, marks: Mapping[int, bytes]) -> None:
        """Keep some messages, in place of what is kept of them."""
        for leaf, inside in self._parted(marks):
            record = self._record(leaf)
            before = (leaf.bottom, leaf.top)
            record.put({number: marks[number] for number in inside})
            leaf.changed()
            self._divide(leaf, before)
        if self._set is not None:
            self._add(marks.values())
        self._note()

    def save(self) -> None:
        """Write what has changed; no record stays in memory."""
        while self._loaded:
            self._unload()

    # ---------------------------------------------------------------- ranges

    def _places(self, low: int, high: int) -> tuple[int, int]:
        """Where the ranges begin and end, among all, that ids from `low` to `high` lie in."""
        return bisect_right(self._lows, low) - 1, bisect_right(self._lows, high)

    def _parted(self, numbers: Collection[int]) -> list[tuple[Leaf, list[int]]]:
        """Some ids by the range that they lie in."""
        first, last = self._places(min(numbers), max(numbers))
        if last - first == 1:
            return [(self._leaves[first], list(numbers))]
        parted: dict[int, list[int]] = {}
        for number in numbers:
            parted.setdefault(bisect_right(self._lows, number) - 1, []).append(number)
        return [(self._leaves[at], inside) for at, inside in parted.items()]

    def _divide(self, leaf: Leaf, before: tuple[int, int]) -> None:
        """Give what is too much in a range to new ones above it.

        `before` is from where to where it went: one that grew at one end is left full there, any other is halved.
        """
        most, down, up = self._choice.most, leaf.bottom < before[0], leaf.top > before[1]
        left = [leaf]
        while left:
            one = left.pop()
            record = self._record(one)
            if len(record) > most:
                above = record.split(len(record) // 2 if down == up else len(record) - most if down else most)
                one.changed()
                upper = Leaf(self._name, above.ids[0], self._state, self._choice)
                upper.give(above)
                place = bisect_right(self._lows, upper.low)
                self._lows.insert(place, upper.low)
                self._leaves.insert(place, upper)
                left += [upper, one]
            self._weigh(one)

    # ---------------------------------------------------------------- memory

    def _opened(self, leaf: Leaf) -> Leaf:
        """A range whose filter or record is in memory."""
        if not leaf.is_open:
            leaf.open()
            if leaf.is_loaded:
                self._record(leaf)
            self._weigh(leaf)
            self._note()
        return leaf

    def _record(self, leaf: Leaf) -> Record:
        """The record of a range, which is the latest used of all."""
        known = leaf.low in self._loaded
        record = leaf.load()
        self._loaded[leaf.low] = leaf
        self._loaded.move_to_end(leaf.low)
        if not known:
            self._weigh(leaf)
            self._note()
            while len(self._loaded) > self._choice.loaded:
                self._unload()
        return record

    def _unload(self) -> None:
        """Write the record that was not used for longest, if it has changed, and forget it."""
        _, leaf = self._loaded.popitem(last=False)
        leaf.unload()
        self._weigh(leaf)
        if self._kept != self._lows:
            self._kept = list(self._lows)
            self._state.put(self._name, {"format": FORMAT, "lows": self._kept})

    def _weigh(self, leaf: Leaf) -> None:
        weight = leaf.size
        self._weight += weight - leaf.weight
        leaf.weight = weight

    def _note(self) -> None:
        self.peak = max(self.peak, self.size)

    def _add(self, marks: Iterable[bytes]) -> None:
        """Add prints to the set."""
        if self._set is not None:
            fresh = {_number(mark) for mark in marks} - self._set
            self._members += sum(map(sys.getsizeof, fresh))
            self._set |= fresh


def _number(mark: bytes) -> int:
    return int.from_bytes(mark[:NUMBER], "little")


def _lows(value: dict[str, Any]) -> list[int]:
    """Where ranges begin, of what was kept; one for all ids if it is damaged or another format's."""
    lows = value.get("lows") if value.get("format") == FORMAT else None
    if not isinstance(lows, list) or not all(type(low) is int and 0 <= low < 1 << 32 for low in lows):
        return [0]
    return sorted({0, *lows})
