"""A plugin that notes what happens to it, in a list that its knob names."""

# ruff: noqa: ARG002 - a strategy takes what its port is given

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tobs.api import FetchBand, InvokeBand, hook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from tobs.api import (
        Attempt,
        Batch,
        Bytes,
        Call,
        Chat,
        Context,
        Dial,
        Fetch,
        Filter,
        Invoke,
        MediaRef,
        Page,
        Part,
        Range,
        Ranges,
        Same,
        Sender,
        Settled,
        Sink,
        Source,
        Span,
        Submit,
        Value,
        Write,
    )

NOTES: defaultdict[str, list[str]] = defaultdict(list)


class Passing(logging.Handler):
    """Hands records on and notes them."""

    def __init__(self, inner: logging.Handler, note: Callable[[str], None]) -> None:
        super().__init__()
        self.inner = inner
        self._note = note

    def handle(self, record: logging.LogRecord) -> bool:
        self._note(f"record {record.getMessage()}")
        return bool(self.inner.handle(record))

    def close(self) -> None:
        self._note("handler closed")
        super().close()


class Witness:
    """Every layer and observer."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self.tag = str(knobs["tag"])
        self.notes = NOTES[str(knobs["list"])]
        self.ctx: Context | None = None

    def note(self, text: str) -> None:
        self.notes.append(f"{self.tag}: {text}")

    @hook
    def tobs_ranges(self, ctx: Context) -> Callable[[Ranges], Ranges]:
        self.note("hook ranges")
        assert ctx.knobs["connections"]

        def layer(inner: Ranges) -> Ranges:
            async def ranges(chat: Chat, gaps: Sequence[Span]) -> list[Range]:
                self.note("ranges")
                return await inner(chat, gaps)

            return ranges

        return layer

    @hook
    def tobs_filter(self) -> Callable[[Filter], Filter]:
        self.note("hook filter")

        def layer(inner: Filter) -> Filter:
            def passed(page: Page) -> Page:
                return inner(page)

            return passed

        return layer

    @hook
    def tobs_submit(self) -> Callable[[Submit], Submit]:
        self.note("hook submit")

        def layer(inner: Submit) -> Submit:
            async def submit(refs: Sequence[MediaRef]) -> None:
                await inner(refs)

            return submit

        return layer

    @hook
    def tobs_invoke(self, ctx: Context) -> tuple[InvokeBand, Callable[[Invoke], Invoke]]:
        self.note("hook invoke")
        self.ctx = ctx

        def layer(inner: Invoke) -> Invoke:
            async def invoke(call: Call) -> Any:
                self.note(f"invoke {call.method}")
                return await inner(call)

            return invoke

        return InvokeBand.SESSION, layer

    @hook
    def tobs_dial(self) -> Callable[[Dial], Dial]:
        self.note("hook dial")

        def layer(inner: Dial) -> Dial:
            async def dial(dc: int | None, key: bytes | None = None) -> Sender:
                return await inner(dc, key)

            return dial

        return layer

    @hook
    def tobs_fetch(self) -> tuple[FetchBand, Callable[[Fetch], Fetch]]:
        self.note("hook fetch")

        def layer(inner: Fetch) -> Fetch:
            async def fetch(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
                return await inner(ref, sink, have)

            return fetch

        return FetchBand.SPARE, layer

    @hook
    def tobs_log(self) -> Callable[[logging.Handler], logging.Handler]:
        self.note("hook log")
        return lambda handler: Passing(handler, self.note)

    @hook
    def tobs_probe(self) -> Witness:
        self.note("hook probe")
        return self

    @hook
    @asynccontextmanager
    async def tobs_lifespan(self) -> AsyncIterator[None]:
        self.note("entered")
        try:
            yield
        finally:
            self.note("left")

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        self.note(f"batch {len(batch.messages)}")

    def file(self, outcome: Settled, seconds: float) -> None: ...

    def attempt(self, attempt: Attempt) -> None: ...

    def flood(self, method: str, seconds: float) -> None: ...


class Slots:
    """Every slot, each with something of its own that is told apart by its type."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self.offered: dict[str, object] = {}

    @hook
    def tobs_source(self, ctx: Context) -> Source:
        return OwnSource()

    @hook
    def tobs_write(self, write: Write) -> Write:
        return OwnWrite(write)

    @hook
    def tobs_agenda(self, ctx: Context, work: Callable[[MediaRef], Awaitable[None]]) -> OwnAgenda:
        return OwnAgenda(work)


class OwnSource:
    async def __call__(self, chat: Chat, ranges: Sequence[Range]) -> AsyncGenerator[Page]:
        pages: Iterator[Page] = iter(())
        for page in pages:
            yield page


class OwnWrite:
    def __init__(self, inner: Write) -> None:
        self.inner = inner

    async def commit(self, batch: Batch) -> None: ...

    async def settle(self, outcomes: Sequence[Settled]) -> None: ...


class OwnAgenda:
    def __init__(self, work: Callable[[MediaRef], Awaitable[None]]) -> None:
        self.work = work

    async def put(self, refs: Sequence[MediaRef]) -> None: ...

    async def drain(self) -> None: ...
