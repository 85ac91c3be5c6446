"""Messages on their way into the archive: ranges to read, pages, and what keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from tobs.ports.requests import Invoke
    from tobs.values import Batch, Chat, Page, Settled, Span


@dataclass(frozen=True, slots=True)
class Range:
    """A span to read, and the layer its requests need around them (a takeout's split range), if any."""

    span: Span
    wrap: Callable[[Invoke], Invoke] | None = None


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
