"""The export of chats: gaps and edits are read, doubts are settled, pending files are worked off."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.fakes import CHAT, FakeBooks, FakeMessage, HistoryServer, batch_of, ref
from tobs.engine.budget import ByteBudget
from tobs.engine.export import REREAD, Wish, export_chats
from tobs.engine.graph import whole_page, whole_spans
from tobs.engine.runner import run_in_turn
from tobs.engine.source import SequentialSource
from tobs.engine.spans import NEWEST
from tobs.errors import ArchiveError
from tobs.meters import Meters
from tobs.ports import Range
from tobs.values import Settled, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.ports import Filter
    from tobs.values import Chat, MediaRef, Page


@dataclass
class FakeAgenda:
    drained: int = 0

    async def drain(self) -> None:
        self.drained += 1


@dataclass
class FakeLine:
    server: HistoryServer
    budget: ByteBudget = field(default_factory=lambda: ByteBudget(10**6, 10**6))
    probes: tuple[()] = ()
    meters: Meters = field(default_factory=Meters)

    async def page(self, chat: Chat, within: Range) -> Page:
        return await self.server.page(chat, within)


@dataclass
class FakeGraph:
    """The strategies that an export touches: the baseline's own, over a fake server and fake books."""

    server: HistoryServer
    books: FakeBooks
    submitted: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line = FakeLine(self.server)
        self.source = SequentialSource(self.server.page)
        self.ranges, self.runner, self.normalise = whole_spans, run_in_turn, batch_of
        self.filter: Filter = whole_page
        self.write = self.books
        self.agenda = FakeAgenda()
        self.drains: list[FakeAgenda] = [FakeAgenda()]
        self.store = SimpleNamespace(failed=set())

    async def submit(self, refs: Sequence[MediaRef]) -> None:
        self.submitted.append([one.file_id for one in refs])
        await self.books.settle([Settled(one, "done", "ab", one.size, "x") for one in refs])


def world(count: int, **changes: Any) -> tuple[HistoryServer, FakeBooks, FakeGraph]:
    server = HistoryServer([FakeMessage(number) for number in range(1, count + 1)], **changes)
    books = FakeBooks()
    return server, books, FakeGraph(server, books)


async def export(graph: Any, books: FakeBooks, wish: Wish | None = None, needs: list[int] | None = None) -> list[str]:
    needs = [] if needs is None else needs
    return await export_chats([CHAT], graph, books, wish or Wish(), needs.append)


async def test_a_first_export_reads_everything_once() -> None:
    server, books, graph = world(250)
    assert await export(graph, books) == []
    assert books.kept == set(range(1, 251))
    assert len(server.asked) == 3
    assert graph.agenda.drained, "what was accepted is waited for"


async def test_an_incremental_export_merges_what_is_new_with_what_is_read_again() -> None:
    server, books, graph = world(250)
    await export(graph, books)
    server.messages.append(FakeMessage(251))
    server.asked.clear()
    books.top, books.again = 250, [Span(201, 250)]
    assert await export(graph, books) == []
    assert server.asked == [Span(201, NEWEST)]
    assert books.kept == set(range(1, 252))


async def test_gaps_left_by_a_killed_run_are_read_and_nothing_else() -> None:
    server, books, graph = world(250)
    books.top, books.covered, books.kept = 250, [Span(101, 250)], set(range(101, 251))
    await export(graph, books)
    assert server.asked[-1] == Span(1, 100)
    assert Span(101, 250) not in server.asked
    assert books.kept == set(range(1, 251))


async def test_a_rescan_reads_all_that_is_covered_again() -> None:
    _, books, graph = world(10)
    await export(graph, books)
    await export(graph, books, Wish(rescan=True))
    assert books.reread_asked == [REREAD, None]


async def test_what_a_filter_drops_is_not_kept_again_and_stays_proven() -> None:
    server, books, graph = world(250)
    await export(graph, books)
    first = books.log.copy()
    books.covered.clear()
    books.rows.clear()
    books.log.clear()
    graph.filter = lambda page: replace(page, messages=page.messages[:1])
    assert await export(graph, books, Wish(rescan=True)) == []
    assert books.log == first, "every span is covered again"
    assert sorted(books.rows) == [50, 150, 250]
    assert len(server.asked) == 6


async def test_a_short_page_whose_messages_are_all_dropped_is_doubted_as_before() -> None:
    server, books, graph = world(250, short={180})
    graph.filter = lambda page: replace(page, messages=[])
    books.kept = set(range(1, 101))  # fewer than the server counts
    await export(graph, books)
    assert Span(1, 179) in server.asked, "where the page ends core saw before the filter"


async def test_a_short_page_is_asked_below_when_the_server_counts_more() -> None:
    server, books, graph = world(250, short={180})
    assert await export(graph, books) == []
    assert books.kept == set(range(1, 251))
    assert server.asked[:2] == [Span(1, NEWEST), Span(1, 179)]


async def test_several_short_pages_are_all_asked_below() -> None:
    _, books, graph = world(450, short={400, 333, 120})
    assert await export(graph, books) == []
    assert books.kept == set(range(1, 451))


async def test_what_the_server_counts_and_never_hands_out_is_a_warning() -> None:
    _, books, graph = world(120, hidden=3)
    warnings = await export(graph, books)
    assert len(warnings) == 1
    assert "counts 123 messages and hands out 120" in warnings[0]
    assert CHAT.title in warnings[0]


async def test_a_count_that_is_reached_costs_no_request() -> None:
    server, books, graph = world(150)
    server.messages = [FakeMessage(number * 2) for number in range(1, 151)]  # the last page is short: doubtful
    assert await export(graph, books) == []
    assert len(server.asked) == 2


async def divided(chat: Chat, gaps: Sequence[Span]) -> list[Range]:  # noqa: ARG001 - the port
    """Two ranges, each with a layer of its own."""
    return [Range(Span(201, NEWEST), lambda invoke: invoke), Range(Span(1, 200), lambda invoke: invoke)]


@pytest.mark.parametrize("short", [set(), {80}, {300, 90}])
async def test_a_divided_chat_is_held_against_the_count_of_the_whole(short: set[int]) -> None:
    server, books, graph = world(330, short=short, apart=[range(1, 201), range(201, 331)])
    graph.ranges = divided
    assert await export(graph, books) == []
    assert books.kept == set(range(1, 331))
    assert server.asked.count(Span(1, NEWEST)) == 1, "the whole's count is asked for once"


async def test_what_a_divided_chat_hides_is_a_warning() -> None:
    _, books, graph = world(330, hidden=2, apart=[range(1, 201), range(201, 331)])
    graph.ranges = divided
    assert ["counts 332 messages and hands out 330" in warning for warning in await export(graph, books)] == [True]


async def test_an_empty_chat_is_one_request_and_no_warning() -> None:
    server, books, graph = world(0)
    assert await export(graph, books) == []
    assert len(server.asked) == 1
    assert books.kept == set()


def with_media(*refs: MediaRef) -> tuple[FakeBooks, FakeGraph]:
    server, books, graph = world(10)
    server.messages = [FakeMessage(one.message_id, (one,)) for one in refs]
    return books, graph


async def test_media_are_submitted_with_their_page_and_not_again() -> None:
    books, graph = with_media(ref(1, message_id=1), ref(2, message_id=2))
    await export(graph, books)
    assert graph.submitted == [[2, 1]]
    await export(graph, books)
    assert graph.submitted[0] == [2, 1]
    assert list(books.pending(CHAT.id)) == []


async def test_what_an_earlier_run_left_pending_is_worked_off_in_chunks() -> None:
    _, books, graph = world(0)
    for number in range(1, 251):
        books.wanted[number, number] = ref(number, message_id=number)
    await export(graph, books)
    assert [len(chunk) for chunk in graph.submitted] == [100, 100, 50]
    assert [number for chunk in graph.submitted for number in chunk] == list(range(1, 251))


@pytest.mark.parametrize(
    ("wish", "fetched"),
    [
        (Wish(), {1, 2, 3}),
        (Wish(media=False), set()),
        (Wish(kinds=frozenset({"photo"})), {1}),
        (Wish(kinds=frozenset()), set()),
        (Wish(max_size=500), {1, 2}),
        (Wish(max_size=0), set()),
        (Wish(kinds=frozenset({"photo", "video_file"}), max_size=500), {1}),
    ],
)
async def test_only_what_is_wished_is_fetched_and_the_rest_stays_pending(wish: Wish, fetched: set[int]) -> None:
    books, graph = with_media(
        ref(1, 100, message_id=1, kind="photo"),
        ref(2, 500, message_id=2, kind="file"),
        ref(3, 501, message_id=3, kind="video_file"),
    )
    await export(graph, books, wish)
    assert {number for chunk in graph.submitted for number in chunk} == fetched
    assert {one.file_id for one in books.pending(CHAT.id)} == {1, 2, 3} - fetched
    await export(graph, books)
    assert list(books.pending(CHAT.id)) == []


async def test_room_is_asked_for_before_the_files_are() -> None:
    books, graph = with_media(ref(1, 100, message_id=1), ref(2, 50, message_id=2))
    needs: list[int] = []
    await export(graph, books, needs=needs)
    assert needs == [150]
    assert [(lane.dc, lane.wanted) for lane in graph.line.meters.lanes.values()] == [(ref().dc, 150)]


async def test_no_room_stops_before_the_first_file_with_messages_kept() -> None:
    books, graph = with_media(ref(1, 100, message_id=1))

    def none(_: int) -> None:
        raise ArchiveError("no space")

    with pytest.raises(ArchiveError):
        await export_chats([CHAT], graph, books, Wish(), none)  # type: ignore[arg-type]
    assert graph.submitted == []
    assert books.kept == {1}
    assert [one.file_id for one in books.pending(CHAT.id)] == [1]


async def test_all_histories_come_before_what_was_left_of_any() -> None:
    """And every layer that accepts early is drained before the agenda, before and after that."""
    server, books, graph = world(0)
    server.messages = [FakeMessage(1, (ref(1, message_id=1),))]
    seen: list[str] = []

    async def runner(chat: Chat, ranges: Any, flow: Any) -> None:
        seen.append(f"history {chat.id}")
        await run_in_turn(chat, ranges, flow)

    class Watched(FakeAgenda):
        def __init__(self, name: str) -> None:
            self.name = name

        async def drain(self) -> None:
            seen.append(f"{self.name} drained")

    async def early(refs: Sequence[MediaRef]) -> None:
        seen.append(f"submitted {[one.file_id for one in refs]}")

    graph.runner, graph.drains, graph.agenda = runner, [Watched("layer")], Watched("agenda")
    graph.submit = early  # type: ignore[method-assign]
    await export_chats([CHAT, CHAT], graph, books, Wish(), lambda _: None)  # type: ignore[arg-type]
    drained = ["layer drained", "agenda drained"]
    read, left = [f"history {CHAT.id}", "submitted [1]", f"history {CHAT.id}"], ["submitted [1]"] * 2
    assert seen == [*read, *drained, *left, *drained]


async def test_without_history_only_what_is_pending_is_asked_for() -> None:
    server, books, graph = world(0)
    server.messages = [FakeMessage(1, (ref(1, message_id=1),))]
    await export(graph, books, Wish(media=False))
    asked = len(server.asked)
    await export(graph, books, Wish(history=False))
    assert (len(server.asked), graph.submitted) == (asked, [[1]])


async def test_an_export_that_is_cancelled_anywhere_goes_on_where_it_stopped() -> None:
    """Cancelled after ever more steps, the next run ends with all messages and all files."""
    for steps in range(0, 60, 3):
        server, books, graph = world(0)
        server.messages = [FakeMessage(number, (ref(number, message_id=number),)) for number in range(1, 31)]
        server.limit = 10
        task = asyncio.ensure_future(export(graph, books))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        books.top = max((span.high for span in books.covered), default=0)
        assert await export(graph, books) == []
        assert books.kept == set(range(1, 31))
        assert set(books.files) == set(range(1, 31))


async def test_a_file_that_failed_in_this_run_is_left_to_the_next() -> None:
    _, books, graph = world(0)
    for number in (7, 8):
        books.wanted[number, number] = ref(number, message_id=number)
    graph.store.failed.add(7)
    await export(graph, books)
    assert graph.submitted == [[8]]
