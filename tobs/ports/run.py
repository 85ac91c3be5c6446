"""Around a whole run: what drives, bounds and watches it, what is known of earlier ones, and what plugins are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tobs.knobs import Value
    from tobs.meters import Meters
    from tobs.ports.history import Range, Source, Write
    from tobs.ports.media import Submit
    from tobs.ports.requests import Call, Pool
    from tobs.values import Attempt, Batch, BlockHash, Chat, MediaRef, Page, Part, Settled, Span, Stored, Traffic


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


class Budget(Protocol):
    """Bytes in flight; every part and every batch acquires its share. Slot."""

    def hold(self, size: int, traffic: Traffic) -> AbstractAsyncContextManager[None]: ...


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
