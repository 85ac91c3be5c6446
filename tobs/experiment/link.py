"""What a run's metrics tell of the link that it ran on: round trips, throughput, buckets and failures.

Every estimate says in words what it rests on. A run tells only of what it met: a limit that it never reached is not
seen, and where figures cannot be told apart the simpler one is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, TypeVar

from tobs.errors import FLOODS
from tobs.telemetry import names
from tobs.telemetry.histogram import Histogram, merge
from tobs.telemetry.probe import CANCELLED, OK, PART

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.telemetry.reading import RunMetrics

T = TypeVar("T")

HISTORY = "messages.getHistory"
BULKY = frozenset({HISTORY, PART, "messages.getDialogs"})
"""Methods whose answers are long, so that their duration is not a round trip alone."""
ENOUGH = 20
"""Samples from which on a spread is believed."""
IN_TURN = 1.3
"""Parts in flight on average up to which they are taken to have been asked for one after the other."""
QUEUED = 1.5
"""How many times its own time a part takes at least where parts queue behind one another."""
UNLIMITED = 60e6
"""Bytes a second above which the processor is what held a part up."""
NOISE = 0.01
"""Seconds that the largest parts must have taken longer than the smallest ones, for a rate to be told from them."""
WINDOW = 2.0
"""Seconds over which throughput is taken at least: metrics are written once a second."""
TENTH, QUARTER = 0.553, 0.55
"""A round trip is the sum of two ways with uniform jitter, together j at most: a tenth of them lies TENTH x j under the
middle and a tenth so far over it; a quarter lies in the lowest QUARTER x j that a few dozen of them reach."""
MOST_JITTER = 0.2
"""Jitter as a share of the shortest round trip, above which the rest is taken to be waiting in line."""
NO_FAULT = frozenset({OK, CANCELLED, "lost"}) | FLOODS
FAULTS = ("_FAIL", "_CALL_ERROR", "_RETRY", "INTERNAL", "TIMEDOUT", "TIMEOUT", "FAILED")
"""How the names of faults of the server itself (500) end."""


@dataclass(frozen=True, slots=True)
class Estimate(Generic[T]):
    """A figure and what it rests on."""

    value: T
    why: str


@dataclass(frozen=True, slots=True)
class Trips:
    """Round trips to one data centre: mean and jitter (uniform, +-) in seconds."""

    mean: float
    jitter: float


@dataclass(frozen=True, slots=True)
class Throttle:
    """Bytes a second of each connection, and of account and data centre; None: no such limit was seen."""

    connection: float | None
    account: float | None


@dataclass(frozen=True, slots=True)
class Refusals:
    """A request bucket: `burst` at once, then `refill` a second; `wait` is the range of X."""

    burst: int
    refill: float
    wait: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Point:
    """Parts (or small answers, 0 bytes) of one data centre and size: `weight` of them took `seconds`."""

    dc: int
    size: float
    seconds: float
    weight: int


def home(run: RunMetrics) -> int:
    """The data centre that served the history; 0 if none did."""
    served = run.by(names.REQUESTS, names.DC, {names.METHOD: HISTORY, names.OUTCOME: OK})
    return int(max(served, key=lambda dc: served[dc])) if served else 0


def centres(run: RunMetrics) -> list[int]:
    """Data centres that answered anything, rising."""
    return sorted(int(dc) for dc in run.by(names.REQUESTS, names.DC, {names.OUTCOME: OK}) if int(dc) > 0)


def trips(run: RunMetrics) -> dict[int, Estimate[Trips]]:
    """Round trips to each data centre."""
    at_home = home(run)
    near = _trips_home(run, at_home)
    strays = near.value.jitter / near.value.mean if near.value.mean else 0.0
    in_turn = _parts_in_flight(run) <= IN_TURN
    _, fitted = _fit(run)
    found = {}
    for dc in centres(run):
        if dc == at_home:
            found[dc] = near
        elif dc in fitted:
            mean = fitted[dc] if in_turn else fitted[dc] / (1 - strays)
            parts = run.histogram(names.PART_DURATION, {names.DC: dc})
            why = f"measured from {parts.count} parts; jitter assumed in proportion to home's"
            found[dc] = Estimate(Trips(mean, mean * strays), why)
    return found


def _trips_home(run: RunMetrics, at_home: int) -> Estimate[Trips]:
    """From small answers, or where these are few from pages, whose longer ones are left out."""
    small = _small(run, at_home)
    pages = run.histogram(names.RPC_DURATION, {names.METHOD: HISTORY, names.DC: at_home, names.OUTCOME: OK})
    of, what = (small, "small answers") if small.count >= ENOUGH else (pages, "pages, their transfer included")
    middle, wide = of.quantile(0.5), (of.quantile(0.9) - of.quantile(0.1)) / 2
    if of is pages:
        wide = middle - of.quantile(0.1)
    jitter = wide / TENTH
    if run.histogram(names.RPC_DURATION).sum > IN_TURN * run.seconds:  # in flight together: most waited for others
        jitter = min((of.quantile(0.25) - of.low) / QUARTER, MOST_JITTER * of.low)
        middle = of.low + jitter
    why = f"measured from {of.count} {what}"
    if small.count and of is pages:
        middle = min(middle, small.quantile(0.5))
        why = f"measured from {small.count} small answers and {why.removeprefix('measured from ')}"
    if of.count < ENOUGH:
        return Estimate(Trips(middle, 0.0), f"{why}; jitter assumed to be none")
    return Estimate(Trips(middle, min(jitter, middle / 2)), why)


def throttle(run: RunMetrics) -> Estimate[Throttle]:
    """Which of the two throttle models fits, and its figure."""
    rate, round_trips = _fit(run)
    parts = run.histogram(names.PART_DURATION)
    if rate is None:
        return Estimate(Throttle(None, None), f"{parts.count} parts show no limit")
    totals = {dc: _throughput(run, dc) for dc in round_trips}
    used = run.by(names.CONNECTIONS, names.DC)
    busiest = max(totals, key=lambda dc: totals[dc])
    connections = max(1, int(used.get(busiest, 1)))
    best = totals[busiest]
    its = run.histogram(names.PART_DURATION, {names.DC: busiest})
    mean_size = run.total(names.PART_IO, {names.DC: busiest}) / max(1, its.count)
    queued = its.mean > QUEUED * (round_trips[busiest] + mean_size / rate)
    seen = f"measured from {parts.count} parts, {best / 1e6:.2f} MB/s over {connections} connections at most"
    if connections == 1:
        return Estimate(Throttle(rate, None), f"{seen}; with one connection the models cannot be told apart")
    if queued and best < 0.75 * rate * connections:
        alone = best > rate * 1.4
        return Estimate(Throttle(rate if alone else None, best), f"{seen}: connections do not add up")
    return Estimate(Throttle(rate, None), f"{seen}: they add up")


def bucket(run: RunMetrics, method: str) -> Estimate[Refusals] | None:
    """The bucket of a method, from when it refused; None if it never did."""
    waits = run.histogram(names.FLOOD_DURATION, {names.METHOD: method})
    served = run.series(names.REQUESTS, {names.METHOD: method, names.OUTCOME: OK})
    refusals = run.series(names.FLOOD_WAITS, {names.METHOD: method})
    if not waits.count or not served:
        return None
    first = next(when for when, count in refusals if count)
    began = next(when for when, count in served if count) - 1.0  # asked within the interval before
    until = max((count for when, count in served if when <= first), default=0.0)
    asked = run.total(names.FLOOD_TIME, {names.METHOD: method})
    free = max(1.0, served[-1][0] - first - asked)
    afterwards = max(0.0, served[-1][1] - until)
    refill = max(0.01, afterwards / (free + waits.count))
    burst = max(1, round(until - refill * max(0.0, first - max(0.0, began))))
    low = max(1, round(waits.low))
    high = max(low, min(round(waits.high), 2 * low))
    why = f"measured from {waits.count} refusals, {afterwards:.0f} answers after the first; it may refill faster"
    return Estimate(Refusals(burst, refill, (low, high)), why)


def share(run: RunMetrics, outcome: str) -> Estimate[float]:
    """Share of attempts that were "lost", or answered with an error of the server's own ("fault")."""
    outcomes = run.by(names.REQUESTS, names.OUTCOME)
    tried = sum(outcomes.values())
    bad = outcomes.get("lost", 0.0) if outcome == "lost" else sum(_faults(outcomes))
    return Estimate(bad / tried if tried else 0.0, f"measured: {bad:.0f} of {tried:.0f} requests")


def _faults(outcomes: dict[str | int, float]) -> Iterator[float]:
    for outcome, count in outcomes.items():
        if outcome not in NO_FAULT and str(outcome).upper().endswith(FAULTS):
            yield count


def _small(run: RunMetrics, dc: int) -> Histogram:
    """Durations of attempts whose answer is short: a round trip each."""

    def short(key: frozenset[tuple[str, str | int | float | bool]]) -> bool:
        its = dict(key)
        if its.get(names.DC) != dc or its.get(names.OUTCOME) in {"lost", CANCELLED}:
            return False
        return its.get(names.OUTCOME) != OK or its.get(names.METHOD) not in BULKY

    return merge(held for key, held in run.histograms.get(names.RPC_DURATION, {}).items() if short(key))


def _fit(run: RunMetrics) -> tuple[float | None, dict[int, float]]:
    """The line seconds = round trip + bytes / rate through all parts: rate, and round trips by data centre.

    Parts asked for in turn fit as they are. Where several were in flight, they waited for one another but for the
    first ones: then the shortest duration of a size is set against the least bytes that it may have had.
    """
    in_turn = _parts_in_flight(run) <= IN_TURN
    points = list(_points(run, in_turn=in_turn))
    middle = {}
    across = along = 0.0
    for dc in {point.dc for point in points}:
        own = [point for point in points if point.dc == dc]
        weight = sum(point.weight for point in own)
        size = sum(point.size * point.weight for point in own) / weight
        seconds = sum(point.seconds * point.weight for point in own) / weight
        middle[dc] = (size, seconds)
        across += sum(point.weight * (point.size - size) * (point.seconds - seconds) for point in own)
        along += sum(point.weight * (point.size - size) ** 2 for point in own)
    slope = max(0.0, across / along) if along else 0.0
    sizes = [point.size for point in points]
    if slope <= 1 / UNLIMITED or slope * (max(sizes) - min(sizes)) < NOISE:
        return None, {dc: seconds for dc, (_, seconds) in middle.items()}
    if in_turn:
        return 1 / slope, {dc: max(0.0, seconds - slope * size) for dc, (size, seconds) in middle.items()}
    shortest: dict[int, float] = {}
    for point in points:  # where the sizes of a class differ, the shortest may have been longer than is taken here
        trip = max(0.0, point.seconds - slope * point.size)
        shortest[point.dc] = min(trip, shortest.get(point.dc, trip))
    return 1 / slope, shortest


def _points(run: RunMetrics, *, in_turn: bool) -> Iterator[_Point]:
    at_home = home(run)
    small = _small(run, at_home)
    if small.count:
        yield _Point(at_home, 0.0, small.mean if in_turn else small.low, small.count)
    for dc in centres(run):
        for size, total in run.by(names.PART_IO, names.SIZE, {names.DC: dc}).items():
            parts = run.histogram(names.PART_DURATION, {names.DC: dc, names.SIZE: size})
            if not parts.count:
                continue
            if in_turn:
                yield _Point(dc, total / parts.count, parts.mean, parts.count)
            else:
                yield _Point(dc, float(size), parts.low, parts.count)


def _parts_in_flight(run: RunMetrics) -> float:
    """On average, while any came."""
    came = run.series(names.IO, {names.METHOD: PART})
    growing = [later - earlier for (earlier, had), (later, has) in pairwise(came) if has > had]
    busy = sum(growing) + (came[0][0] if came and came[0][1] else 0.0)
    return run.histogram(names.PART_DURATION).sum / busy if busy else 0.0


def _throughput(run: RunMetrics, dc: int) -> float:
    """The most bytes a second of files from a data centre, over `WINDOW` or as long as there were any."""
    came = [(0.0, 0.0), *run.series(names.IO, {names.METHOD: PART, names.DC: dc})]
    best = 0.0
    for number, (began, had) in enumerate(came):
        later = next(((when, has) for when, has in came[number + 1 :] if when >= began + WINDOW), None)
        if later is not None:
            best = max(best, (later[1] - had) / (later[0] - began))
    return best or (came[-1][1] / came[-1][0] if came[-1][0] else 0.0)
