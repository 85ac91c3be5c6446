"""What stays in memory of a range whose record is on the disk: enough to rule out most of what the record lacks.

A filter says of a message that it is not in the record, for sure, or that it may be. Those of ids know each id exactly
and nothing of what became of it since; a Bloom filter is of prints, knows a changed message from an unchanged one, and
is mistaken in a share of cases.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from math import log
from operator import index, sub
from typing import TYPE_CHECKING, Protocol

from rbloom import Bloom

from tobs_bloom_filter.record import ID, PRINT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs_bloom_filter.record import Record


class Filter(Protocol):
    """What may be in a range's record. `size` is the bytes that it takes in memory, `word` its kind."""

    word: str

    @property
    def size(self) -> int: ...

    def __contains__(self, message: tuple[int, bytes]) -> bool:
        """Whether a message of this id and print may be there."""
        ...

    def pack(self) -> bytes:
        """All of it."""
        ...


class Runs:
    """Exact: the first and the last id of every run without a gap."""

    word = "runs"

    def __init__(self, firsts: array[int], lasts: array[int]) -> None:
        self._firsts = firsts
        self._lasts = lasts

    @classmethod
    def of(cls, ids: array[int]) -> Runs:
        """The runs of ascending ids."""
        breaks = [at for at, step in enumerate(map(sub, ids[1:], ids), 1) if step != 1]
        firsts = array(ID, [ids[at] for at in (0, *breaks)] if ids else ())
        return cls(firsts, array(ID, [ids[at - 1] for at in (*breaks, len(ids))] if ids else ()))

    @property
    def size(self) -> int:
        """See `Filter`."""
        return sys.getsizeof(self._firsts) + sys.getsizeof(self._lasts)

    def __contains__(self, message: tuple[int, bytes]) -> bool:
        """See `Filter`."""
        at = bisect_right(self._firsts, message[0])
        return at > 0 and message[0] <= self._lasts[at - 1]

    def pack(self) -> bytes:
        """See `Filter`."""
        return (self._firsts + self._lasts).tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Runs:
        """What `pack` made. Raises `ValueError` for what it cannot have made."""
        both = array(ID, data)
        middle, odd = divmod(len(both), 2)
        if odd:
            raise ValueError("a run without an end")
        return cls(both[:middle], both[middle:])


class Bitmap:
    """Exact: a bit for every id from the first to the last."""

    word = "bitmap"

    def __init__(self, first: int, bits: bytes) -> None:
        self._first = first
        self._bits = bits

    @classmethod
    def of(cls, ids: array[int]) -> Bitmap:
        """The bits of ascending ids."""
        first = ids[0]
        bits = bytearray((ids[-1] - first) // 8 + 1)
        for number in ids:
            bits[number - first >> 3] |= 1 << (number - first & 7)
        return cls(first, bytes(bits))

    @property
    def size(self) -> int:
        """See `Filter`."""
        return sys.getsizeof(self._bits)

    def __contains__(self, message: tuple[int, bytes]) -> bool:
        """See `Filter`."""
        at = message[0] - self._first
        return 0 <= at >> 3 < len(self._bits) and self._bits[at >> 3] >> (at & 7) & 1 == 1

    def pack(self) -> bytes:
        """See `Filter`."""
        return self._first.to_bytes(FIRST, "little") + self._bits

    @classmethod
    def unpack(cls, data: bytes) -> Bitmap:
        """What `pack` made. Raises `ValueError` for what it cannot have made."""
        if len(data) <= FIRST:
            raise ValueError("no bit")
        return cls(int.from_bytes(data[:FIRST], "little"), data[FIRST:])


class Ids:
    """Exact: every id."""

    word = "ids"

    def __init__(self, ids: array[int]) -> None:
        self._ids = ids

    @classmethod
    def of(cls, ids: array[int]) -> Ids:
        """Ascending ids."""
        return cls(ids[:])

    @property
    def size(self) -> int:
        """See `Filter`."""
        return sys.getsizeof(self._ids)

    def __contains__(self, message: tuple[int, bytes]) -> bool:
        """See `Filter`."""
        at = bisect_right(self._ids, message[0])
        return at > 0 and self._ids[at - 1] == message[0]

    def pack(self) -> bytes:
        """See `Filter`."""
        return self._ids.tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Ids:
        """What `pack` made. Raises `ValueError` for what it cannot have made."""
        return cls(array(ID, data)[:])


def hashed(mark: bytes) -> int:
    """A print as the number that a Bloom filter takes: it is a hash already, of 128 bits."""
    return int.from_bytes(mark[:PRINT], "little", signed=True)


class Bloomed:
    """A Bloom filter of prints, of the size that its messages need."""

    word = "bloom"

    def __init__(self, bloom: Bloom) -> None:
        self._bloom = bloom

    @classmethod
    def of(cls, record: Record, share: float) -> Bloomed:
        """Of a record, mistaken in at most this share of cases: as full as it is, not as it was to be."""
        room = len(record)
        while True:
            bloom = Bloom(room, share, index)
            bloom.update(map(hashed, record.prints()))
            made = cls(bloom)
            if made.share <= share:
                return made
            room += room // 16 + 1

    @property
    def share(self) -> float:
        """How often it takes a print for one of its own: the share of set bits to the power of bits a print has."""
        packed = self._bloom.save_bytes()
        bits = int.from_bytes(packed[HEAD:], "little").bit_count()
        return float((bits / self._bloom.size_in_bits) ** int.from_bytes(packed[:HEAD], "little"))

    @property
    def size(self) -> int:
        """See `Filter`."""
        return sys.getsizeof(self._bloom) + self._bloom.size_in_bits // 8

    def __contains__(self, message: tuple[int, bytes]) -> bool:
        """See `Filter`."""
        return hashed(message[1]) in self._bloom

    def pack(self) -> bytes:
        """See `Filter`."""
        return self._bloom.save_bytes()

    @classmethod
    def unpack(cls, data: bytes) -> Bloomed:
        """What `pack` made. Raises `ValueError` for what it cannot have made."""
        if len(data) <= HEAD:
            raise ValueError("no filter is as short")
        return cls(Bloom.load_bytes(data, index))


FIRST = 4
"""Bytes of a packed bitmap before its bits: the first one's id."""
HEAD = 8
"""Bytes of a packed Bloom filter before its bits: how many each message sets."""
UNPACK: dict[str, Callable[[bytes], Filter]] = {kind.word: kind.unpack for kind in (Runs, Bitmap, Ids, Bloomed)}


def smallest(record: Record, kind: str, share: float) -> Filter:
    """The filter of this kind that takes the least memory for a record that is not empty; of equals an exact one."""
    if kind == "bloom":
        return Bloomed.of(record, share)
    ids = record.ids
    made: list[Filter] = [Runs.of(ids), Ids.of(ids)]
    if (ids[-1] - ids[0]) // 8 < made[-1].size:
        made.append(Bitmap.of(ids))
    best = min(made, key=lambda one: one.size)
    if kind == "exact" or best.size <= -len(ids) * log(share) / log(2) ** 2 / 8:  # bytes that no Bloom filter is below
        return best
    return min(best, Bloomed.of(record, share), key=lambda one: one.size)
