"""One request on its way to a data centre: the call, the layers around it, and the connections that carry it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tobs.values import Traffic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

Invoke: TypeAlias = "Callable[[Call], Awaitable[Any]]"


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
