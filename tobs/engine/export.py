"""The export of chats: what is to be read, the run over it, and the proof that nothing was left out.

The histories of all chats come first. Their media are submitted as pages are committed, and what is left of them, by
this run or an earlier one, is worked off at the end.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from tobs.engine.runner import keep
from tobs.engine.spans import NEWEST, merge
from tobs.engine.timed import TimedWrite, timed
from tobs.ports import Flow, Ledger, Range, Submit
from tobs.values import Batch, Span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from tobs.engine.graph import Graph
    from tobs.ports import Filter
    from tobs.values import Chat, MediaRef, Page

REREAD = 1000
"""Messages that an incremental run reads again for edits."""
CHUNK = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a chat is wanted. `max_size` in bytes; `kinds` None means every kind of media.

    Without `history` no message is asked for: only files that an earlier run left are fetched.
    """

    history: bool = True
    media: bool = True
    kinds: frozenset[str] | None = None
    max_size: int | None = None
    rescan: bool = False

    def wants(self, ref: MediaRef) -> bool:
        """Whether this reference's file is to be fetched in this run."""
        return (
            self.media
            and (self.kinds is None or ref.kind in self.kinds)
            and (self.max_size is None or ref.size <= self.max_size)
        )


class Books(Ledger, Protocol):
    """A ledger that also knows what an incremental run should read again."""

    def reread(self, chat_id: int, last: int | None) -> list[Span]:
        """Spans of the newest `last` covered messages; None means everything covered."""
        ...


@dataclass(slots=True)
class _Watched:
    """The flow's source, watched for what it says of the whole history before the filter sees it."""

    count: int = 0
    doubts: list[Span] = field(default_factory=list)

    def around(self, flow: Flow, passed: Filter) -> Flow:
        source = flow.source

        async def pages(chat: Chat, ranges: Sequence[Range]) -> AsyncGenerator[Page]:
            async with aclosing(source(chat, ranges)) as found:
                async for page in found:
                    yield passed(self.see(page))

        return replace(flow, source=pages)

    def see(self, page: Page) -> Page:
        """The page with what it proves beyond doubt; what is in doubt is remembered."""
        self.count = max(self.count, page.count)
        sure, doubt = _parted(page)
        if doubt is not None:
            self.doubts.append(doubt)
        return sure


def _parted(page: Page) -> tuple[Page, Span | None]:
    """A page as far down as its own messages go, and the span below that only its shortness proves."""
    if not page.doubtful or not page.messages:
        return page, None
    lowest = min(message.id for message in page.messages)
    return replace(page, span=Span(lowest, page.span.high)), Span(page.span.low, lowest - 1)


async def export_chats(
    chats: Sequence[Chat],
    graph: Graph,
    ledger: Books,
    wish: Wish,
    room: Callable[[int], None],
) -> list[str]:
    """Bring the archive up to date with some chats; returns warnings.

    `room` is called with the bytes that are about to be needed and raises `ArchiveError` when they do not fit.
    """

    async def submit(refs: Sequence[MediaRef]) -> None:
        wanted = [ref for ref in refs if wish.wants(ref)]
        if wanted:
            room(sum(ref.size for ref in wanted))
            for ref in wanted:
                graph.line.meters.lane(ref.dc).wanted += ref.size
            await graph.submit(wanted)

    meters = graph.line.meters
    write = TimedWrite(graph.write, meters)
    flow = Flow(graph.source, timed(graph.normalise, meters), write, submit, graph.line.budget, graph.line.probes)
    warnings: list[str] = []
    if wish.history:
        for chat in chats:
            warnings += await _history(chat, graph, ledger, wish, flow)
    await _drain(graph)
    for chat in chats:
        await _work_off(chat, graph, ledger, wish, submit)
    await _drain(graph)
    return warnings


async def _history(chat: Chat, graph: Graph, ledger: Books, wish: Wish, flow: Flow) -> list[str]:
    """Read what the archive does not cover of one chat, and what may have been edited."""
    again = ledger.reread(chat.id, None if wish.rescan else REREAD)
    watched = _Watched()
    ranges = await graph.ranges(chat, merge([*ledger.gaps(chat.id, NEWEST), *again]))
    await graph.runner(chat, ranges, watched.around(flow, graph.filter))
    if any(each.wrap for each in ranges):  # whose pages may count what is in their range alone
        watched.count = (await graph.line.page(chat, Range(Span(1, NEWEST)))).count
    return await _reconcile(chat, graph, ledger, flow, watched)


async def _drain(graph: Graph) -> None:
    """Wait for everything that was accepted, by whatever layer."""
    for layer in graph.drains:
        await layer.drain()
    await graph.agenda.drain()


async def _reconcile(chat: Chat, graph: Graph, ledger: Books, flow: Flow, watched: _Watched) -> list[str]:
    """Compare with the server's own count; where it has more, ask below every short page until nothing comes.

    Only then what lies below those pages counts as covered: a run that is stopped before asks there again.
    """
    complete = ledger.messages(chat.id) >= watched.count
    for doubt in watched.doubts:
        left = doubt
        while not complete and left.low <= left.high:
            page, rest = _parted(await graph.line.page(chat, Range(left)))
            if not page.messages:
                break
            await keep(page, flow)
            left = rest or Span(doubt.low, page.span.low - 1)
        if doubt.low <= doubt.high:
            await flow.write.commit(Batch(chat.id, doubt, [], [], []))
    kept = ledger.messages(chat.id)
    if kept >= watched.count:
        return []
    missing = f"{chat.title}: the server counts {watched.count} messages and hands out {kept}"
    return [f"{missing}; the others may be hidden from this account"]


async def _work_off(chat: Chat, graph: Graph, ledger: Books, wish: Wish, submit: Submit) -> None:
    """Submit what an earlier run left, and what this one did not try."""
    chunk: list[MediaRef] = []
    for ref in ledger.pending(chat.id):
        if wish.wants(ref) and ref.file_id not in graph.store.failed:
            chunk.append(ref)
        if len(chunk) == CHUNK:
            await submit(chunk)
            chunk = []
    if chunk:
        await submit(chunk)
