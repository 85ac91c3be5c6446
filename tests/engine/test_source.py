"""The baseline's straight line: page after page, commit before media, media before the next page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.engine.fakes import CHAT, FakeBooks, FakeMessage, HistoryServer, Seen, batch_of, page_of, ref
from tests.engine.virtual import settle_down
from tobs.engine.budget import ByteBudget
from tobs.engine.runner import run_in_turn
from tobs.engine.source import SequentialSource
from tobs.engine.spans import NEWEST
from tobs.ports import Flow, Range
from tobs.values import Page, Span, Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tobs.ports import Invoke, Submit
    from tobs.values import Chat, MediaRef


def server_of(count: int, limit: int = 100) -> HistoryServer:
    return HistoryServer([FakeMessage(number) for number in range(1, count + 1)], limit)


async def read(server: HistoryServer, *spans: Span) -> list[Page]:
    return [page async for page in SequentialSource(server.page)(CHAT, [Range(span) for span in spans])]


async def test_a_range_is_walked_down_from_its_newest() -> None:
    server = server_of(250)
    pages = await read(server, Span(1, NEWEST))
    assert server.asked == [Span(1, NEWEST), Span(1, 150), Span(1, 50)]
    assert [page.span for page in pages] == [Span(151, 250), Span(51, 150), Span(1, 50)]
    assert [message.id for page in pages for message in page.messages] == list(range(250, 0, -1))


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (99, 1), (100, 1), (101, 2), (200, 2), (1000, 10)])
async def test_a_whole_history_takes_a_request_a_hundred_messages(count: int, requests: int) -> None:
    """Ids begin at 1 here: a full page that reaches it proves the end."""
    server = server_of(count)
    await read(server, Span(1, NEWEST))
    assert len(server.asked) == requests


async def test_ranges_are_read_in_the_order_given() -> None:
    server = server_of(300, limit=50)
    pages = await read(server, Span(251, 300), Span(1, 80))
    assert server.asked == [Span(251, 300), Span(1, 80), Span(1, 30)]
    assert [page.span for page in pages] == [Span(251, 300), Span(31, 80), Span(1, 30)]


async def test_an_empty_range_asks_nothing() -> None:
    server = server_of(10)
    assert await read(server, Span(5, 4)) == []
    assert server.asked == []


async def test_the_wrapping_of_a_range_stays_with_all_its_pages() -> None:
    seen: list[object] = []

    def wrap(invoke: Invoke) -> Invoke:
        return invoke

    async def ask(chat: Chat, within: Range) -> Page:  # noqa: ARG001
        seen.append(within.wrap)
        low = within.span.high - 9
        return page_of([low], span=Span(low, within.span.high), ended=low <= within.span.low)

    async for _ in SequentialSource(ask)(CHAT, [Range(Span(1, 30), wrap)]):
        pass
    assert seen == [wrap] * 3


async def test_what_fails_is_raised_after_what_came() -> None:
    server = server_of(300)

    async def ask(chat: Chat, within: Range) -> Page:
        if len(server.asked) == 2:
            raise RuntimeError("gone")
        return await server.page(chat, within)

    pages = SequentialSource(ask)(CHAT, [Range(Span(1, NEWEST))])
    assert [(await anext(pages)).span.low for _ in range(2)] == [201, 101]
    with pytest.raises(RuntimeError):
        await anext(pages)


def flow_of(books: FakeBooks, pages: Sequence[Page], submit: Submit, seen: Seen) -> Flow:
    async def source(chat: Chat, ranges: Sequence[Range]) -> AsyncGenerator[Page]:  # noqa: ARG001
        for page in pages:
            books.log.append(f"page {page.span.low}")
            yield page

    return Flow(source, batch_of, books, submit, ByteBudget(1000, 1000), [seen])


def pages_with_media() -> list[Page]:
    carried = [FakeMessage(8, (ref(1), ref(2))), FakeMessage(7)]
    return [
        Page(CHAT, Span(7, 8), carried, [], 4, ended=False, doubtful=False, size=10),
        page_of([6]),
        Page(CHAT, Span(5, 5), [FakeMessage(5, (ref(3),))], [], 4, ended=True, doubtful=False, size=10),
    ]


async def test_a_page_is_committed_then_its_media_end_and_then_the_next_is_asked() -> None:
    books, seen, go = FakeBooks(), Seen(), asyncio.Event()

    async def submit(refs: Sequence[MediaRef]) -> None:
        books.log.append(f"submit {[one.file_id for one in refs]}")
        await go.wait()
        books.log.append("media end")

    task = asyncio.ensure_future(run_in_turn(CHAT, [], flow_of(books, pages_with_media(), submit, seen)))
    await settle_down()
    assert books.log == ["page 7", "commit 7-8", "submit [1, 2]"]
    go.set()
    await task
    assert books.log[3:] == ["media end", "page 6", "commit 6-6", "page 5", "commit 5-5", "submit [3]", "media end"]


async def test_probes_see_every_batch_once_it_is_committed() -> None:
    books, seen = FakeBooks(), Seen()

    async def submit(refs: Sequence[MediaRef]) -> None:  # noqa: ARG001
        assert len(seen.batches) == books.log.count("commit 7-8") + books.log.count("commit 5-5") * 2

    await run_in_turn(CHAT, [], flow_of(books, pages_with_media(), submit, seen))
    assert [(page.span.low, len(batch.media)) for page, batch in seen.batches] == [(7, 2), (6, 0), (5, 1)]


async def test_a_page_holds_its_bytes_until_its_media_end() -> None:
    books, held = FakeBooks(), []
    budget = ByteBudget(10, 10)

    async def submit(refs: Sequence[MediaRef]) -> None:  # noqa: ARG001
        other = asyncio.ensure_future(hold_one(budget))
        await settle_down()
        held.append(other.done())
        other.cancel()

    flow = flow_of(books, pages_with_media(), submit, Seen())
    await run_in_turn(CHAT, [], Flow(flow.source, flow.normalise, books, submit, budget, []))
    assert held == [False, False]
    await hold_one(budget)


async def hold_one(budget: ByteBudget) -> None:
    async with budget.hold(1, Traffic.HISTORY):
        pass


async def test_a_commit_that_fails_stops_before_any_media() -> None:
    class Full(FakeBooks):
        async def commit(self, batch: object) -> None:  # noqa: ARG002 - the port
            raise RuntimeError("no space")

    submitted: list[object] = []

    async def submit(refs: Sequence[MediaRef]) -> None:
        submitted.append(refs)

    with pytest.raises(RuntimeError, match="no space"):
        await run_in_turn(CHAT, [], flow_of(Full(), pages_with_media(), submit, Seen()))
    assert submitted == []
