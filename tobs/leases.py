"""What every pool does the same way: lend a place and take it back, and fail those who wait for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections import deque
    from collections.abc import Iterable
    from types import TracebackType

    from tobs.ports import Sender
    from tobs.values import Traffic


class Lent(Protocol):
    """A place in a pool: one connection, and what the pool keeps beside it."""

    @property
    def sender(self) -> Sender:
        """The connection."""
        ...


Centre = TypeVar("Centre")
Place = TypeVar("Place", bound=Lent)
Centre_contra = TypeVar("Centre_contra", contravariant=True)


class Lender(Protocol[Centre_contra, Place]):
    """A pool, as its leases see it."""

    async def take(self, centre: Centre_contra, traffic: Traffic) -> Place:
        """A place with room for one more request; waits for it. Raises what keeps one from being had."""
        ...

    def give(self, centre: Centre_contra, place: Place, traffic: Traffic) -> None:
        """Take a place back."""
        ...


class Lease(Generic[Centre, Place]):
    """A place taken on entry and given back on exit, once. What is entered is the sender; see `tobs.ports.Pool`."""

    __slots__ = ("_centre", "_place", "_pool", "_traffic")

    def __init__(self, pool: Lender[Centre, Place], centre: Centre, traffic: Traffic) -> None:
        self._pool = pool
        self._centre = centre
        self._traffic = traffic
        self._place: Place | None = None

    async def __aenter__(self) -> Sender:
        self._place = await self._pool.take(self._centre, self._traffic)
        return self._place.sender

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._place is not None:
            self._pool.give(self._centre, self._place, self._traffic)
            self._place = None


def fail_waiting(queues: Iterable[deque[asyncio.Future[Any]]], error: Exception) -> None:
    """Raise `error` where somebody still waits in these queues, and empty them."""
    for queue in queues:
        for waiter in queue:
            if not waiter.done():
                waiter.set_exception(error)
        queue.clear()
