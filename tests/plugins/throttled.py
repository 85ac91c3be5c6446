"""A server in virtual time whose bandwidth is held short for a connection, for the account, or for both."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from tests.engine.virtual import now
from tobs.engine.invoke import deadline, fold, lease
from tobs.errors import LostError
from tobs.ports import Call, Invoke, InvokeBand
from tobs.values import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.ports import Pool

MB = 1_000_000
DC = 4


Steps = tuple[tuple[float, float], ...]
"""Moments, the first of them 0, and MB/s from each of them on."""


@dataclass
class Pipe:
    """Serves one answer after another; what is under way when the rate changes goes on at the other rate."""

    steps: Steps
    free: float = -inf

    def through(self, ready: float, size: float) -> tuple[float, float]:
        """When the first byte of an answer that is ready leaves, and when the last has."""
        start = at = max(ready, self.free)
        for (_, rate), (until, _) in zip(self.steps, [*self.steps[1:], (inf, 0.0)], strict=True):
            if until <= at:
                continue
            if at + size / rate / MB <= until:
                self.free = at + size / rate / MB
                break
            size -= (until - at) * rate * MB
            at = until
        return start, self.free


def steps(rate: float | Steps) -> Steps:
    """A rate that stays, or one that changes."""
    return rate if isinstance(rate, tuple) else ((0.0, rate),)


@dataclass(eq=False)
class Line:
    """A connection of the server."""

    dc: int
    server: Throttled
    pipe: Pipe
    closed: bool = False
    waiting: dict[asyncio.Future[None], None] = field(default_factory=dict)
    most: int = 0
    last: float = -inf

    @property
    def auth_key(self) -> bytes:
        return bytes(256)

    async def send(self, request: Any) -> Any:
        if self.closed:
            raise LostError("closed")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting[answer] = None
        self.most = max(self.most, len(self.waiting))
        sending = asyncio.ensure_future(self.server.answer(self, request))
        sending.add_done_callback(lambda _: None if answer.done() else answer.set_result(None))
        try:
            await answer
        finally:
            sending.cancel()
            self.waiting.pop(answer, None)
        return None

    async def ping(self) -> None:
        await self.send(0)

    async def close(self) -> None:
        self.closed = True
        for answer in list(self.waiting):
            if not answer.done():
                answer.set_exception(LostError("closed"))


@dataclass
class Throttled:
    """One data centre. Rates are MB/s, for good or in steps; a request is the bytes of its answer.

    At most `cap` connections; a connection takes five round trips to open. Of the answers a share `stalls` comes
    `stalled` seconds later.
    """

    connection: float | Steps = inf
    account: float | Steps = inf
    rtt: float = 0.04
    jitter: float = 0.0
    cap: int = 8
    stalls: float = 0.0
    stalled: float = 8.0
    seed: int = 0
    opened: list[Line] = field(default_factory=list)
    refused: int = 0
    most: int = 0
    served: int = 0
    arrived: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.shared = Pipe(steps(self.account))

    def alive(self) -> list[Line]:
        return [line for line in self.opened if not line.closed]

    async def dial(self, dc: int | None, key: bytes | None = None) -> Line:  # noqa: ARG002 - the port
        await asyncio.sleep(5 * self.rtt)
        if len(self.alive()) >= self.cap:
            self.refused += 1
            raise LostError("too many connections")
        line = Line(dc or DC, self, Pipe(steps(self.connection)))
        self.opened.append(line)
        self.most = max(self.most, len(self.alive()))
        return line

    def _way(self) -> float:
        return (self.rtt + self.random.uniform(-self.jitter, self.jitter)) / 2

    async def answer(self, line: Line, size: int) -> None:
        await asyncio.sleep(self._way())
        self.served += 1
        start, shared = self.shared.through(now(), size)
        _, own = line.pipe.through(start, size)
        stalled = self.stalled if self.random.random() < self.stalls else 0.0
        line.last = max(line.last, max(shared, own) + self._way())  # answers of a connection keep their order
        await asyncio.sleep(line.last - now() + stalled)
        self.arrived.append((now(), size))

    def brought(self, since: float, until: float) -> float:
        """MB/s that came between two moments."""
        return sum(size for at, size in self.arrived if since <= at < until) / (until - since) / MB


def mixed(seed: int) -> Iterator[int]:
    """Sizes of files as a channel has them: photos and documents, and now and then a video."""
    chance = random.Random(seed)
    while True:
        if chance.random() < 0.25:
            yield chance.randrange(1 << 20, 6 << 20)
        yield max(4096, min(int(chance.lognormvariate(11.6, 1.2)), 1 << 20))


class Demand:
    """Asks `pool` for files of `sizes`, as many parts at once as it has room for, by core's way of a request."""

    def __init__(self, pool: Pool, sizes: Iterator[int], layers: Any = ()) -> None:
        async def wire(call: Call) -> Any:
            assert call.sender is not None
            return await call.sender.send(call.request)

        self.pool = pool
        self.parts = self._parts(sizes)
        self.lost = 0
        self.done = 0
        self.invoke: Invoke = fold(
            wire, [*layers, (InvokeBand.LEASE, lease(pool)), (InvokeBand.DEADLINE, deadline(pool))]
        )

    def _parts(self, sizes: Iterator[int]) -> Iterator[int]:
        for size in sizes:
            step = self.pool.part_size(DC, size)
            for offset in range(0, size, step):
                yield min(step, size - offset)

    async def one(self, size: int) -> None:
        """One request, again and again until it is answered."""
        while True:
            try:
                await self.invoke(Call(size, "upload.getFile", Traffic.MEDIA, DC, size))
            except LostError:
                self.lost += 1
            else:
                self.done += 1
                return

    async def run(self, seconds: float = inf, *, at_once: int | None = None) -> None:
        """Keep asking for so long, or until there are no more files; what is on its way then still arrives."""
        until = now() + seconds
        moving: set[asyncio.Task[None]] = set()
        ended = False
        while now() < until and not ended:
            while len(moving) < (at_once or self.pool.room(DC)):
                size = next(self.parts, None)
                if ended := size is None:
                    break
                moving.add(asyncio.ensure_future(self.one(size)))
            left = None if until == inf else until - now()
            done, moving = await asyncio.wait(moving, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*done)
        await asyncio.gather(*moving)
