"""The values that pass the ports: frozen, and free of any behaviour; and the one way to cut a file into parts.

Ids are marked as Telegram's clients mark them: users positive, basic groups `-id`, channels `-(10**12 + id)`.
Times are seconds, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PAGE = 100
"""Messages a history page holds at most (messages.getHistory, official documentation)."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat that can be exported. `kind` is user, chat or channel; `peer` is the input peer, opaque here."""

    id: int
    kind: str
    title: str
    username: str | None = None
    peer: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """An inclusive interval of message ids."""

    low: int
    high: int


class MediaRef(NamedTuple):
    """A file that a message carries, with all that is needed to ask for it, also another day.

    `form` is photo or document and `thumb` the photo size asked for; `access_hash` and `reference` come from the
    message; `kind` is Telegram Desktop's word (photo, video_file, voice_message, ...).
    """

    chat_id: int
    message_id: int
    kind: str
    file_id: int
    dc: int
    size: int
    name: str | None
    mime: str
    date: str
    form: str
    access_hash: int
    reference: bytes
    thumb: str


class MessageRow(NamedTuple):
    """One message as the archive keeps it; `raw` is the whole TL object as JSON."""

    chat_id: int
    id: int
    date: str
    sender_id: int | None
    text: str
    kind: str
    reply_to: int | None
    grouped_id: int | None
    topic_id: int | None
    edited: str | None
    views: int | None
    forwards: int | None
    raw: str


class PeerRow(NamedTuple):
    """A user, group or channel that some message names; `raw` is the whole TL object as JSON."""

    id: int
    kind: str
    name: str
    username: str | None
    raw: str


@dataclass(frozen=True, slots=True)
class Wire:
    """An answer as it came: the message of an id is `data[places[id]]`, constructor and all."""

    data: bytes
    places: dict[int, slice]


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a history request, newest message first.

    `span` is what it proves: no message inside it is missing from `messages`. `count` is the server's count of
    the whole history, `newer` how many of those are newer than the first one here (None where it does not say); in a
    range with a `wrap` both may be of what that leaves. `ended` says whether the server had no more above the range's
    low end, `doubtful` whether only a short page says so. `size` is the answer's length on the wire. `wire` is the
    answer itself, kept where a layer of `tobs.ports.Filter` stands; else None.
    """

    chat: Chat
    span: Span
    messages: list[Any]
    peers: list[Any]
    count: int
    ended: bool
    doubtful: bool
    size: int
    newer: int | None = None
    wire: Wire | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A page made ready to be kept; its rows, its media and the span it covers are committed together."""

    chat_id: int
    span: Span
    messages: list[MessageRow]
    media: list[MediaRef]
    peers: list[PeerRow]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file: one request."""

    offset: int
    limit: int


def cut(size: int, step: int, have: Iterable[Part] = ()) -> Iterator[Part]:
    """The requests that bring a file of `size` bytes: cells of `step`, without the stretches that are here already.

    Of a cell that is here in part, what is missing is asked for in as many requests as it has gaps, each from a whole
    KB on and as long as whole KB; so a stretch that does not begin or end there is asked for in part again.
    """
    spans = sorted((part.offset, part.offset + part.limit) for part in have)
    first = 0
    for cell in range(0, size, step):
        at, end = cell, min(cell + step, size)
        while first < len(spans) and spans[first][1] <= cell:
            first += 1
        for low, high in spans[first:]:
            if low >= end:
                break
            if low > at:
                yield _whole_kb(at, low, cell, step)
            at = max(at, high)
        if at < end:
            yield _whole_kb(at, cell + step, cell, step)


def _whole_kb(low: int, high: int, cell: int, step: int) -> Part:
    """A stretch inside a cell, widened to whole KB (upload.getFile, official documentation)."""
    low = max(cell, low - low % 1024)
    high = min(cell + step, high + -high % 1024)
    return Part(low, high - low)


@dataclass(frozen=True, slots=True)
class BlockHash:
    """What the server says of one block of a file: `limit` bytes from `offset` have this SHA-256 (32 bytes)."""

    offset: int
    limit: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished file of the archive, and where its bytes are. Several ids may share one path."""

    file_id: int
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class Bytes:
    """A file was fetched whole: its size."""

    size: int


@dataclass(frozen=True, slots=True)
class Same:
    """A file need not be fetched: it equals the stored file `file_id`."""

    file_id: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a reference: `status` is done, missing (gone on the server) or skipped; `path` is relative."""

    ref: MediaRef
    status: str
    sha256: str | None = None
    size: int = 0
    path: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A file to be derived from a finished one: the transform's name, and the content that it is made of.

    `source` is the finished file, `sha256` its content, `settings` (JSON) and `library` (names and versions) what else
    the outcome depends on: equal ones give equal bytes. They are written to `target`, which core renames when it is
    whole; `source` stays as it is.
    """

    transform: str
    source: Path
    sha256: str
    settings: str
    library: str
    target: Path


class Traffic(StrEnum):
    """What a request is for; history goes first where both wait.

    With it go other requests whose answers are small, as those for a file's hashes.
    """

    HISTORY = "history"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a request: `outcome` is ok, lost, or the name of the refusal.

    `connection` tells one of the open connections from another; 0 if there was none.
    """

    method: str
    traffic: Traffic
    dc: int
    seconds: float
    size: int
    outcome: str
    in_flight: int
    connection: int = 0
