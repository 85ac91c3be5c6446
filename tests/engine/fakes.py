"""Doubles for the engine's tests: a probe, senders, files, a disk, an archive, a history."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.engine.spans import NEWEST
from tobs.errors import LostError, RpcError
from tobs.values import Batch, Chat, MediaRef, MessageRow, Page, Settled, Span, Stored, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tobs.ports import Sink
    from tobs.values import Attempt, Part

CHAT = Chat(-1_000_000_000_005, "channel", "Fakes")


# ---------------------------------------------------------------- a probe


@dataclass
class Seen:
    """A probe that keeps what it is told."""

    batches: list[tuple[Page, Batch]] = field(default_factory=list)
    files: list[Settled] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    floods: list[tuple[str, float]] = field(default_factory=list)

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        assert seconds >= 0
        self.batches.append((page, batch))

    def file(self, outcome: Settled, seconds: float) -> None:
        assert seconds >= 0
        self.files.append(outcome)

    def attempt(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def flood(self, method: str, seconds: float) -> None:
        self.floods.append((method, seconds))


# ---------------------------------------------------------------- connections


@dataclass(eq=False)
class FakeSender:
    """A connection that counts what is borrowed of it."""

    dc: int
    closed: bool = False
    busy: dict[Traffic, int] = field(default_factory=lambda: dict.fromkeys(Traffic, 0))

    async def send(self, request: Any) -> Any:
        if self.closed:
            raise LostError("closed")
        return request

    @property
    def auth_key(self) -> bytes:
        return bytes([self.dc]) * 256

    async def ping(self) -> None:
        await self.send("ping")

    async def close(self) -> None:
        self.closed = True


@dataclass
class Dialler:
    """Opens fake senders. `refuses` says, by how many its data centre has, what a further one is refused with."""

    refuses: Callable[[int], BaseException | None] = lambda _: None
    hold: asyncio.Event | None = None
    asked: list[int | None] = field(default_factory=list)
    opened: list[FakeSender] = field(default_factory=list)

    async def __call__(self, dc: int | None, key: bytes | None = None) -> FakeSender:  # noqa: ARG002 - the port
        self.asked.append(dc)
        await asyncio.sleep(0)
        if self.hold is not None:
            await self.hold.wait()
        error = self.refuses(len([sender for sender in self.alive() if sender.dc == dc]))
        if error is not None:
            raise error
        sender = FakeSender(dc or 0)
        self.opened.append(sender)
        return sender

    def alive(self) -> list[FakeSender]:
        return [sender for sender in self.opened if not sender.closed]


# ---------------------------------------------------------------- files


def ref(file_id: int = 1, size: int = 1000, *, message_id: int = 10, dc: int = 2, kind: str = "file") -> MediaRef:
    """A reference to a file of the fake chat."""
    return MediaRef(
        chat_id=CHAT.id,
        message_id=message_id,
        kind=kind,
        file_id=file_id,
        dc=dc,
        size=size,
        name=None,
        mime="application/octet-stream",
        date="2026-01-01T00:00:00Z",
        form="document",
        access_hash=7,
        reference=b"fresh",
        thumb="",
    )


def content(file_id: int, size: int) -> bytes:
    """The bytes of a file."""
    return random.Random(file_id).randbytes(size)


@dataclass
class FileServer:
    """Serves parts of files from their data centre, `dc` of the reference; `home` is asked by None.

    `spoil` may turn an answer into a shorter one or raise; it sees every request.
    """

    home: int = 2
    spoil: Callable[[MediaRef, Part, bytes], bytes] = lambda _ref, _part, data: data
    asked: list[tuple[int | None, int, int]] = field(default_factory=list)
    refreshed: list[int] = field(default_factory=list)
    gone: bool = False

    async def part(self, wanted: MediaRef, part: Part, dc: int | None) -> bytes:
        self.asked.append((dc, part.offset, part.limit))
        await asyncio.sleep(0)
        if (self.home if dc is None else dc) != wanted.dc:
            raise RpcError(303, "FILE_MIGRATE", wanted.dc, "upload.getFile")
        if wanted.reference != b"fresh":
            raise RpcError(400, "FILE_REFERENCE_EXPIRED", None, "upload.getFile")
        data = content(wanted.file_id, wanted.size)[part.offset : part.offset + part.limit]
        return self.spoil(wanted, part, data)

    async def refresh(self, refs: Any) -> dict[tuple[int, int], MediaRef]:
        refs = list(refs)
        self.refreshed += [one.file_id for one in refs]
        return {} if self.gone else {(one.message_id, one.file_id): one._replace(reference=b"fresh") for one in refs}


@dataclass
class MemorySink:
    """A file in memory."""

    data: bytearray = field(default_factory=bytearray)
    writes: list[int] = field(default_factory=list)
    closed: bool = False

    async def write(self, offset: int, data: bytes) -> None:
        self.writes.append(offset)
        end = offset + len(data)
        self.data.extend(bytes(max(0, end - len(self.data))))
        self.data[offset:end] = data

    async def close(self) -> None:
        self.closed = True


class FailingDisk:
    """A disk on which opening, writing or closing raises an error of the file system."""

    def __init__(self, error: OSError, when: str) -> None:
        self._error = error
        self._when = when

    async def open(self, path: Path, size: int, *, keep: bool = False) -> Sink:  # noqa: ARG002 - the port
        if self._when == "open":
            raise self._error
        path.write_bytes(b"begun")  # noqa: ASYNC240 - a fake
        error, when = self._error, self._when

        class Failing(MemorySink):
            async def write(self, offset: int, data: bytes) -> None:
                if when == "write":
                    raise error
                await super().write(offset, data)

            async def close(self) -> None:
                if when == "close":
                    raise error

        return Failing()


# ---------------------------------------------------------------- an archive


@dataclass
class FakeBooks:
    """Ledger and Write of an archive in memory. `log` holds what happened, in order."""

    covered: list[Span] = field(default_factory=list)
    top: int = 0
    kept: set[int] = field(default_factory=set)
    rows: dict[int, str] = field(default_factory=dict)
    wanted: dict[tuple[int, int], MediaRef] = field(default_factory=dict)
    files: dict[int, Settled] = field(default_factory=dict)
    settled: list[Settled] = field(default_factory=list)
    again: list[Span] = field(default_factory=list)
    reread_asked: list[int | None] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    async def commit(self, batch: Batch) -> None:
        await asyncio.sleep(0)
        self.covered.append(batch.span)
        self.kept.update(row.id for row in batch.messages)
        rows: list[Any] = batch.messages  # some tests commit messages as they came
        self.rows.update((row.id, row.raw) for row in rows if isinstance(row, MessageRow))
        for one in batch.media:
            self.wanted[one.message_id, one.file_id] = one
        self.log.append(f"commit {batch.span.low}-{batch.span.high}")

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        await asyncio.sleep(0)
        for outcome in outcomes:
            self.settled.append(outcome)
            if outcome.status != "failed":
                self.wanted.pop((outcome.ref.message_id, outcome.ref.file_id), None)
            if outcome.status == "done":
                self.files[outcome.ref.file_id] = outcome
            self.log.append(f"settle {outcome.ref.file_id} {outcome.status}")

    def gaps(self, chat_id: int, top: int) -> list[Span]:
        assert chat_id == CHAT.id
        free = set(range(1, self.top + 1))
        for span in self.covered:
            free -= set(range(span.low, span.high + 1))
        spans = [Span(number, number) for number in sorted(free, reverse=True)]
        newest = max((span.high for span in self.covered), default=0)
        return [Span(max(newest, self.top) + 1, top), *spans]

    def reread(self, chat_id: int, last: int | None) -> list[Span]:
        assert chat_id == CHAT.id
        self.reread_asked.append(last)
        return list(self.again)

    def pending(self, chat_id: int) -> Iterator[MediaRef]:
        assert chat_id == CHAT.id
        yield from sorted(self.wanted.values(), key=lambda one: one.message_id)

    def stored(self, file_id: int) -> Settled | None:
        return self.files.get(file_id)

    def holds(self, path: str) -> bool:
        return any(one.path == path for one in self.files.values())

    def of_size(self, size: int, most: int) -> list[Stored]:
        alike = {one.path or "": one.ref.file_id for one in self.files.values() if one.size == size}
        return [Stored(file_id, size, Path(path)) for path, file_id in list(alike.items())[:most]]

    def messages(self, chat_id: int) -> int:
        assert chat_id == CHAT.id
        return len(self.kept)

    def raw(self, chat_id: int, span: Span) -> dict[int, bytes]:
        assert chat_id == CHAT.id
        return {number: raw.encode() for number, raw in self.rows.items() if span.low <= number <= span.high}


# ---------------------------------------------------------------- history


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """A message: its id alone, and the files it carries."""

    id: int
    refs: tuple[MediaRef, ...] = ()


def page_of(ids: Sequence[int], *, span: Span | None = None, count: int = 0, ended: bool = True) -> Page:
    """A page of messages, newest first."""
    messages = [FakeMessage(number) for number in ids]
    return Page(CHAT, span or Span(min(ids), max(ids)), messages, [], count, ended, doubtful=False, size=len(ids))


def batch_of(page: Page, media: Sequence[MediaRef] = ()) -> Batch:
    """A page's rows."""
    rows = [
        MessageRow(CHAT.id, one.id, "", None, "", "message", None, None, None, None, None, None, "{}")
        for one in page.messages
    ]
    carried = [one for message in page.messages for one in message.refs]
    return Batch(CHAT.id, page.span, rows, [*media, *carried], [])


@dataclass
class HistoryServer:
    """A chat's history, in pages of at most `limit` messages, newest first, as core asks for them.

    A page that is short proves the range's end only doubtfully. `short` are lowest ids of pages that are cut there,
    `hidden` ids that are counted and never handed out. Inside a range that has a layer, only the one of `apart` that it
    lies in is counted.
    """

    messages: list[FakeMessage]
    limit: int = 100
    short: set[int] = field(default_factory=set)
    hidden: int = 0
    apart: Sequence[range] = ()
    asked: list[Span] = field(default_factory=list)

    async def page(self, chat: Chat, within: Any) -> Page:
        span = within.span
        self.asked.append(span)
        await asyncio.sleep(0)
        inside = [one for one in self.messages if span.low <= one.id <= span.high]
        inside.sort(key=lambda one: one.id, reverse=True)
        answer = inside[: self.limit]
        for number, one in enumerate(answer):
            if one.id in self.short:
                self.short.discard(one.id)
                answer = answer[: number + 1]
                break
        count = len(self.messages) + self.hidden
        if within.wrap is not None:
            count = next(len(ids) for ids in self.apart if span.low in ids)
        newest = span.high >= NEWEST
        if not answer:
            high = span.low - 1 if newest else span.high
            return Page(chat, Span(span.low, high), [], [], count, ended=True, doubtful=False, size=0)
        lowest = answer[-1].id
        whole = lowest <= span.low
        ended = whole or len(answer) < self.limit
        proven = Span(span.low if ended else lowest, answer[0].id if newest else span.high)
        return Page(chat, proven, answer, [], count, ended=ended, doubtful=ended and not whole, size=len(answer))
