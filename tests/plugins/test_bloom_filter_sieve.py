"""bloom_filter leaves out only what would be written as it stands, and remembers only what is committed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.fakes import FakeBooks
from tests.plugins.seen_messages import CountingState, batch_with, page_with
from tobs.meters import Meters
from tobs_bloom_filter.leaf import Choice
from tobs_bloom_filter.plugin import BloomFilter
from tobs_bloom_filter.sieve import Sieve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tobs.api import Context, Page, Span

CHOICE = Choice("auto", 0.01, 100, 3)
BEFORE = dict.fromkeys(range(1, 41), "before")


@dataclass
class Books:
    """An archive, what is remembered of it, and a sieve over both; `asked` are the spans it was asked for."""

    choice: Choice = CHOICE
    books: FakeBooks = field(default_factory=FakeBooks)
    state: CountingState = field(default_factory=CountingState)
    asked: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sieve = self.anew()

    def anew(self, seed: int = 7) -> Sieve:
        """Another run."""
        self.sieve = Sieve(cast("Context", self), self.state, seed, self.choice)
        return self.sieve

    def raw(self, chat_id: int, span: Span) -> dict[int, bytes]:
        self.asked.append(span)
        return self.books.raw(chat_id, span)

    def commit(self, page: Page, contents: Mapping[int, str], files: Iterable[int] = (), *, told: bool = True) -> None:
        """Commit what is left of a page, and tell of it."""
        batch = batch_with(page, contents, files)
        asyncio.run(self.books.commit(batch))
        if told:
            self.sieve.mark(page, batch)

    def run(self, contents: Mapping[int, str], files: Iterable[int] = ()) -> set[int]:
        """A run that reads these messages in one page; the ids of those that passed."""
        self.anew()
        page = self.sieve.sift(page_with(contents))
        passed = {message.id for message in page.messages}
        self.commit(page, contents, [number for number in files if number in passed])
        self.sieve.save()
        return passed


@pytest.mark.parametrize("kind", ["auto", "bloom", "exact", "set"])
def test_what_is_unchanged_is_left_out_and_what_changed_passes(kind: str) -> None:
    books = Books(CHOICE._replace(kind=kind))
    assert books.run(BEFORE) == BEFORE.keys()
    assert books.run(BEFORE) == set()
    after = {**BEFORE, 3: "edited", 41: "added"}
    assert books.run(after) == {3, 41}
    assert books.run(after) == set()
    assert books.run(BEFORE) == {3}, "what was before is a change, too"


def test_the_page_that_is_left_is_the_same_but_for_messages() -> None:
    books = Books()
    books.run(BEFORE)
    books.anew()
    page = page_with({**BEFORE, 20: "edited"})
    passed = books.sieve.sift(page)
    assert replace(passed, messages=page.messages) == page
    assert [message.id for message in passed.messages] == [20]
    assert (books.sieve.known, books.sieve.asked, books.sieve.mistaken) == (39, 1, 1)


def test_what_the_archive_holds_otherwise_passes() -> None:
    books = Books()
    books.run(BEFORE)
    books.books.rows[5] = "written by somebody else"
    del books.books.rows[6]
    assert books.run(BEFORE) == {5, 6}
    assert books.run(BEFORE) == set()


def test_a_message_that_went_and_came_back_while_nobody_looked_passes() -> None:
    books = Books()
    books.run(BEFORE)
    between = {**BEFORE, 9: "while the plugin was off"}
    books.commit(page_with(between), between, told=False)
    assert books.run(BEFORE) == {9}


def test_what_carries_a_file_always_passes() -> None:
    books = Books()
    for _ in range(3):
        assert books.run(BEFORE, files=[4, 7]) >= {4, 7}
    assert books.run(BEFORE, files=[4, 7]) == {4, 7}


def test_what_did_not_become_a_row_passes() -> None:
    books = Books()
    page = page_with(BEFORE)
    batch = batch_with(page, BEFORE)
    kept = replace(batch, messages=[row for row in batch.messages if row.id > 2])  # an empty message has none
    asyncio.run(books.books.commit(kept))
    books.sieve.mark(page, kept)
    books.sieve.save()
    assert books.run(BEFORE) == {1, 2}


def test_what_was_never_committed_is_not_remembered() -> None:
    books = Books()
    books.sieve.sift(page_with(BEFORE))
    books.sieve.save()
    assert not books.state.written
    assert books.run(BEFORE) == BEFORE.keys()


def test_what_is_under_way_passes_until_it_is_committed() -> None:
    books = Books()
    books.run(BEFORE)
    sieve = books.anew()
    edited = {**BEFORE, 8: "edited"}
    first = sieve.sift(page_with(edited))
    assert [message.id for message in first.messages] == [8]
    second = sieve.sift(page_with(BEFORE))
    assert [message.id for message in second.messages] == [8], "the archive still has what comes once more"
    books.commit(first, edited)
    books.commit(second, BEFORE)
    assert books.books.rows[8] == batch_with(page_with(BEFORE), BEFORE).messages[-8].raw
    assert sieve.sift(page_with(BEFORE)).messages == []


def test_a_page_of_which_nothing_can_be_known_costs_no_look_into_the_archive() -> None:
    books = Books(CHOICE._replace(kind="bloom", share=1e-6))
    books.run(BEFORE)
    books.asked.clear()
    books.run(dict.fromkeys(range(100, 150), "new"))
    books.run(dict.fromkeys(BEFORE, "edited, all of them"))
    assert books.asked == []
    books.run(dict.fromkeys(BEFORE, "edited, all of them"))
    assert len(books.asked) == 1, "one look a page"


def test_a_page_without_its_answer_passes_and_is_not_remembered() -> None:
    books = Books()
    page = page_with(BEFORE, wire=False)
    assert books.sieve.sift(page) is page
    books.commit(page, BEFORE)
    assert books.run(BEFORE) == BEFORE.keys()
    books.anew()
    assert books.sieve.sift(page) is page
    empty = page_with({})
    assert books.sieve.sift(empty) is empty


def test_with_another_seed_nothing_is_known() -> None:
    books = Books()
    books.run(BEFORE)
    sieve = books.anew(seed=8)
    assert len(sieve.sift(page_with(BEFORE)).messages) == len(BEFORE)


contents = st.dictionaries(st.integers(1, 30), st.sampled_from(["a", "b", "c"]), min_size=1, max_size=30)
steps = st.lists(st.tuples(contents, st.booleans(), st.sets(st.integers(1, 30), max_size=4)), max_size=12)


@given(steps, st.sampled_from(["auto", "bloom", "exact", "set"]), st.integers(4, 40))
def test_the_archive_is_what_it_is_without_the_plugin(
    given_: list[tuple[dict[int, str], bool, set[int]]], kind: str, most: int
) -> None:
    """Runs with the plugin and without it in any order, over a chat that changes in any way."""
    books, without = Books(Choice(kind, 0.3, most, 1)), dict[int, str]()
    for texts, on, files in given_:
        page = page_with(texts)
        without |= {row.id: row.raw for row in batch_with(page, texts).messages}
        if on:
            books.run(texts, files & texts.keys())
        else:
            books.commit(page, texts, files & texts.keys(), told=False)
        assert books.books.rows == without


# ---------------------------------------------------------------- as the host calls it


@dataclass
class FakeContext:
    """What the plugin asks of core."""

    archive: FakeBooks = field(default_factory=FakeBooks)
    kept: CountingState = field(default_factory=CountingState)
    meters: Meters = field(default_factory=Meters)
    knobs: dict[str, Any] = field(default_factory=lambda: {"history_in_flight": 16})

    def state(self, scope: str) -> CountingState:
        assert scope == "archive"
        return self.kept

    def raw(self, chat_id: int, span: Span) -> dict[int, bytes]:
        return self.archive.raw(chat_id, span)


async def run_with(ctx: FakeContext, contents: Mapping[int, str], knobs: Mapping[str, Any]) -> int:
    """One run of the plugin, stopped by an error behind its commit; how many messages passed."""
    plugin = BloomFilter(knobs)
    context = cast("Context", ctx)
    probe = plugin.tobs_probe(context)
    passing = plugin.tobs_filter(context)(lambda page: page)
    passed: list[Page] = []

    async def main() -> None:
        async with plugin.tobs_lifespan(context):
            passed.append(passing(page_with(contents)))
            batch = batch_with(passed[0], contents)
            await ctx.archive.commit(batch)
            probe.batch(passed[0], batch, 0.1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await main()
    return len(passed[0].messages)


async def test_a_run_that_fails_keeps_what_was_committed_and_tells_its_memory() -> None:
    ctx, knobs = FakeContext(), {"kind": "auto", "false_positives": 0.01, "range": 4096}
    assert ctx.meters.seen == {}
    assert await run_with(ctx, BEFORE, knobs) == 40
    seed = ctx.kept.values["seed"]
    assert await run_with(ctx, BEFORE, knobs) == 0
    assert ctx.kept.values["seed"] == seed
    assert ctx.meters.stages["bloom_filter"].items == 40
    assert 40 * 28 < ctx.meters.seen["bloom_filter"] < 10_000
    ctx.kept.values["seed"] = {"seed": "damaged"}
    assert await run_with(ctx, BEFORE, knobs) == 40, "with a seed of its own nothing kept means anything"
    assert await run_with(ctx, BEFORE, knobs) == 0
