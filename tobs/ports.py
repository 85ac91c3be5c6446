"""The ports: every seam of an export, in the order in which data passes them.

What moves is a `Batch` (a history page of at most 100 messages) or a `Part` of a file, never one message.
A port is a plain async callable or a small protocol; its baseline lives in `tobs.engine` (or in `tobs.telegram`
and `tobs.archive`, where it needs their library). A **slot** holds one strategy, **layers** wrap one another in
a fixed order of bands.

What passes them stands in `tobs.values`; here are the two that name a port, `Range` and `Call`. Times are seconds,
sizes bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from tobs.values import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tobs.knobs import Value
    from tobs.meters import Meters
    from tobs.values import (
        Attempt,
        Batch,
        BlockHash,
        Bytes,
        Chat,
        Job,
        MediaRef,
        Page,
        Part,
        Same,
        Settled,
        Span,
        Stored,
    )


# ---------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Range:
    """A span to read, and the layer its requests need around them (a takeout's split range), if any."""

    span: Span
    wrap: Callable[[Invoke], Invoke] | None = None


@dataclass(slots=True)
class Call:
    """One request on its way: `method` is the unwrapped method's name, `dc` None means the home data centre.

    `sender` is set by LEASE, `left` by PACE: when it left last, on PACE's clock. `limit` is the bytes that the answer
    may hold, for deadlines. `scope` names what the server counts the request in apart from others of its method (a
    takeout); flood waits and rates hold in one scope.
    `whole`, where core can tell, says whether an answer holds all that was asked for; RETRY may count another as lost.
    """

    request: Any
    method: str
    traffic: Traffic = Traffic.HISTORY
    dc: int | None = None
    limit: int = 0
    sender: Sender | None = None
    scope: str = ""
    left: float = -math.inf
    whole: Callable[[Any], bool] | None = None


# ---------------------------------------------------------------- requests

Invoke: TypeAlias = "Callable[[Call], Awaitable[Any]]"


class InvokeBand(IntEnum):
    """Order of the layers around a request, outermost first; nobody waits while holding a lease.

    SESSION wraps the request itself and says in which `Call.scope` it counts; each attempt of RETRY passes it anew.
    """

    RETRY = 1
    SESSION = 2
    PACE = 3
    LEASE = 4
    DEADLINE = 5
    OBSERVE = 6


class FetchBand(IntEnum):
    """Order of the layers around a file, outermost first: what may spare the fetch stands before what repairs it.

    A layer of REPAIR takes the place of core's own repair, which refreshes an expired reference once.
    """

    SPARE = 1
    REPAIR = 2


class Sender(Protocol):
    """One authorized connection to a data centre."""

    dc: int
    closed: bool

    @property
    def auth_key(self) -> bytes:
        """The key that this connection speaks with, 256 bytes: a secret."""
        ...

    async def send(self, request: Any) -> Any:
        """Send one request. Raises `RpcError` for a refusal, `LostError` when no answer can come."""
        ...

    async def ping(self) -> None:
        """Ask for a sign of life. Raises `LostError` when none can come."""
        ...

    async def close(self) -> None:
        """Close the connection; what is in flight fails with `LostError`."""
        ...


class Dial(Protocol):
    """Opens one authorized sender: key, handshake, export and import of the authorization. Layers.

    `key` is an auth key that was agreed on with this data centre earlier, its authorization included; without one, core
    takes the one it has, or makes it. Raises `KeyUnknownError` if the server does not take a key that was given.
    """

    async def __call__(self, dc: int | None, key: bytes | None = None) -> Sender: ...


class Pool(Protocol):
    """Owns the senders: opens them on demand, lends them out, never more than its knobs allow. Slot."""

    def lease(self, dc: int | None, traffic: Traffic) -> AbstractAsyncContextManager[Sender]:
        """Lend a sender for one request; waits for a free place, history first."""
        ...

    async def warm(self, dc: int, senders: int) -> None:
        """Open senders ahead of their first request."""
        ...

    def room(self, dc: int) -> int:
        """Media requests that may be in flight to `dc` just now, at least 1: what is worth having ready."""
        ...

    def part_size(self, dc: int, size: int) -> int:
        """Bytes to ask for in one request of a file of `size`."""
        ...

    def deadline(self, call: Call) -> float:
        """Seconds after which one attempt counts as lost."""
        ...

    async def close(self) -> None:
        """Close all senders."""
        ...


class Lanes(Protocol):
    """Which data centre is asked for a file, and which is served next. Slot."""

    def lane(self, ref: MediaRef) -> int | None:
        """The data centre to ask; None is home."""
        ...

    def moved(self, ref: MediaRef, dc: int) -> None:
        """The server said that this file lives at `dc`."""
        ...

    def expect(self, dc: int, size: int) -> None:
        """`size` bytes will be wanted from `dc`."""
        ...

    def first(self, left: Mapping[int, int]) -> int:
        """The data centre, of those in `left`, whose file comes next.

        `left` is bytes that wait by data centre, never empty, in the order in which the first file of each came.
        """
        ...


# ---------------------------------------------------------------- history


class Ranges(Protocol):
    """Divides the id spans that are still to be read into ranges. Layers."""

    async def __call__(self, chat: Chat, gaps: Sequence[Span]) -> list[Range]: ...


class Source(Protocol):
    """Reads ranges into pages, in any order; each page's span is proven when it is yielded. Slot."""

    def __call__(self, chat: Chat, ranges: Sequence[Range]) -> AsyncGenerator[Page]: ...


class Filter(Protocol):
    """Drops from a page what the archive holds already. Layers.

    A page that is returned has the messages that are to be kept, in their order; all else of it stays as it came, its
    span too. Dropping a message must come to the same as keeping it once more: its row in the archive is the one that
    would be written, and it carries no file, since a run that reads it again looks after its file. Called once a page,
    when core has seen it; pages that core asks for to settle a doubt do not pass.
    """

    def __call__(self, page: Page) -> Page: ...


class Write(Protocol):
    """Keeps batches and outcomes of files, each call in one transaction. Slot."""

    async def commit(self, batch: Batch) -> None:
        """Keep rows, span and pending media together, or nothing of them."""
        ...

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        """Keep what became of some references."""
        ...


class ArchiveWrite(Write, Protocol):
    """The archive's own Write, as it is offered to `tobs_write`."""

    def tune(self, *, journal: str, synchronous: str, page_size: int, log: int) -> None:
        """Set how SQLite writes until the archive is closed.

        `journal` is wal or truncate, `synchronous` normal or full; a journal other than wal always has full, so that no
        power cut damages the database. `page_size` in bytes is taken by an archive without messages only, and stays
        with it. `log` is bytes of the log after which it is moved into the database. What another program that reads
        the archive keeps from being changed stays as it is. Raises `ArchiveError`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Flow:
    """What a Runner drives: `normalise` turns pages into batches, `submit` takes their media."""

    source: Source
    normalise: Callable[[Page], Batch]
    write: Write
    submit: Submit
    budget: Budget
    probes: Sequence[Probe]


class Runner(Protocol):
    """Drives source, normalise and write; submits media after their commit. Slot."""

    async def __call__(self, chat: Chat, ranges: Sequence[Range], flow: Flow) -> None: ...


# ---------------------------------------------------------------- media


class Submit(Protocol):
    """Hands over a batch's media and awaits their *acceptance*. Layers.

    A layer that accepts before the one below does is an object with an async method `drain`, too: called when all
    histories are in, it returns when everything accepted was handed on, and from then on the layer waits as well. It
    may have a method `close`, see `Closes`.
    """

    async def __call__(self, refs: Sequence[MediaRef]) -> None: ...


@runtime_checkable
class Drains(Protocol):
    """A layer of Submit that accepts early; see there."""

    async def drain(self) -> None: ...


class Agenda(Protocol):
    """Orders accepted references and decides how many files move at once. Slot.

    Capacity 0 (the baseline) means that accepted is finished. One that works beside its callers has a method `close`,
    see `Closes`.
    """

    async def put(self, refs: Sequence[MediaRef]) -> None:
        """Accept references; returns when all of them are accepted."""
        ...

    async def drain(self) -> None:
        """Return when everything accepted is finished. Raises what stopped the work."""
        ...


@runtime_checkable
class Closes(Protocol):
    """A draining layer of Submit, or an agenda, that works beside its callers."""

    async def close(self) -> None:
        """Stop, and return when nothing moves any more.

        Called when the run is over, by whatever, and before any lifespan is left: what they hold is still there.
        """
        ...


class Sink(Protocol):
    """A file being written, at any offset."""

    async def write(self, offset: int, data: bytes) -> None: ...

    async def close(self) -> None: ...


@runtime_checkable
class Syncs(Protocol):
    """A sink that can have what was written on the disk before it is closed."""

    async def sync(self) -> None:
        """Return when everything whose `write` has returned is on the disk. Raises `OSError`."""
        ...


class Disk(Protocol):
    """Opens sinks. Slot."""

    async def open(self, path: Path, size: int, *, keep: bool = False) -> Sink:
        """Open a file of `size` to be, empty; `keep`: with the bytes that it has."""
        ...


class Note(Protocol):
    """What a journal knows of one file's bytes, while these are fetched."""

    @property
    def have(self) -> Sequence[Part]:
        """Stretches of the half-written file that were found to be as they were written; empty: begin anew."""
        ...

    def around(self, sink: Sink) -> Sink:
        """The sink, watched."""
        ...

    def end(self, *, whole: bool, again: bool) -> bool:
        """The file is whole and has its name, or given up; the sink is closed. Whether the half-written file stays.

        `again` says whether another run may ask for it.
        """
        ...


class Journal(Protocol):
    """Where a run may go on inside a file. Slot; the baseline goes on nowhere."""

    def kept(self, folder: Path) -> Collection[Path]:
        """Half-written files of earlier runs below `folder` to go on with; core removes all others.

        Called once, before any file is opened.
        """
        ...

    async def open(self, ref: MediaRef, path: Path) -> Note:
        """A file is about to be written at `path`, perhaps not for the first time. Raises `OSError`."""
        ...


ReadPart: TypeAlias = "Callable[[Part], Awaitable[bytes]]"


class Parts(Protocol):
    """Asks for a file's parts and decides how many at once. Slot. Returns the file's bytes when all of them are here.

    `have` are stretches that the sink holds already, not asked for again: `tobs.values.cut` leaves them out.
    """

    async def __call__(
        self, ref: MediaRef, read: ReadPart, sink: Sink, size: int, have: Sequence[Part] = ()
    ) -> int: ...


class Fetch(Protocol):
    """Brings one file into a sink, or finds that it is here already. Layers.

    `have` lists parts that an earlier attempt left in the sink.
    """

    async def __call__(self, ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same: ...


class Transform(Protocol):
    """Derives one file, such as a thumbnail, at `job.target`. Layers.

    Raises `TransformError` where it cannot be made, which fails no export.
    """

    async def __call__(self, job: Job) -> None: ...


class Budget(Protocol):
    """Bytes in flight; every part and every batch acquires its share. Slot."""

    def hold(self, size: int, traffic: Traffic) -> AbstractAsyncContextManager[None]: ...


# ---------------------------------------------------------------- around the run


class Probe(Protocol):
    """Sees aggregates: once a batch, a part, an attempt, a wait; never once a message. Observers."""

    def batch(self, page: Page, batch: Batch, seconds: float) -> None: ...

    def file(self, outcome: Settled, seconds: float) -> None: ...

    def attempt(self, attempt: Attempt) -> None: ...

    def flood(self, method: str, seconds: float) -> None: ...


class Ledger(Protocol):
    """What the archive knows of a chat: read at the start of a run and when a file is wanted."""

    def gaps(self, chat_id: int, top: int) -> list[Span]:
        """Id spans up to `top` that no committed batch covers, newest first."""
        ...

    def pending(self, chat_id: int) -> Iterator[MediaRef]:
        """References that are not settled, by message id."""
        ...

    def stored(self, file_id: int) -> Settled | None:
        """The finished file of this id, if its bytes are here."""
        ...

    def holds(self, path: str) -> bool:
        """Whether a finished file is kept under this path, relative to the archive."""
        ...

    def of_size(self, size: int, most: int) -> list[Stored]:
        """Finished files of exactly this size, at most `most`, each path once. Whether it is there was not looked."""
        ...

    def messages(self, chat_id: int) -> int:
        """Messages kept of this chat."""
        ...

    def raw(self, chat_id: int, span: Span) -> dict[int, bytes]:
        """The `raw` (UTF-8) of every message that is kept of this chat inside a span, by id."""
        ...


class State(Protocol):
    """A scope's memory, which survives the run: small JSON values by key."""

    def get(self, key: str) -> dict[str, Any]:
        """The value kept under `key`; empty if there is none or it cannot be read."""
        ...

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keep `value` under `key`; an empty one takes no room."""
        ...


class Context(Protocol):
    """What core offers to plugins. Take what you need when it is used: not all of it stands while hooks are called."""

    meters: Meters

    @property
    def pool(self) -> Pool:
        """The pool in place."""
        ...

    @property
    def budget(self) -> Budget:
        """The budget in place."""
        ...

    @property
    def knobs(self) -> Mapping[str, Value]:
        """Values of the core's own knobs, by name."""
        ...

    @property
    def home(self) -> int:
        """The account's home data centre."""
        ...

    @property
    def cache(self) -> Path:
        """A folder of this plugin's for what can be made again; all archives share it. It need not exist yet."""
        ...

    def state(self, scope: str) -> State:
        """What this plugin keeps for the `account`, the `archive` or the `user`."""
        ...

    async def invoke(self, call: Call) -> Any:
        """Send a request through all of its layers, retries and waits included."""
        ...

    async def page(self, chat: Chat, within: Range, *, skip: int = 0) -> Page:
        """Ask for the newest page inside a range, below its `skip` newest messages."""
        ...

    async def part(self, ref: MediaRef, part: Part, dc: int | None) -> bytes:
        """Ask for one part of a file."""
        ...

    async def file_hashes(self, ref: MediaRef, offset: int, dc: int | None = None) -> list[BlockHash]:
        """Ask for the hashes of a file's blocks, from the one that holds `offset`: some of them, in order.

        None means unknown: the server has hashes of many files and not of all. `dc` None asks where `Lanes` says; a
        migration is followed. Raises `RpcError` for a refusal, an expired reference among them.
        """
        ...

    async def refresh(self, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        """Fetch messages again for fresh file references; keyed by (message id, file id)."""
        ...

    def stored(self, size: int, most: int) -> list[Stored]:
        """Finished files of exactly this size, at most `most`, each path once; this run's and earlier ones'."""
        ...

    def raw(self, chat_id: int, span: Span) -> dict[int, bytes]:
        """The `raw` (UTF-8) of every message that is kept of a chat inside a span, by id."""
        ...
