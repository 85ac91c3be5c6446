"""Messages as bloom_filter's tests remember them, state that counts, and pages that carry their answers."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_128_digest

from tests.engine.fakes import CHAT, FakeMessage, ref
from tobs.values import Batch, MessageRow, Page, Span, Wire
from tobs_bloom_filter.record import CHECK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def mark_of(number: int, content: str = "") -> bytes:
    """What is kept of a message of this id and content."""
    return xxh3_128_digest(f"{number} {content}".encode()) + number.to_bytes(CHECK, "little")


def marks_of(ids: Iterable[int], content: str = "") -> dict[int, bytes]:
    """The same for several."""
    return {number: mark_of(number, content) for number in ids}


def prints_of(ids: Iterable[int], content: str = "") -> dict[int, bytes]:
    """The prints with which they come."""
    return {number: mark_of(number, content)[:-CHECK] for number in ids}


@dataclass
class CountingState:
    """State in memory that counts what is read and written of it."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def get(self, key: str) -> dict[str, Any]:
        self.read.append(key)
        return copy.deepcopy(self.values.get(key, {}))

    def put(self, key: str, value: dict[str, Any]) -> None:
        self.written.append(key)
        self.values[key] = copy.deepcopy(value)


def page_with(contents: Mapping[int, str], *, wire: bool = True) -> Page:
    """A page of messages with these contents, newest first, and the answer that it was made of."""
    ids = sorted(contents, reverse=True)
    data, places = b"", {}
    for number in ids:
        body = f"{number} {contents[number]}".encode()
        places[number] = slice(len(data), len(data) + len(body))
        data += body
    messages = [FakeMessage(number) for number in ids]
    span = Span(min(ids), max(ids)) if ids else Span(1, 9)
    made = Wire(data, places) if wire else None
    return Page(CHAT, span, messages, [], len(ids), ended=False, doubtful=False, size=len(data), wire=made)


def batch_with(page: Page, contents: Mapping[int, str], files: Iterable[int] = ()) -> Batch:
    """The rows of a page; `files` are the ids of messages that carry one."""
    rows = [row_of(message.id, contents[message.id]) for message in page.messages]
    media = [ref(number, message_id=number) for number in files]
    return Batch(CHAT.id, page.span, rows, media, [])


def row_of(number: int, content: str) -> MessageRow:
    """A row whose `raw` follows from the content."""
    raw = f'{{"id": {number}, "message": "{content}"}}'
    return MessageRow(CHAT.id, number, "", None, content, "message", None, None, None, None, None, None, raw)
