"""The network between a client and the lab: round trips and bandwidth, in virtual time.

Nothing here waits. A `Path` says when a packet that came in at some moment is there, and when a reply of so
many bytes has left and arrived; whoever asks schedules it. All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


class Link:
    """A pipe of `rate` bytes/s (None: unlimited) that serves packets in the order they were given."""

    __slots__ = ("_rate", "free")

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self.free = float("-inf")

    def reserve(self, now: float, size: int) -> tuple[float, float]:
        """Reserve the pipe for `size` bytes that are there at `now`: when the first and the last leave."""
        start = max(now, self.free)
        self.free = start if self._rate is None else start + size / self._rate
        return start, self.free


@dataclass(frozen=True, slots=True)
class Delay:
    """Round-trip time and jitter in seconds: each way takes half of a round trip drawn in rtt ± jitter."""

    rtt: float
    jitter: float

    def one_way(self, random: Random) -> float:
        """Draw the time of one way."""
        return max(0.0, self.rtt + (random.uniform(-self.jitter, self.jitter) if self.jitter else 0.0)) / 2


class Path:
    """One TCP connection's way to a data centre: ordered and delayed both ways, limited downstream.

    A connection costs one round trip before its first packet can be sent, which loopback does not show: the
    first packets are held back until they could have been there. Downstream bytes pass the `shared` link
    (account and data centre; None before login) and the connection's own, in this order and without waiting
    for the whole packet in between.
    """

    __slots__ = ("_delay", "_in", "_open", "_out", "_own", "_random")

    def __init__(self, accepted: float, delay: Delay, rate: float | None, random: Random) -> None:
        self._delay = delay
        self._random = random
        self._open = accepted + delay.one_way(random) + delay.one_way(random)
        self._in = self._out = float("-inf")
        self._own = Link(rate)

    def arrival(self, now: float) -> float:
        """When a packet is there that came off the socket at `now`."""
        self._in = max(self._in, max(now, self._open) + self._delay.one_way(self._random))
        return self._in

    def delivery(self, now: float, size: int, shared: Link | None) -> tuple[float, float]:
        """When a reply of `size` bytes that is ready at `now` has wholly left, and when the client has it."""
        start, left = (now, now) if shared is None else shared.reserve(now, size)
        _, own = self._own.reserve(start, size)
        left = max(left, own)
        self._out = max(self._out, left + self._delay.one_way(self._random))
        return left, self._out
