"""The network between a client and the lab: round trips and bandwidth, in virtual time.

Nothing here waits. A `Path` says when a packet that came in at some moment is there, and when a reply of so
many bytes has left and arrived; whoever asks schedules it. All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

Steps = tuple[tuple[float, float], ...]
"""Seconds after the run began, rising, and the rate in bytes/s from then on."""


@dataclass(slots=True)
class Run:
    """The run that is served: `began` with its first accepted connection, None before.

    What the scenario times (changes of capacity, outages) counts from there; `Lab.reset` makes the next connection
    the first one again, and until then what held at the start holds.
    """

    began: float | None = None


class Link:
    """A pipe of `rate` bytes/s (None: unlimited) that serves packets in the order they were given.

    `steps` change the rate in the course of `run`: a packet that is under way then goes on at the new one.
    """

    __slots__ = ("_rate", "_run", "_steps", "free")

    def __init__(self, rate: float | None, steps: Steps = (), run: Run | None = None) -> None:
        self._rate = rate
        self._steps = steps
        self._run = run
        self.free = float("-inf")

    def reserve(self, now: float, size: int) -> tuple[float, float]:
        """Reserve the pipe for `size` bytes that are there at `now`: when the first and the last leave."""
        start = max(now, self.free)
        if self._steps and self._run is not None and self._run.began is not None:
            self.free = _finish(start, size, self._rate, [(self._run.began + at, rate) for at, rate in self._steps])
        else:
            self.free = start if self._rate is None else start + size / self._rate
        return start, self.free


def _finish(at: float, size: float, rate: float | None, steps: Sequence[tuple[float, float]]) -> float:
    """When `size` bytes that begin at `at` have passed, where the rate is that of the last step behind us."""
    for when, then in steps:
        if when > at:
            if rate is None or (when - at) * rate >= size:
                break
            size -= (when - at) * rate
            at = when
        rate = then
    return at if rate is None else at + size / rate


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
    (account and data centre; None before login), the connection's own, and the client's `line`, which all its
    connections share, in this order and without waiting for the whole packet in between. Upstream packets pass
    the client's line `up`.
    """

    __slots__ = ("_delay", "_in", "_open", "_out", "_own", "_random", "line", "up")

    def __init__(
        self,
        accepted: float,
        delay: Delay,
        own: Link,
        random: Random,
        *,
        line: Link | None = None,
        up: Link | None = None,
    ) -> None:
        self._delay = delay
        self._random = random
        self._open = accepted + delay.one_way(random) + delay.one_way(random)
        self._in = self._out = float("-inf")
        self._own = own
        self.line = line
        self.up = up

    def arrival(self, now: float, size: int) -> float:
        """When a packet of `size` bytes is there that came off the socket at `now`."""
        sent = now if self.up is None else self.up.reserve(now, size)[1]
        self._in = max(self._in, max(sent, self._open) + self._delay.one_way(self._random))
        return self._in

    def departure(self, now: float, size: int, shared: Link | None) -> tuple[float, float]:
        """When a reply of `size` bytes that is ready at `now` begins to leave, and when it has wholly left."""
        start, left = (now, now) if shared is None else shared.reserve(now, size)
        start, own = self._own.reserve(start, size)
        return start, max(left, own)

    def delivery(self, start: float, left: float, size: int) -> float:
        """When the client has a reply that leaves from `start` to `left`.

        The line serves whoever comes first: where there is one, this is asked at `start` and not before, or a packet
        that waits for its own connection would hold up those of all others.
        """
        if self.line is not None:
            left = max(left, self.line.reserve(start, size)[1])
        self._out = max(self._out, left + self._delay.one_way(self._random))
        return self._out
