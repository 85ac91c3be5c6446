"""What the model of a run needs, drawn from its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tobs.api import RunRecord

PAGE, FILE = "messages.getHistory", "upload.getFile"
PAGES = frozenset({PAGE, "messages.search", "messages.getReplies"})
WAITS = frozenset({"pace", "lease", "budget"})
"""Steps that only wait for others."""
LOOP = frozenset({"normalise", "commit", "settle", "write", "hash"})
"""Steps that hold the event loop while they last, but where a plugin has given them to threads."""
CALL = 0.002
"""Seconds beyond a round trip that any answer may take without its bytes being the reason."""
OTHERS = 2
"""Requests that are no files' with which a connection away from home begins, at most."""
HANDSHAKE = 2.2
"""Round trips that a further connection to a data centre takes (measured with the lab)."""


@dataclass(frozen=True, slots=True)
class Centre:
    """The media of one data centre: requests that brought a part, their mean seconds, their bytes.

    `round_trip` is the time of an answer without its bytes, `rate` what one connection brought at its best (bytes/s,
    infinite where bytes took no time that could be seen). `active` is the seconds with a request under way, `flying`
    how many there were on average then, `peak` at most. `opening` is the seconds of the first connection, where it was
    not home's, `connections` how many carried requests.
    """

    dc: int
    requests: int
    seconds: float
    size: float
    round_trip: float
    rate: float
    active: float
    flying: float
    peak: int
    opening: float
    connections: int

    @property
    def throughput(self) -> float:
        """Bytes a second while requests were under way."""
        return self.size / self.active if self.active else 0.0

    @property
    def transfer(self) -> float:
        """Seconds that the bytes of a mean request take on a connection that has nothing else to do."""
        return self.size / self.requests / self.rate


@dataclass(frozen=True, slots=True)
class Figures:
    """A run in numbers. `alone` is seconds by what was under way and nothing else, `blamed` seconds by component.

    Components share out the whole run: a stretch belongs to what it would have ended with. `loop` is the seconds in
    which the event loop's thread ran or waited for a processor, `processor` those it ran.
    """

    wall: float
    loop: float
    processor: float
    pages: int
    page_seconds: float
    other_seconds: float
    files: int
    file_bytes: float
    history_active: float
    history_flying: float
    history_peak: int
    centres: tuple[Centre, ...]
    migrations: float
    paced: float
    paced_traffic: str
    flood_seconds: float
    steps: dict[str, float]
    counts: dict[str, int]
    peaks: dict[str, int]
    alone: dict[str, float]
    blamed: dict[str, float]
    errors: int
    knobs: dict[str, int]

    def share(self, component: str) -> float:
        """The share of the run that belongs to a component."""
        return self.blamed.get(component, 0.0) / self.wall if self.wall else 0.0


def figures(run: RunRecord) -> Figures:
    """Draw them."""
    wall = run.total("tobs.run.duration")
    steps, peaks, counts = (
        {str(kind): value for kind, value in run.by(name, "stage").items()}
        for name in ("tobs.step.active.time", "tobs.step.peak", "tobs.step.count")
    )
    history = [one for method in PAGES for one in run.spread("tobs.rpc.duration", method=method, outcome="ok")]
    pages = sum(one.count for one in history)
    page_seconds = sum(one.sum for one in history)
    sums = {str(kind): value for kind, value in run.by("tobs.step.time", "stage").items()}
    alone, blamed = _shared_out(run, wall)
    loop = {str(mode): seconds for mode, seconds in run.by("tobs.loop.time", "mode").items()}
    processor = loop.get("cpu") or run.total("process.cpu.time")
    active = steps.get("history", 0.0)
    floods = {str(method): seconds for method, seconds in run.by("tobs.flood_wait.time", "method").items()}
    return Figures(
        wall=wall,
        loop=min(wall, sum(loop.values()) if loop else processor),
        processor=min(wall, processor),
        pages=pages,
        page_seconds=page_seconds / pages if pages else 0.0,
        other_seconds=max(0.0, sums.get("history", 0.0) - page_seconds),
        files=round(run.total("tobs.files")),
        file_bytes=run.total("tobs.io", stage="store"),
        history_active=active,
        history_flying=sums.get("history", 0.0) / active if active else 0.0,
        history_peak=round(peaks.get("history", 0)),
        centres=tuple(centre for centre in map(partial(_centre, run), _numbers(run)) if centre.requests),
        migrations=sum(one.sum for one in run.spread("tobs.rpc.duration", outcome="FILE_MIGRATE")),
        paced=alone.get("pace", 0.0),
        paced_traffic="media" if floods.get(FILE, 0.0) > sum(floods.values()) / 2 else "history",
        flood_seconds=sum(floods.values()),
        steps=steps,
        counts={kind: round(count) for kind, count in counts.items()},
        peaks={kind: round(peak) for kind, peak in peaks.items()},
        alone=alone,
        blamed=blamed,
        errors=round(run.total("tobs.errors")),
        knobs={name: int(value) for name, value in run.knobs.items() if isinstance(value, int)},
    )


def _numbers(run: RunRecord) -> list[int]:
    return sorted(int(dc) for dc in run.by("tobs.step.count", "dc", stage="media"))


def _centre(run: RunRecord, dc: int) -> Centre:
    answers = run.spread("tobs.rpc.duration", method=FILE, dc=dc, outcome="ok")
    requests, seconds = sum(one.count for one in answers), sum(one.sum for one in answers)
    active = run.total("tobs.step.active.time", stage="media", dc=dc)
    dials = run.total("tobs.step.count", stage="dial", dc=dc)
    dialled = run.total("tobs.step.active.time", stage="dial", dc=dc)
    reply = _round_trip(run, dc)
    # A file's first connection away from home makes a key; those after it take fewer round trips.
    first = max(0.0, dialled - max(0.0, dials - 1) * HANDSHAKE * reply)
    return Centre(
        dc=dc,
        requests=requests,
        seconds=seconds / requests if requests else 0.0,
        size=run.total("tobs.part.io", dc=dc),
        round_trip=reply,
        rate=_rate(run, dc, reply),
        active=active,
        flying=run.total("tobs.step.time", stage="media", dc=dc) / active if active else 0.0,
        peak=round(run.total("tobs.step.peak", stage="media", dc=dc)),
        opening=0.0 if run.total("tobs.step.count", stage="history", dc=dc) > OTHERS else first,
        connections=round(run.total("tobs.connections", dc=dc)),
    )


def _round_trip(run: RunRecord, dc: int) -> float:
    """The fastest answer of any kind; where only parts came, no more than the fastest connection allows."""
    fastest = min((one.low for one in run.spread("tobs.rpc.duration", dc=dc)), default=0.0)
    dials = run.total("tobs.step.count", stage="dial", dc=dc)
    dialled = run.total("tobs.step.active.time", stage="dial", dc=dc)
    return min(fastest, dialled / dials / HANDSHAKE) if dials and not _small(run, dc) else fastest


def _small(run: RunRecord, dc: int) -> bool:
    """Whether answers came from there that were no parts, or small ones."""
    others = [one for one in run.distributions.get("tobs.rpc.duration", {}) if ("tobs.dc", dc) in one]
    parts = run.by("tobs.part.io", "size", dc=dc)
    return any(("rpc.method", FILE) not in one for one in others) or min(map(int, parts), default=0) <= 1 << 16


def _rate(run: RunRecord, dc: int, reply: float) -> float:
    """Bytes a second of the fastest parts; infinite where they came as fast as an answer without bytes."""
    best = 0.0
    sizes = run.by("tobs.part.io", "size", dc=dc)
    for size, total in sizes.items():
        for one in run.spread("tobs.part.duration", dc=dc, size=int(size)):
            took = one.low - reply
            if took <= CALL + 0.1 * reply:
                if int(size) >= max(map(int, sizes)):
                    return float("inf")
                continue
            best = max(best, total / one.count / took)
    return best or float("inf")


def _shared_out(run: RunRecord, wall: float) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds with one kind under way alone, and seconds by the component that each stretch belongs to."""
    alone: dict[str, float] = {}
    blamed: dict[str, float] = {}
    for active, seconds in run.by("tobs.activity.time", "active").items():
        kinds = frozenset(str(active).split("+")) - {""}
        working = kinds - WAITS
        if len(working) <= 1:
            only = next(iter(working), None) or _waited(kinds)
            alone[only] = alone.get(only, 0.0) + seconds
        for component, part in _belongs(kinds):
            blamed[component] = blamed.get(component, 0.0) + seconds * part
    rest = wall - sum(blamed.values())
    blamed["idle"] = blamed.get("idle", 0.0) + max(0.0, rest)
    return alone, blamed


def _belongs(kinds: Iterable[str]) -> Iterable[tuple[str, float]]:
    """The component that a stretch belongs to, by what was under way: shares that sum to 1."""
    there = frozenset(kinds)
    for first in (("history", "media"), ("sync",), ("transform",), ("dial",)):
        found = [kind for kind in first if kind in there]
        if found:
            return [(kind, 1 / len(found)) for kind in found]
    steps = [kind for kind in there if kind in LOOP]
    return [(kind, 1 / len(steps)) for kind in steps] or [(_waited(there), 1.0)]


def _waited(kinds: Iterable[str]) -> str:
    there = frozenset(kinds)
    return next((kind for kind in ("pace", "budget", "lease") if kind in there), "idle")
