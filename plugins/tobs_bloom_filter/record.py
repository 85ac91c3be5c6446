"""The exact record of a range: of each message its id, a print of the answer's bytes and one of the row they became."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ID = "I"
"""Message ids are positive 32-bit integers."""
PRINT, CHECK = 16, 8
WIDE = PRINT + CHECK
"""Bytes kept of a message beside its id: the print of what came, and that of what was written."""


class Record:
    """Messages by id, in two plain arrays: 28 bytes a message."""

    def __init__(self, ids: array[int] | None = None, marks: bytearray | None = None) -> None:
        """Ids, ascending, and what is kept of each: `WIDE` bytes."""
        self.ids: array[int] = array(ID) if ids is None else ids
        self._marks = bytearray() if marks is None else marks

    def __len__(self) -> int:
        """How many messages it holds."""
        return len(self.ids)

    @property
    def size(self) -> int:
        """Bytes that it takes in memory."""
        return sys.getsizeof(self.ids) + sys.getsizeof(self._marks)

    def put(self, marks: Mapping[int, bytes]) -> None:
        """Keep some messages, in place of what is kept of them."""
        low, high = bisect_left(self.ids, min(marks)), bisect_right(self.ids, max(marks))
        if low < high:
            marks = {**self._between(low, high), **marks}
        ordered = sorted(marks)
        self.ids[low:high] = array(ID, ordered)
        self._marks[WIDE * low : WIDE * high] = b"".join(map(marks.__getitem__, ordered))

    def find(self, low: int, high: int) -> dict[int, bytes]:
        """What is kept of the messages from id `low` to `high`."""
        return self._between(bisect_left(self.ids, low), bisect_right(self.ids, high))

    def prints(self) -> Iterator[bytes]:
        """The prints of what came, by id."""
        marks = bytes(self._marks)
        return (marks[at : at + PRINT] for at in range(0, len(marks), WIDE))

    def split(self, at: int) -> Self:
        """Keep the `at` lowest messages and give the others away."""
        upper = type(self)(self.ids[at:], self._marks[WIDE * at :])
        del self.ids[at:], self._marks[WIDE * at :]
        return upper

    def pack(self) -> bytes:
        """All of it; ids as differences, which compress well."""
        return array(ID, map(sub, self.ids, array(ID, [0]) + self.ids[:-1])).tobytes() + self._marks

    @classmethod
    def unpack(cls, data: bytes) -> Self | None:
        """What `pack` made; None for what it cannot have made."""
        count, rest = divmod(len(data), array(ID).itemsize + WIDE)
        if rest:
            return None
        steps = array(ID, data[: len(data) - WIDE * count])
        if 0 in steps[1:] or sum(steps) >= 1 << 32:
            return None
        return cls(array(ID, accumulate(steps)), bytearray(data[len(data) - WIDE * count :]))

    def _between(self, low: int, high: int) -> dict[int, bytes]:
        marks = bytes(self._marks[WIDE * low : WIDE * high])
        return {number: marks[WIDE * at : WIDE * (at + 1)] for at, number in enumerate(self.ids[low:high])}
