"""bloom_filter: what stands for a range says no only where the record lacks a message, and takes the least memory."""

from __future__ import annotations

import base64
import random
import sys
from array import array
from math import exp, lgamma, log, log1p
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.seen_messages import mark_of, marks_of
from tobs_bloom_filter import packing
from tobs_bloom_filter.filters import UNPACK, Bitmap, Bloomed, Filter, Ids, Runs, smallest
from tobs_bloom_filter.packing import packed, unpacked
from tobs_bloom_filter.record import WIDE, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER = 1e-9
"""How improbable what a test calls impossible may be."""
UNKNOWN = 50_000
numbers = st.sets(st.integers(1, 2**31 - 1), min_size=1, max_size=300)
dense = st.builds(
    lambda low, gaps: {low + at for at in range(400)} - {low + gap for gap in gaps},
    st.integers(1, 10**9),
    st.sets(st.integers(0, 399), max_size=399),
)


def record_of(ids: Iterable[int]) -> Record:
    record = Record()
    record.put(marks_of(ids))
    return record


def at_most(trials: int, share: float) -> int:
    """So many of independent cases have more than that share only with the probability `NEVER`."""

    def probability(count: int) -> float:
        ways = lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1)
        return exp(ways + count * log(share) + (trials - count) * log1p(-share))

    tail, count = 0.0, min(trials, int(trials * share + 20 * (trials * share) ** 0.5 + 20))
    while True:
        tail += probability(count)
        if tail >= NEVER:
            return count
        count -= 1


# ---------------------------------------------------------------- filters


def test_the_bound_is_that_of_the_binomial_distribution() -> None:
    assert at_most(10, 0.5) == 10, "all of ten are not improbable enough"
    assert 75 <= at_most(100, 0.5) <= 85, "six standard deviations of five"


@pytest.mark.parametrize("share", [0.2, 0.01, 0.001, 0.0001])
@pytest.mark.parametrize("held", [1, 64, 4096])
def test_a_bloom_filter_is_mistaken_no_more_often_than_it_says(share: float, held: int) -> None:
    record = record_of(range(1, held + 1))
    bloom = Bloomed.of(record, share)
    kept = record.find(1, held)
    assert all((number, kept[number]) in bloom for number in kept)
    unknown = (mark_of(number) for number in range(10**6, 10**6 + UNKNOWN))
    edited = (mark_of(number % held + 1, f"edited {number}") for number in range(UNKNOWN))
    for others in (unknown, edited):
        assert sum((0, mark) in bloom for mark in others) <= at_most(UNKNOWN, share)
    assert bloom.share <= share
    needed = -held * log(share) / log(2) ** 2 / 8
    assert bloom.size <= 1.2 * needed + 8 + sys.getsizeof(bloom._bloom), "and it is hardly larger than theory has it"


@given(numbers | dense)
def test_exact_filters_know_every_id_and_no_other(ids: set[int]) -> None:
    ordered = array("I", sorted(ids))
    near = {number + step for number in ids for step in (-1, 0, 1)} | {0, 1, 2**31}
    kinds: list[Filter] = [Runs.of(ordered), Ids.of(ordered)]
    if ordered[-1] - ordered[0] < 10**6:
        kinds.append(Bitmap.of(ordered))
    for made in kinds:
        for one in (made, UNPACK[made.word](made.pack())):
            assert {number for number in near if (number, b"") in one} == ids
            assert one.size == made.size


@given(numbers | dense, st.sampled_from(["auto", "exact", "bloom"]), st.sampled_from([0.3, 0.01, 1e-4]))
def test_the_smallest_is_chosen_and_lacks_nothing(ids: set[int], kind: str, share: float) -> None:
    record = record_of(ids)
    chosen = smallest(record, kind, share)
    for one in (chosen, UNPACK[chosen.word](chosen.pack())):
        assert all((number, mark_of(number)) in one for number in ids)
    ordered = record.ids
    others: list[Filter] = [] if kind == "exact" else [Bloomed.of(record, share)]
    if kind != "bloom":
        others += [Runs.of(ordered), Ids.of(ordered)]
        others += [Bitmap.of(ordered)] if ordered[-1] - ordered[0] < 10**6 else []
    assert chosen.size == min(one.size for one in others)


def test_what_is_chosen_follows_from_how_ids_lie() -> None:
    draws = random.Random(7)
    one_run = record_of(range(1000, 5096))
    half = record_of(draws.sample(range(1000, 9000), 4000))
    scattered = record_of(draws.sample(range(1, 10**8), 4000))
    few = record_of([5, 10**6])
    chosen = [smallest(record, "auto", 0.01) for record in (one_run, half, scattered)]
    assert [one.word for one in chosen] == ["runs", "bitmap", "bloom"]
    assert smallest(scattered, "exact", 0.01).word == "ids"
    assert smallest(few, "auto", 0.01).word in {"runs", "ids", "bloom"}
    assert chosen[0].size < chosen[1].size < chosen[2].size < smallest(scattered, "exact", 0.01).size


@pytest.mark.parametrize("word", sorted(UNPACK))
@pytest.mark.parametrize("data", [b"", b"\1", b"\1" * 5, b"\1" * 8])
def test_what_no_filter_can_have_been_is_refused(word: str, data: bytes) -> None:
    if (word, len(data)) in {("runs", 0), ("ids", 0), ("bitmap", 5), ("bitmap", 8), ("runs", 8), ("ids", 8)}:
        assert (3, b"") not in UNPACK[word](data)
    else:
        with pytest.raises(ValueError, match=r"\w"):
            UNPACK[word](data)


# ---------------------------------------------------------------- the record

pages = st.lists(st.dictionaries(st.integers(1, 60), st.binary(min_size=WIDE, max_size=WIDE), min_size=1), max_size=12)


@given(pages, st.integers(0, 61), st.integers(0, 61))
def test_a_record_holds_the_last_that_it_was_given(given_: list[dict[int, bytes]], low: int, high: int) -> None:
    record, held = Record(), dict[int, bytes]()
    for page in given_:
        record.put(page)
        held |= page
    assert len(record) == len(held)
    assert list(record.ids) == sorted(held)
    assert record.find(low, high) == {number: mark for number, mark in held.items() if low <= number <= high}
    assert list(record.prints()) == [held[number][:16] for number in sorted(held)]
    again = Record.unpack(record.pack())
    assert again is not None
    assert again.find(0, 100) == held
    if len(record) > 1:
        upper = record.split(len(record) // 2)
        assert record.find(0, 100) | upper.find(0, 100) == held
        assert record.ids[-1] < upper.ids[0]
        assert len(record) == len(held) // 2


def test_a_record_takes_28_bytes_a_message() -> None:
    record = record_of(range(1, 4097))
    empty = Record().size
    assert 28 * 4096 <= record.size - empty <= 28 * 4096 * 1.2, "arrays grow by an eighth"


@pytest.mark.parametrize(
    "data",
    [
        b"\1",
        bytes(27),
        array("I", [5, 0]).tobytes() + bytes(2 * WIDE),
        array("I", [2**32 - 1, 2]).tobytes() + bytes(2 * WIDE),
    ],
    ids=["a byte", "a byte too few", "an id twice", "an id too large"],
)
def test_what_no_record_can_have_been_is_none(data: bytes) -> None:
    assert Record.unpack(data) is None


# ---------------------------------------------------------------- packing


@given(st.binary(max_size=2000))
def test_what_is_packed_is_unpacked(data: bytes) -> None:
    assert unpacked(packed(data, more=1)) == data
    assert packed(data, more=1)["more"] == 1


def test_what_repeats_is_compressed() -> None:
    ids = array("I", [1] * 4096).tobytes()
    assert len(packed(ids)["data"]) < 100


@given(st.binary(min_size=20, max_size=200), st.data())
def test_whatever_happens_to_a_value_it_is_never_taken_for_another(data: bytes, draw: st.DataObject) -> None:
    value = packed(data)
    text = value["data"]
    at = draw.draw(st.integers(0, len(text) - 1))
    other = draw.draw(st.sampled_from("ABCxyz019+/=*"))
    for damaged in (text[:at], text[:at] + other + text[at + 1 :], text[at:], None, 7, ["A"]):
        assert unpacked({**value, "data": damaged}) in {None, data}
        assert damaged == text or damaged != text[:at] or unpacked({**value, "data": damaged}) is None


@pytest.mark.parametrize("value", [{}, {"format": 0}, {"format": packing.FORMAT}, {"data": "AAAA"}])
def test_what_has_no_data_or_another_format_has_none(value: dict[str, object]) -> None:
    assert unpacked(value) is None


def test_an_older_format_has_none() -> None:
    value = packed(b"data")
    assert unpacked({**value, "format": value["format"].replace("1 ", "0 ", 1)}) is None


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zstandard.ZstdCompressor(write_checksum=True).compress(bytes(packing.LARGEST + 1))
    assert len(bomb) < 20_000
    assert unpacked({"format": packing.FORMAT, "data": base64.b64encode(bomb).decode()}) is None
