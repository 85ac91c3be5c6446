"""A loop whose time jumps, and a server that floods in it."""

from __future__ import annotations

import asyncio
import math
import random
import selectors
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tobs.errors import RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tobs.ports import Call

T = TypeVar("T")


# ---------------------------------------------------------------- time


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where a loop would sleep, its clock is set forward instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready: list[Any] = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits and nothing will ever happen")
        if not ready and timeout:
            self.now += max(timeout, 1e-6)  # a float's last digits must not stop the clock
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which sleeping takes no time. Not for threads and sockets."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtually(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time; whatever it left running is cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


async def settle_down() -> None:
    """Let everything that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


# ---------------------------------------------------------------- a server that floods


@dataclass
class FloodServer:
    """Telegram's request buckets as the project takes them to be, one for each method; its own words, its own code.

    A bucket of `burst` refills by `refill` a second. A request too many refuses everything in flight with the same
    X, drawn from `wait`; for X seconds all is refused, then the bucket holds one second's refill (at least 1). An
    overflow within ten minutes of the last doubles X, up to four times.
    """

    burst: float
    refill: float
    wait: tuple[int, int]
    rtt: float = 0.08
    seed: int = 0
    served: int = 0
    floods: list[float] = field(default_factory=list)
    during: int = 0
    level: float = -1.0
    filled: float = 0.0
    until: float = -math.inf
    doublings: int = 0
    delivered: float = math.inf
    flying: dict[asyncio.Future[None], None] = field(default_factory=dict)
    served_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._x = 0

    async def __call__(self, call: Call) -> int:
        """Serve one request or raise its refusal, a round trip later."""
        sent = now()
        await asyncio.sleep(self.rtt / 2)
        arrived = now()
        if arrived < self.until:
            self.during += sent > self.delivered
            await asyncio.sleep(self.rtt / 2)
            raise self._refusal(math.ceil(self.until - arrived))
        self._fill(arrived)
        if self.level < 1:
            self._overflow(arrived)
            await asyncio.sleep(self.rtt / 2)
            raise self._refusal(self._x)
        self.level -= 1
        reply = asyncio.get_running_loop().create_future()
        self.flying[reply] = None
        try:
            async with asyncio.timeout(self.rtt / 2):
                await reply
        except TimeoutError:
            self.flying.pop(reply, None)
            self.served += 1
            self.served_at.append(now())
            return call.limit
        raise self._refusal(self._x)

    def _fill(self, at: float) -> None:
        if self.level < 0:
            self.level = self.burst
        elif at > self.filled:
            self.level = min(self.burst, self.level + (at - self.filled) * self.refill)
        self.filled = max(at, self.filled)

    def _overflow(self, at: float) -> None:
        again = self.floods and at - self.floods[-1] < 600
        self.doublings = min(4, self.doublings + 1) if again else 0
        self._x = self._random.randint(*self.wait) * 2**self.doublings
        self.floods.append(at)
        self.until, self.delivered = at + self._x, math.inf
        self.level, self.filled = max(1.0, self.refill), self.until
        flying, self.flying = list(self.flying), {}
        self._random.shuffle(flying)
        for reply in flying:
            if not reply.done():
                reply.set_result(None)

    def _refusal(self, seconds: int) -> RpcError:
        self.delivered = min(self.delivered, now())
        return RpcError(420, "FLOOD_WAIT", seconds, "messages.getHistory")
