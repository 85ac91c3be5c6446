"""What answers FLOOD_WAIT_X and FLOOD_PREMIUM_WAIT_X, built so that hammering through a wait never pays.

A bucket belongs to (account, method); a request inside a takeout draws less of it. One request too many refuses it and
everything of that method that is still on its way out, all with the same X; until X has passed everything is refused,
and then the bucket holds one second's refill. An overflow within ten minutes of the last doubles X.
FLOOD_PREMIUM_WAIT_X is no bucket: it comes after so many bytes of files, whoever paces or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

AGAIN_WITHIN = 600.0
"""Seconds within which another overflow counts as stubborn."""

DOUBLINGS = 4
"""How often X is doubled at most."""

REACTION = 0.05
"""Seconds a client has to read a delivered refusal, before what it sends counts as sent during the wait: on
loopback a busy client has replies in its socket that it has not seen yet."""


class Limited(Protocol):
    """The settings of a bucket: requests at once, requests/s, and the range of X in whole seconds."""

    @property
    def burst(self) -> int: ...
    @property
    def refill(self) -> float: ...
    @property
    def wait(self) -> tuple[int, int]: ...


@dataclass(slots=True)
class Pending:
    """A granted reply that has not left yet: until `leaves` an overflow may still refuse it."""

    leaves: float
    refuse: Callable[[int], None]


@dataclass(slots=True, kw_only=True)
class Wait:
    """A wait that refuses everything until it is over, and what was counted of such waits.

    Times are seconds of one clock, given by the caller. `floods` are the waits, `during` the requests that a client
    sent although it had been told to wait.
    """

    floods: int = 0
    during: int = 0
    _until: float = float("-inf")
    _delivered: float | None = None

    def delivered(self, now: float) -> None:
        """Tell of a refusal that a client has got."""
        if self._delivered is None:
            self._delivered = now

    def _begin(self, now: float, seconds: int) -> None:
        self.floods += 1
        self._until, self._delivered = now + seconds, None

    def _left(self, now: float, sent: float) -> int:
        """Whole seconds still to wait for a request that arrives at `now` and was sent at `sent`."""
        if now >= self._until:
            return 0
        if self._delivered is not None and sent > self._delivered + REACTION:
            self.during += 1
        return max(1, ceil(self._until - now - 1e-6))


@dataclass(slots=True)
class PremiumWait(Wait):
    """FLOOD_PREMIUM_WAIT_X of one account: each time `after` bytes were granted, the next request begins a wait.

    X is drawn in `wait`, whole seconds.
    """

    after: int
    wait: tuple[int, int]
    random: Random
    _granted: int = 0

    def take(self, now: float, sent: float) -> int:
        """One request arrives at `now` that its client sent at `sent`: 0 when it may be served, else X."""
        if left := self._left(now, sent):
            return left
        if self._granted < self.after:
            return 0
        self._granted -= self.after
        wait = self.random.randint(*self.wait)
        self._begin(now, wait)
        return wait

    def grant(self, size: int) -> None:
        """Tell of so many bytes that were granted."""
        self._granted += size


@dataclass(slots=True)
class FloodBucket(Wait):
    """The state of one bucket."""

    limits: Limited
    random: Random
    _tokens: float = 0.0
    _at: float | None = None
    _last: float = float("-inf")
    _doubled: int = 0
    _pending: list[tuple[float, int, Pending]] = field(default_factory=list)
    _granted: int = 0

    def take(self, now: float, sent: float, factor: float = 1.0) -> int:
        """One request arrives at `now` that its client sent at `sent`: 0 when it may be served, else X.

        The bucket is as if burst and refill were `factor` times as large for this request: that is what it draws.
        """
        draws = min(1 / factor, self.limits.burst)
        if left := self._left(now, sent):
            return left
        if self._at is None:
            self._tokens, self._at = float(self.limits.burst), now
        self._tokens = min(self.limits.burst, self._tokens + (now - self._at) * self.limits.refill)
        self._at = now
        if self._tokens >= draws * (1 - 1e-9):
            self._tokens -= draws
            return 0
        return self._overflow(now, draws)

    def _overflow(self, now: float, draws: float) -> int:
        self._doubled = min(self._doubled + 1, DOUBLINGS) if now - self._last <= AGAIN_WITHIN else 0
        wait = self.random.randint(*self.limits.wait) << self._doubled
        self._begin(now, wait)
        self._last = now
        self._tokens, self._at = max(draws, self.limits.refill), self._until
        pending, self._pending = self._pending, []
        for leaves, _, reply in sorted(pending, key=lambda one: one[1]):
            if leaves > now:
                reply.refuse(wait)
        return wait

    def grant(self, now: float, pending: Pending) -> None:
        """Tell the bucket of a reply to a granted request that leaves later than `now`.

        Replies that have left are let go of: each may hold a part of a file.
        """
        while self._pending and self._pending[0][0] <= now:
            heappop(self._pending)
        self._granted += 1
        heappush(self._pending, (pending.leaves, self._granted, pending))
