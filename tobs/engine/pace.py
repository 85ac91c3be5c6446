"""PACE: the one owner of every flood wait, and of the rate that avoids the next one.

A method is free until the server refuses it for the first time. It is then taken for a token bucket: it holds so many
requests when full and is refilled at some rate. The first refusal tells little of that rate, so after the wait requests
start slowly and their rate doubles every few seconds; the second refusal tells it almost exactly, since what was
served between the two is the bucket's refill. A run that ends in between leaves what it sent, and the next one goes on
from the slowest refill that would have served all that. Once the refill is found the rate stays just below: a slow
increase while the server is content, a multiplicative decrease at each further refusal (AIMD). All of it, and a wait
that is not over, is kept in the account's state, so that the next run starts knowing it. A method has a bucket for each
`Call.scope`.

FLOOD_PREMIUM_WAIT is waited out and teaches nothing: it comes after so many bytes, however slowly they were asked for.
"""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tobs.errors import RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.ports import Call, Invoke, Probe, State

MARGIN = 0.05
"""Seconds waited beyond what the server asked, for the clock and the way there."""
WAITS, REFILLED = 2.0, 30.0
"""An unknown bucket is taken to fill up in so many of the waits that its server asks for, and in at most so many
seconds: what the first rate rests on. The wait is all that a server tells of a bucket's time."""
FIRST = 0.5
"""Requests a second that the first rate is not below, lest a single refusal stall a method."""
PATIENCE, DOUBLED = 1.0, 10.0
"""While the refill is sought, the rate doubles in so many of the server's waits, and in at most so many seconds, of
sending: short waits cost less than slow requests."""
RESUMED = 3
"""Bucketfuls of requests in which it doubles from what an earlier run has proven: a flood costs more than patience."""
RISEN = 6 * 3600.0
"""Seconds of sending in which a found rate would grow by its own size: 3 % in ten minutes."""
SHARE = 0.97
"""How much of the refill that was found is used: it is found to some 3 %, and less costs every request what more costs
one flood in a thousand."""
ROOM = 0.8
"""How much of the burst that was found is used."""
CUT = 0.7
"""The least that a further refusal leaves of rate and burst."""
SLOWEST = 0.001
"""Requests a second that no rate goes below."""
PREMIUM = "FLOOD_PREMIUM_WAIT"
"""The wait that is no bucket's: https://core.telegram.org/api/errors."""
LONGEST = 24 * 3600.0
"""Seconds of a kept wait that are believed."""


class Held(Exception):  # noqa: N818 - no error: it never leaves PACE
    """A request got its lease when its method was refused meanwhile: it goes back and waits."""


@dataclass(slots=True)
class _Method:
    """What is known of one method's bucket.

    `rate` is requests a second, infinite until a first refusal; `tokens` of at most `burst` were left at `filled`.
    `opening` holds what led to the first refusal, until the refill is found: the requests sent up to the refused one,
    all that were sent until that was known, the seconds, and the wait; `resumed` says that an earlier run began to
    look. `sent` are the times at which requests left since the last refusal (the latest of them), and `began` is when
    the last wait ended for the server: what left then came there so many seconds after the one that it refused. `trip`
    is the shortest time in which an answer came.
    """

    rate: float = math.inf
    burst: float = 1.0
    tokens: float = 0.0
    filled: float = 0.0
    blocked: float = -math.inf
    opening: tuple[int, int, float, float] | None = None
    resumed: bool = False
    trip: float = math.inf
    began: float = 0.0
    sent: deque[float] = field(default_factory=lambda: deque(maxlen=1024))
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pace:
    """Keeps requests off the wire while a method must wait, and spaces them below the learned rate.

    `clock` and `sleep` time the waits; `wall` is the clock that what is kept is dated by.
    """

    def __init__(
        self,
        state: State,
        probes: Sequence[Probe] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._probes = probes
        self._clock = clock
        self._sleep = sleep
        self._wall = wall
        self._methods: dict[str, _Method] = {}

    def layer(self, inner: Invoke) -> Invoke:
        """The PACE layer around one request."""

        async def invoke(call: Call) -> Any:
            method = self._method(_name(call))
            while True:
                waited = await self._turn(method)
                try:
                    answer = await inner(call)
                except Held:
                    continue
                except RpcError as error:
                    if not error.is_flood:
                        raise
                    self._refused(call, method, error)
                else:
                    method.trip = min(method.trip, self._clock() - call.left)
                    if waited and call.left >= method.blocked:
                        _rise(method)
                    return answer

        return invoke

    def gate(self, inner: Invoke) -> Invoke:
        """PACE's second half, inside LEASE: who waited for a lease while the method was refused gives it back.

        Here a request's time is taken: what waited for a lease left later than it was let go.
        """

        async def invoke(call: Call) -> Any:
            method, now = self._method(_name(call)), self._clock()
            if now < method.blocked:
                raise Held
            call.left = max(now, math.nextafter(method.sent[-1], math.inf)) if method.sent else now
            method.sent.append(call.left)
            return await inner(call)

        return invoke

    def rate(self, name: str) -> float:
        """Requests a second that `name` (a method or `scope:method`) is held to; infinite while never refused."""
        return self._method(name).rate

    def held(self) -> list[tuple[str, float, float]]:
        """What every method (or `scope:method`) that was ever asked is held to: its name, rate and seconds to wait.

        The rate is that of `rate`; the seconds are those of a flood wait, 0 if there is none.
        """
        now = self._clock()
        return [(name, method.rate, max(0.0, method.blocked - now)) for name, method in self._methods.items()]

    def save(self) -> None:
        """Keep what is known for the next run."""
        now, wall = self._clock(), self._wall()
        kept = dict(self._state.get("pace"))
        for name, method in self._methods.items():
            if math.isinf(method.rate):
                if method.blocked > now:
                    kept[name] = {"until": wall + method.blocked - now}
                else:
                    kept.pop(name, None)
            else:
                _fill(method, now)
                kept[name] = {
                    "rate": method.rate,
                    "burst": method.burst,
                    "tokens": method.tokens,
                    "opening": method.opening,
                    "at": wall,
                    "until": wall + max(0.0, method.blocked - now),
                }
                if method.opening:
                    kept[name]["began"] = round(now - method.began, 3)
                    kept[name]["sent"] = [round(now - when, 3) for when in method.sent]
        if kept:
            self._state.put("pace", kept)

    def _method(self, name: str) -> _Method:
        method = self._methods.get(name)
        if method is None:
            try:
                method = self._kept(self._state.get("pace")[name])
            except (LookupError, TypeError, ValueError, OverflowError):  # nothing kept, or nothing that makes sense
                method = _Method()
            plain = name.rpartition(":")[2]  # a wait that is not over holds in every scope: nobody knows whose it is
            same = [other.blocked for key, other in self._methods.items() if key.rpartition(":")[2] == plain]
            method.blocked = max([method.blocked, *same])
            self._methods[name] = method
            if name != plain:
                method.blocked = max(method.blocked, self._method(plain).blocked)
        return method

    def _kept(self, kept: dict[str, Any]) -> _Method:
        """A method as an earlier run left it, refilled by the time since then."""
        now, wall, until = self._clock(), self._wall(), float(kept["until"])
        if not math.isfinite(until):
            raise ValueError(kept)
        left = min(max(0.0, until - wall), LONGEST)
        if "rate" not in kept:
            return _Method(blocked=now + left)
        rate, burst, tokens, at = (float(kept[key]) for key in ("rate", "burst", "tokens", "at"))
        opening = kept["opening"]
        if opening is not None:
            least, most, took, wait = opening
            opening = (int(least), int(most), float(took), float(wait))
        if not all(map(math.isfinite, (burst, tokens, at))) or not SLOWEST <= rate < math.inf or burst < 1:
            raise ValueError(kept)
        tokens = min(burst, max(0.0, tokens) + max(0.0, wall - max(at, until)) * rate)
        method = _Method(rate, burst, tokens, now + left, now + left, opening, began=now + left)
        if opening is not None and kept.get("sent"):
            ages = [float(age) for age in (kept["began"], *kept["sent"])]
            if not all(map(math.isfinite, ages)):
                raise ValueError(kept)
            method.began, *sent = (now - max(0.0, wall - at) - age for age in ages)
            method.sent.extend(sent)
            _resume(method)
        return method

    async def _turn(self, method: _Method) -> bool:
        """Wait, first come first served, until one more request may go; True if it waited for the rate's sake."""
        waited = False
        async with method.turn:
            while True:
                now = self._clock()
                if now < method.blocked:
                    await self._sleep(method.blocked - now)
                    continue
                if math.isinf(method.rate):
                    break
                _fill(method, now)
                if method.tokens >= 1:
                    method.tokens -= 1
                    break
                waited = True
                await self._sleep((1 - method.tokens) / method.rate + 1e-6)
        return waited

    def _refused(self, call: Call, method: _Method, error: RpcError) -> None:
        """Set the wait. Requests that left before it was known are one group: only its first teaches."""
        now, seconds = self._clock(), float(error.value or 1)
        method.trip = min(method.trip, now - call.left)
        taught = call.left >= method.blocked
        if taught:
            for probe in self._probes:
                probe.flood(call.method, seconds)
        if taught and error.name != PREMIUM:
            _learn(method, max(call.left, now - method.trip), seconds)
            method.sent.clear()
            method.began = max(call.left, now - method.trip) + seconds
        method.blocked = max(method.blocked, now + seconds + MARGIN)
        if error.name != PREMIUM:
            # The server's bucket holds little after a wait: the first request goes one interval later.
            method.filled = method.blocked
            method.tokens = 0.0
        if taught:
            self.save()


def _name(call: Call) -> str:
    """What a request's bucket is kept under: its method, and its scope where it has one."""
    return f"{call.scope}:{call.method}" if call.scope else call.method


def _resume(method: _Method) -> None:
    """Go on from what an earlier run has proven of the refill, if it sent more than a bucket may hold."""
    if method.opening and len(method.sent) > method.opening[1]:
        _, most, took, _ = method.opening
        method.rate = refill(method.sent, method.began, method.rate, most, took, refused=False)
        method.resumed = True


def _fill(method: _Method, now: float) -> None:
    if now > method.filled:
        method.tokens = min(method.burst, method.tokens + (now - method.filled) * method.rate)
        method.filled = now


def _rise(method: _Method) -> None:
    """Increase the rate for one request that was content, by the time its turn took."""
    if method.opening and method.resumed:
        method.rate *= 2 ** (1 / (RESUMED * method.opening[1]))
    elif method.opening:
        doubled = min(DOUBLED, PATIENCE * method.opening[3])
        method.rate *= 2 ** min(1.0, 1 / (method.rate * doubled))
    else:
        method.rate += min(method.rate, 1.0) / RISEN


def _learn(method: _Method, left: float, wait: float) -> None:
    """Draw the rate and the burst from the refusal of the request that left then.

    Whose refusal comes first need not be the one too many: answers that were on their way are taken back with it. It
    left no earlier than one shortest trip before that.
    """
    times = list(method.sent)
    sent = times[: max(1, bisect_right(times, left))]
    if math.isinf(method.rate):
        took = sent[-1] - sent[0]
        method.opening = (len(sent), len(times), took, wait)
        method.rate = max(FIRST, len(times) / (took + min(REFILLED, WAITS * wait)))
        method.burst = max(1.0, ROOM * (len(sent) - method.rate * took))
        return
    least, most, took, _ = method.opening or (method.burst / ROOM, method.burst / ROOM, 0.0, wait)
    found = refill(sent, method.began, method.rate, most, took)
    if method.opening:
        method.opening = None
        method.rate = max(SLOWEST, SHARE * found)
        method.burst = max(1.0, ROOM * max(least - found * took, drained(sent[:-1], found)))
    else:
        method.rate = max(SLOWEST, CUT * method.rate, SHARE * found)
        method.burst = max(1.0, CUT * method.burst)


def refill(
    sent: Sequence[float], began: float, most: float, held: float, took: float, *, refused: bool = True
) -> float:
    """Requests a second, up to `most`, of the slowest bucket that would have served all of `sent` but a `refused` last.

    At `began`, when a wait ended, it held one second's refill. Full, it holds what is left of `held` requests when
    those that were refilled in the `took` seconds of their sending are taken off.
    """
    for step in range(200, 0, -1):
        rate = most * 0.97**step
        full = max(1.0, rate, held - rate * took)
        level, at = max(1.0, rate), began
        for left, when in zip(range(len(sent) - 1, -1, -1), sent, strict=True):
            level = min(full, level + max(0.0, when - at) * rate)
            at = when
            # Halfway between the slowest that serves the last and the slowest that serves the one before it.
            if level < (1.0 if left or not refused else 0.5):
                break
            level -= 1
        else:
            return rate
    return most


def drained(sent: Sequence[float], rate: float) -> float:
    """Requests that a bucket with this refill must have held, full, to serve all of `sent`."""
    most = lacking = at = 0.0
    for when in sent:
        lacking = max(0.0, lacking - (when - at) * rate) + 1
        most, at = max(most, lacking), when
    return most
