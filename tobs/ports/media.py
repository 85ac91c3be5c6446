"""References on their way to their files: who takes them over, in which order, and how a file is fetched."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tobs.ports.files import Sink
    from tobs.values import Bytes, Job, MediaRef, Part, Same


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


class FetchBand(IntEnum):
    """Order of the layers around a file, outermost first: what may spare the fetch stands before what repairs it.

    A layer of REPAIR takes the place of core's own repair, which refreshes an expired reference once.
    """

    SPARE = 1
    REPAIR = 2


class Fetch(Protocol):
    """Brings one file into a sink, or finds that it is here already. Layers.

    `have` lists parts that an earlier attempt left in the sink.
    """

    async def __call__(self, ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same: ...


ReadPart: TypeAlias = "Callable[[Part], Awaitable[bytes]]"


class Parts(Protocol):
    """Asks for a file's parts and decides how many at once. Slot. Returns the file's bytes when all of them are here.

    `have` are stretches that the sink holds already, not asked for again: `tobs.values.cut` leaves them out.
    """

    async def __call__(
        self, ref: MediaRef, read: ReadPart, sink: Sink, size: int, have: Sequence[Part] = ()
    ) -> int: ...


class Transform(Protocol):
    """Derives one file, such as a thumbnail, at `job.target`. Layers.

    Raises `TransformError` where it cannot be made, which fails no export.
    """

    async def __call__(self, job: Job) -> None: ...
