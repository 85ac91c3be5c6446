"""bloom_filter: what is remembered of a chat grows by ranges, is read when it is needed, and survives any damage."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.seen_messages import CountingState, marks_of, prints_of
from tests.plugins.test_bloom_filter import UNKNOWN, at_most
from tobs.engine.state import FolderState
from tobs_bloom_filter.leaf import Choice
from tobs_bloom_filter.shelf import Shelf

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("auto", "bloom", "exact", "set")
AUTO = Choice("auto", 0.01, 100, 3)


def shelf_of(state: CountingState, kind: str = "auto", **changed: Any) -> Shelf:
    return Shelf(5, state, AUTO._replace(kind=kind, **changed))


def filled(state: CountingState, ids: list[int], kind: str = "auto", **changed: Any) -> Shelf:
    """A shelf that was given these ids, newest first, in pages."""
    shelf = shelf_of(state, kind, **changed)
    ordered = sorted(ids, reverse=True)
    for at in range(0, len(ordered), 40):
        shelf.put(marks_of(ordered[at : at + 40]))
    shelf.save()
    return shelf


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_put_is_found_after_any_number_of_ranges(kind: str) -> None:
    state, ids = CountingState(), random.Random(3).sample(range(1, 5000), 1500)
    for shelf in (filled(state, ids, kind), shelf_of(state, kind)):
        assert set(shelf.likely(prints_of(ids))) == set(ids)
        kept = shelf.find(ids)
        assert {number: kept[number] for number in ids} == marks_of(ids)
        assert len(shelf.words) >= 1500 / 100
    assert all(shelf.overlaps(number, number) for number in ids)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_known_of_an_empty_shelf(kind: str) -> None:
    shelf = shelf_of(CountingState(), kind)
    assert not shelf.overlaps(1, 10**6)
    assert shelf.likely(prints_of([1, 2, 3])) == []
    assert shelf.find([1, 2, 3]) == {}


pages = st.lists(
    st.dictionaries(st.integers(1, 400), st.sampled_from(["", "edited", "again"]), min_size=1, max_size=30), max_size=15
)


@given(pages, st.sampled_from(KINDS), st.integers(5, 80), st.integers(1, 4), st.sets(st.integers(0, 14)))
def test_a_shelf_holds_the_last_that_it_was_given(
    given_: list[dict[int, str]], kind: str, most: int, loaded: int, reopened: set[int]
) -> None:
    state, held = CountingState(), dict[int, str]()
    shelf = shelf_of(state, kind, most=most, loaded=loaded)
    for at, page in enumerate(given_):
        shelf.put({number: marks_of([number], content)[number] for number, content in page.items()})
        held |= page
        if at in reopened:
            shelf.save()
            shelf = shelf_of(state, kind, most=most, loaded=loaded)
    marks = {number: marks_of([number], content)[number] for number, content in held.items()}
    if held:
        assert shelf.find(range(1, 401)) == marks
        prints = {number: mark[:16] for number, mark in marks.items()}
        assert set(shelf.likely(prints)) == held.keys(), "a filter says no only where there is nothing"
        assert shelf.overlaps(min(held), max(held))
    assert not shelf.overlaps(401, 500)


# ---------------------------------------------------------------- growth and memory


def test_a_growing_chat_gets_more_filters_and_none_that_is_mistaken_more_often() -> None:
    state = CountingState()
    draws = random.Random(11)
    for count in (100, 1000, 6000):
        shelf = filled(state, draws.sample(range(1, 10**8), count), "bloom")
        words = shelf.words
        assert set(words) == {"bloom"}
        assert len(words) >= count // 100
        edited = {number: mark[:16] for number, mark in marks_of(range(1, UNKNOWN), "never seen").items()}
        assert len(shelf.likely(edited)) <= at_most(UNKNOWN, 0.01)


@pytest.mark.parametrize("upwards", [True, False])
def test_ranges_of_a_history_that_is_read_in_order_are_full(upwards: bool) -> None:
    shelf = shelf_of(CountingState())
    for low in sorted(range(1, 2000, 40), reverse=not upwards):
        shelf.put(marks_of(range(low, low + 40)))
    lengths = [len(leaf.load()) for leaf in shelf._leaves]
    assert lengths == [100] * 20
    shelf.put(marks_of(range(3000, 3300)))
    assert max(len(leaf.load()) for leaf in shelf._leaves) <= 100


@pytest.mark.parametrize("kind", KINDS)
def test_records_in_memory_are_bounded(kind: str) -> None:
    state = CountingState()
    shelf = shelf_of(state, kind, most=64, loaded=2)
    most = 0
    for low in range(10_000, 0, -50):
        shelf.put(marks_of(range(low, low + 50)))
        most = max(most, len(shelf._loaded))
    assert most == 2
    shelf.save()
    assert not shelf._loaded
    assert shelf.peak >= shelf.size > 0


def test_the_memory_that_is_told_is_what_is_held() -> None:
    state = CountingState()
    shelf = shelf_of(state)
    for low in range(2000, 0, -50):
        shelf.put(marks_of(range(low, low + 50)))
        assert shelf._weight == sum(leaf.size for leaf in shelf._leaves)
    loaded = [leaf for leaf in shelf._leaves if leaf.is_loaded]
    assert shelf.size > sum(len(leaf.load()) * 28 for leaf in loaded) > 0
    shelf.save()
    assert shelf._weight == sum(leaf.size for leaf in shelf._leaves)
    plain = filled(CountingState(), list(range(1, 2050)), "set")
    assert plain._set is not None
    assert plain.size >= sys.getsizeof(plain._set) + sum(map(sys.getsizeof, plain._set))


def test_filters_take_less_than_a_set_and_dense_ranges_are_kept_exactly() -> None:
    draws = random.Random(5)
    for ids, word in (
        (list(range(1, 20_001)), "runs"),
        (draws.sample(range(1, 40_000), 20_000), "bitmap"),
        (draws.sample(range(1, 10**8), 20_000), "bloom"),
    ):
        shelves = {kind: filled(CountingState(), ids, kind, most=4096, loaded=2) for kind in KINDS}
        assert set(shelves["auto"].words) == {word}
        assert shelves["auto"].size <= min(shelves["bloom"].size, shelves["exact"].size)
        assert shelves["auto"].size < 0.1 * shelves["set"].size
        assert shelves["auto"].peak < 0.5 * shelves["set"].peak, "with the records that are in memory"


# ---------------------------------------------------------------- kept and read again


def test_what_is_kept_is_read_range_by_range_when_it_is_needed() -> None:
    state = CountingState()
    filled(state, list(range(1, 1001)), "bloom")
    state.read.clear()
    shelf = shelf_of(state, "bloom")
    assert state.read == ["chat5"]
    assert shelf.likely(prints_of(range(301, 320), "edited")) == []
    assert len(state.read) <= 3, "a filter, or two"
    assert all(key.endswith(".filter") for key in state.read[1:]), "no record where a filter rules all out"
    assert shelf.likely(prints_of(range(301, 320)))
    read = len(state.read)
    shelf.find(range(301, 320))
    assert len(state.read) <= read + 2
    state.written.clear()
    shelf.save()
    assert state.written == [], "what was only read is not written"


def test_another_kind_or_share_makes_its_filters_of_the_records() -> None:
    state, ids = CountingState(), list(range(1, 1001))
    filled(state, ids, "auto")
    for kind, share in (("bloom", 0.01), ("bloom", 0.2), ("exact", 0.01), ("set", 0.01), ("auto", 0.01)):
        shelf = shelf_of(state, kind, share=share)
        assert set(shelf.likely(prints_of(ids))) == set(ids)
        shelf.save()
        words = shelf_of(state, kind, share=share)
        assert set(words.likely(prints_of(ids))) == set(ids)
        made = {word for word in words.words if word}
        assert made == {"bloom": {"bloom"}, "set": set()}.get(kind, {"bitmap"}), "a hundred ids in a row"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["lost", "cut", "other", "older"])
@pytest.mark.parametrize("suffix", [".filter", "", "index"])
def test_whatever_is_damaged_only_less_is_known(tmp_path: Path, kind: str, damage: str, suffix: str) -> None:
    state, ids = FolderState(tmp_path), list(range(1, 1001))
    choice = AUTO._replace(kind=kind)
    shelf = Shelf(5, state, choice)
    for low in range(951, 0, -50):
        shelf.put(marks_of(range(low, low + 50)))
    shelf.save()
    files = sorted(tmp_path.glob("chat5*.json"))
    index = tmp_path / "chat5.json"
    filters = [file for file in files if file.name.endswith(".filter.json")]
    chosen = {"index": [index], ".filter": filters}.get(suffix, [f for f in files if f not in filters and f != index])
    assert bool(chosen) == ((kind, suffix) != ("set", ".filter")), "a set has no filters to keep"
    for file in chosen[::2]:
        text = file.read_text()
        new = {"lost": None, "cut": text[: len(text) // 2], "other": '{"format": [], "data": 7, "lows": "x"}'}
        new["older"] = text.replace('"format": "1 ', '"format": "0 ')
        changed = new[damage]
        assert changed != text
        if changed is None:
            file.unlink()
        else:
            file.write_text(changed)
    again = Shelf(5, state, choice)
    kept = again.find(ids)
    assert kept.items() <= marks_of(ids).items()
    if suffix == ".filter":
        assert kept == marks_of(ids), "records make up for filters"
        assert set(again.likely(prints_of(ids))) == set(ids)
    again.put(marks_of(ids, "anew"))
    again.save()
    assert Shelf(5, state, choice).find(ids) == marks_of(ids, "anew")


def test_chats_are_kept_apart_and_files_are_the_owner_s_alone(tmp_path: Path) -> None:
    state = FolderState(tmp_path / "state")
    for chat, content in ((5, "five"), (-5, "minus five")):
        shelf = Shelf(chat, state, AUTO)
        shelf.put(marks_of(range(1, 50), content))
        shelf.save()
    assert Shelf(5, state, AUTO).find([7])[7] == marks_of([7], "five")[7]
    assert Shelf(-5, state, AUTO).find([7])[7] == marks_of([7], "minus five")[7]
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "state").iterdir()} == {0o600}
