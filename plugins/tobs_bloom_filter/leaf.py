"""One range of a chat's ids: its record on the disk and, in memory, that or a filter for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from tobs_bloom_filter.filters import UNPACK, smallest
from tobs_bloom_filter.packing import packed, unpacked
from tobs_bloom_filter.record import PRINT, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tobs.api import State
    from tobs_bloom_filter.filters import Filter


class Choice(NamedTuple):
    """The knobs: what stands for a range, a Bloom filter's share of mistakes, messages a range, records in memory."""

    kind: str
    share: float
    most: int
    loaded: int


class Leaf:
    """The messages from id `low` to the next range, all of them from `bottom` to `top` once it `is_open`.

    What was kept is read when it is first asked for: the filter, or where that is missing, damaged or made for other
    knobs the record. `weight` is what its owner counts it at.
    """

    __slots__ = (
        "_choice",
        "_filter",
        "_name",
        "_record",
        "_state",
        "_unsaved",
        "bottom",
        "is_open",
        "low",
        "top",
        "weight",
    )

    def __init__(self, name: str, low: int, state: State, choice: Choice) -> None:
        self.low = low
        self.bottom, self.top = 1, 0
        self.weight = 0
        self._name = f"{name}.{low}"
        self._state = state
        self._choice = choice
        self._filter: Filter | None = None
        self._record: Record | None = None
        self.is_open = False
        self._unsaved = False

    @property
    def size(self) -> int:
        """Bytes that it takes in memory."""
        held = 0 if self._filter is None else sys.getsizeof(self._filter) + self._filter.size
        return sys.getsizeof(self) + held + (0 if self._record is None else self._record.size)

    @property
    def is_loaded(self) -> bool:
        """Whether the record is in memory."""
        return self._record is not None

    @property
    def word(self) -> str:
        """The kind of its filter; empty where there is none."""
        return "" if self._filter is None else self._filter.word

    def open(self) -> None:
        """Know from where to where messages are kept, and have a filter or the record in memory."""
        value = self._state.get(f"{self._name}.filter")
        data = unpacked(value) if value.get("made_for") == self._made_for() else None
        try:
            if data is not None:
                self._filter = UNPACK[value["kind"]](data)
                self.bottom, self.top = int(value["bottom"]), int(value["top"])
                self.is_open = True
        except (KeyError, TypeError, ValueError):
            self._filter = None
        if not self.is_open:
            self._unsaved = len(self.load()) > 0

    def load(self) -> Record:
        """The record; what is damaged, missing or another format's is empty."""
        if self._record is None:
            data = unpacked(self._state.get(self._name))
            self._record = (None if data is None else Record.unpack(data)) or Record()
            self._bound(self._record)
        return self._record

    def give(self, record: Record) -> None:
        """Have this record from now on."""
        self._record = record
        self.changed()

    def changed(self) -> None:
        """The record is not what is kept any more, and no filter stands for it."""
        self._filter = None
        self._unsaved = True
        self._bound(self.load())

    def likely(self, numbers: Sequence[int], prints: Mapping[int, bytes]) -> list[int]:
        """Those of these messages that may be kept with their prints."""
        if self._record is not None:
            kept = self._record.find(min(numbers), max(numbers))
            return [number for number in numbers if number in kept and kept[number][:PRINT] == prints[number]]
        held = self._filter
        return [] if held is None else [number for number in numbers if (number, prints[number]) in held]

    def unload(self) -> None:
        """Write what has changed; only a filter stays in memory."""
        record = self._record
        if record is None:
            return
        if self._filter is None and len(record) and self._choice.kind != "set":
            self._filter = smallest(record, self._choice.kind, self._choice.share)
        if self._unsaved:
            self._state.put(self._name, packed(record.pack()))
            held, bounds = self._filter, {"bottom": self.bottom, "top": self.top}
            value = {} if held is None else packed(held.pack(), kind=held.word, made_for=self._made_for(), **bounds)
            self._state.put(f"{self._name}.filter", value)
        self._record, self._unsaved = None, False

    def _made_for(self) -> list[str | float]:
        return [self._choice.kind, self._choice.share]

    def _bound(self, record: Record) -> None:
        self.is_open = True
        self.bottom, self.top = (record.ids[0], record.ids[-1]) if len(record) else (1, 0)
