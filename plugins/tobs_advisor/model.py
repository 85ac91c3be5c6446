"""A run as a small model: what its steps take one after another or at once, and what that makes of another way.

Each stage has an amount of work and a rate; stages that overlap cost the time of the slowest, those in turn the sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from tobs_advisor.figures import HANDSHAKE

if TYPE_CHECKING:
    from tobs.api import RunRecord
    from tobs_advisor.figures import Centre, Figures

THREADS = 6
"""Files that core syncs at once: threads of the default executor on two processors."""
PAGE_WORK = 0.002
"""Seconds of work a page, by which async_pipeline chooses its requests in flight."""
SLOW_SYNC = 0.1
"""Seconds of a sync from which on disk_io syncs each file for itself, two groups at once."""
HELD = 0.6
"""Share of a step's time from which on it is the processor's and not the disk's."""
HELD_UP = 0.3
"""Share of the run in which something waited for the budget, from which on it is what bounds the parts in flight."""
SHARED = 0.42
"""Share of what the open connections could bring, each at its best, below which something else holds them."""
CROWDED = 2.2
"""Times as long as a connection by itself takes, from which on an answer must have waited for others' bytes."""
KILOBYTE = 1024


@dataclass(frozen=True, slots=True)
class Way:
    """How a run goes about it: which stages overlap, and how much may be in flight.

    `connections` and `in_flight` (media requests on one connection) are those of one data centre, `depth` history
    requests, `parts` media requests that other knobs and the budget allow in all. `part` is bytes. `wider` is how much
    wider the server's buckets are, `faster` how much faster a stage is than it was, by component.
    """

    pipelined: bool
    parallel: bool
    deferred: bool
    depth: int
    connections: int
    in_flight: int
    parts: float
    part: int
    routed: bool
    disk_io: bool
    transforms: int
    wider: float = 1.0
    line: float = inf
    faster: tuple[tuple[str, float], ...] = ()

    def speed(self, component: str) -> float:
        """How much faster a component is than it was; infinite if it takes no time any more."""
        return dict(self.faster).get(component, 1.0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds of a run, and what each component puts on its critical path."""

    seconds: float
    path: dict[str, float]


def way_of(run: RunRecord, figures: Figures) -> Way:
    """How the run went about it, by its plan and its limits."""
    knobs, on = figures.knobs, run.plugins
    part = knobs.get("core.part_kb", 512) * KILOBYTE
    parallel = "parallel_media" in on
    files, parts = knobs.get("parallel_media.files", 0), knobs.get("parallel_media.parts", 0)
    budget = knobs.get("core.media_budget_mb", 256) * 1_000_000 / part
    if parallel and figures.steps.get("budget", 0.0) > HELD_UP * figures.wall:  # parts of other sizes fit otherwise
        budget = sum(centre.flying for centre in figures.centres)
    each = sum(centre.requests for centre in figures.centres) / max(1, figures.files)  # parts that a file has
    most = min(files * max(1.0, min(parts or inf, each)) if files else inf, max(1.0, budget))
    adaptive = "adaptive_connections" in on
    connections = knobs.get("core.connections", 4)
    in_flight = knobs.get("core.in_flight", 2)
    if adaptive:
        connections = max([connections, *(centre.connections for centre in figures.centres)])
        in_flight = max([in_flight, *(-(-centre.peak // max(1, centre.connections)) for centre in figures.centres)])
    saturated = [centre for centre in figures.centres if parallel and shared(centre)]
    return Way(
        pipelined="async_pipeline" in on,
        parallel=parallel,
        deferred="deferred_media" in on,
        depth=depth_of(figures, knobs.get("async_pipeline.depth", 0), knobs.get("core.history_in_flight", 16)),
        connections=connections,
        in_flight=in_flight,
        parts=most,
        part=part,
        routed="dc_routing" in on,
        disk_io="disk_io" in on,
        transforms=figures.peaks.get("transform", 0),
        line=sum(centre.throughput for centre in saturated) or inf,
    )


def depth_of(figures: Figures, fixed: int, most: int) -> int:
    """History requests in flight, with this knob (0: as many as hide the round trip) and this limit."""
    enough = max(2, -(-int(figures.page_seconds * 1e6) // int(PAGE_WORK * 1e6)))
    return max(1, min(fixed or enough, most, max(1, figures.pages)))


def shared(centre: Centre) -> bool:
    """Whether connections bring less together than each could alone, and answers take longer than theirs would."""
    could = centre.rate * centre.connections
    alone = centre.round_trip + centre.transfer * max(1.0, centre.flying / max(1, centre.connections))
    full = centre.seconds > CROWDED * alone and centre.throughput < SHARED * could < inf
    return centre.connections > 1 and centre.flying > 1 and full


def forecast(figures: Figures, way: Way, base: Way) -> Forecast:
    """Seconds of the run if it went this `way`; `base` is the way that it went."""
    was, would = _times(figures, base, base), _times(figures, way, base)
    unexplained = figures.wall - was.seconds
    if unexplained >= 0:  # what no stage accounts for stays
        return Forecast(would.seconds + unexplained, would.path)
    return Forecast(would.seconds * figures.wall / was.seconds, would.path)


def _times(figures: Figures, way: Way, base: Way) -> Forecast:
    start = figures.other_seconds + _home_dial(figures)
    history = _history(figures, way)
    media = _media(figures, way, base)
    path: dict[str, float] = {"dial": start}
    history_seconds = max(history.values(), default=0.0) if way.pipelined else sum(history.values())
    media_seconds = sum(media.values())
    if media_seconds and (way.pipelined or way.parallel or way.deferred):
        first = figures.page_seconds
        seconds = start + max(history_seconds, first + media_seconds)
        path |= history if history_seconds > first + media_seconds else media
    else:
        seconds = start + history_seconds + media_seconds
        path |= {**history, **{name: history.get(name, 0.0) + value for name, value in media.items()}}
    derived = figures.steps.get("transform", 0.0) / way.speed("transform")
    if derived and way.transforms:
        derived *= base.transforms / way.transforms
        if start + derived > seconds:
            seconds, path = start + derived, {"dial": start, "transform": derived}
    # What the loop works, and waits for a processor, goes with its requests and not with how many are in flight.
    busy = (figures.loop - _spared(figures, way)) * _fewer(figures, way, base)
    least = start + busy / way.speed("loop")
    if seconds < least:
        seconds, path = least, {"loop": least}
    return Forecast(seconds, path)


def _fewer(figures: Figures, way: Way, base: Way) -> float:
    """Requests there would be, as a share of those there were."""
    asked = figures.pages + sum(centre.requests for centre in figures.centres)
    would = figures.pages + sum(_requests(figures, centre, way, base) for centre in figures.centres)
    return would / asked if asked else 1.0


def _spared(figures: Figures, way: Way) -> float:
    """Seconds of the loop that steps which are faster now no longer take, if they were the processor's."""
    held = [
        figures.steps.get(kind, 0.0) * (1 - 1 / way.speed(kind)) for kind in ("commit", "normalise", "hash", "settle")
    ]
    return min(sum(held), figures.loop) if figures.loop >= HELD * sum(held) else 0.0


def _home_dial(figures: Figures) -> float:
    away = sum(centre.opening for centre in figures.centres)
    return max(0.0, figures.alone.get("dial", 0.0) - away)


def _history(figures: Figures, way: Way) -> dict[str, float]:
    reply, pages = figures.page_seconds, figures.pages
    asked = pages * reply
    if way.pipelined and pages > 1:
        asked = reply * (2 + (pages - 1) / way.depth)
    asked /= way.speed("history")
    own = {kind: figures.steps.get(kind, 0.0) / way.speed(kind) for kind in ("normalise", "commit")}
    paced = 0.0
    if figures.paced_traffic == "history" and figures.paced:
        # The bucket's time holds the requests' own: what remains is waited.
        paced = max(0.0, (figures.paced + pages * reply) / way.wider - pages * reply)
    return {"history": asked, "pace": paced, **own} if not way.pipelined else {"history": asked + paced, **own}


def _media(figures: Figures, way: Way, base: Way) -> dict[str, float]:
    """Seconds by component: in turn their sum is the media's time, at once only the slowest counts."""
    if not figures.centres:
        return {}
    requests = {centre.dc: _requests(figures, centre, way, base) for centre in figures.centres}
    moved = 0.0 if way.routed else figures.migrations / (way.connections * way.in_flight if way.parallel else 1)
    synced = figures.steps.get("sync", 0.0)
    loop = sum(figures.steps.get(kind, 0.0) / way.speed(kind) for kind in ("settle", "hash", "write"))
    paced = 0.0
    if figures.paced_traffic == "media" and figures.paced:
        ratio = sum(requests.values()) / max(1, sum(centre.requests for centre in figures.centres))
        flown = sum(centre.requests * centre.seconds for centre in figures.centres)
        flown = 0.0 if base.parallel else flown
        paced = max(0.0, (figures.paced + flown) * ratio / way.wider - flown * ratio)
    if not way.parallel:
        asked = sum(requests[c.dc] * _each(c, requests[c.dc], base) for c in figures.centres)
        opened = sum(centre.opening for centre in figures.centres)
        media = {"media": (asked + moved) / way.speed("media"), "sync": synced / way.speed("sync"), "write": loop}
        return {**media, "dial": opened, "pace": paced}
    flights = [_flown(centre, requests[centre.dc], way, base) for centre in figures.centres]
    line = sum(centre.size for centre in figures.centres) / way.line
    slowest = max([*flights, line]) / way.speed("media") + moved
    syncs = _synced(figures, way, base) / way.speed("sync")
    if syncs > slowest + paced:
        return {"sync": syncs}
    return {"media": slowest, "pace": paced} if slowest + paced > loop else {"write": loop}


def _each(centre: Centre, requests: float, base: Way) -> float:
    """Seconds of one request that nothing else is in the way of, if there are so many for the same bytes.

    In turn nothing was; where requests overlapped it is what a connection takes at its best.
    """
    alone = centre.round_trip + centre.transfer if base.parallel else centre.seconds
    return max(alone - centre.transfer, centre.round_trip) + centre.transfer * centre.requests / requests


def _flown(centre: Centre, requests: float, way: Way, base: Way) -> float:
    """Seconds of a data centre's media at once; where they were, the model is scaled to what was measured."""
    seconds = flight(centre, requests, way, base)
    if not base.parallel:
        return seconds
    return (centre.opening + centre.active) * seconds / flight(centre, centre.requests, base, base)


def _requests(figures: Figures, centre: Centre, way: Way, base: Way) -> float:
    """Requests for the parts of this data centre's files: as many as there were, unless parts have another size."""
    if way.part == base.part or not centre.size:
        return centre.requests
    all_size = sum(other.size for other in figures.centres)
    files = figures.files * centre.size / all_size
    if centre.size <= files * way.part:
        return max(1.0, files)
    return max(1.0, centre.size / way.part + files / 2)


def _synced(figures: Figures, way: Way, base: Way) -> float:
    """Seconds of syncs where files move at once."""
    count = figures.counts.get("sync", 0)
    if not count:
        return 0.0
    if way.disk_io == base.disk_io and base.parallel:
        return figures.steps.get("sync", 0.0)
    each = figures.steps.get("sync", 0.0) / count * (min(THREADS, figures.peaks.get("sync", 1)) if base.parallel else 1)
    if not way.disk_io:
        return each * count / min(THREADS, count)
    return each * (count / 2 if each > SLOW_SYNC else min(count, 2 + count / 20))


def flight(centre: Centre, requests: float, way: Way, base: Way) -> float:
    """Seconds for so many requests to a data centre whose connections are opened one after another."""
    each, transfer = _each(centre, requests, base), centre.transfer * centre.requests / requests
    most = min(way.parts, requests)
    pause = max(HANDSHAKE * centre.round_trip, 1e-3)
    left, spent = requests, 0.0
    for connections in range(1, way.connections + 1):
        rate = min(min(way.in_flight * connections, most) / each, connections / transfer if transfer else inf)
        whole = connections == way.connections
        took = left / rate if whole else min(pause, left / rate)
        left, spent = left - took * rate, spent + took
        if left <= 0 or whole:
            break
    return centre.opening + spent + each / 2


def faster(way: Way, component: str, by: float = inf) -> Way:
    """The same way where a component is so many times faster."""
    return replace(way, faster=(*way.faster, (component, by)))
