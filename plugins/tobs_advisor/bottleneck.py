"""Which stage limits a run, what its time is spent on, and how sure that is."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tobs.api import Load
from tobs_advisor.figures import FILE, LOOP
from tobs_advisor.model import HELD, HELD_UP, shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.api import RunRecord
    from tobs_advisor.figures import Centre, Figures
    from tobs_advisor.model import Way

BUSY = 0.8
"""Share of the run from which on a loop that is busy is what limits it."""
OF_FLIGHT = 0.5
"""Share of an answer's time that its round trip takes, from which on it is latency and not bandwidth."""
FEW = 0.05
"""Seconds (of requests, of items in a queue) below which Little's law is not looked at."""
BELIEVED = 0.1
"""What instruments that must agree may differ by, as a share."""
UNSEEN = 0.2
"""Share of the run in which nothing measured was under way, or others had the processor, that is worth a doubt."""
SLIGHT = 0.01
"""Share of the run below which a component is not told."""


def loads(run: RunRecord, figures: Figures, way: Way) -> list[Load]:
    """Every stage that took part, the one with most of the run first."""
    return sorted(_loads(run, figures, way), key=lambda load: -figures.share(load.stage))


def _loads(run: RunRecord, figures: Figures, way: Way) -> Iterator[Load]:
    waiting = {str(kind): value for kind, value in run.by("tobs.step.time", "stage").items()}
    wall = figures.wall or 1.0
    for stage in sorted({*figures.steps, *figures.blamed}):
        busy = figures.steps.get(stage, figures.blamed.get(stage, 0.0)) / wall
        if not busy and not figures.share(stage):
            continue
        may, queued = _places(stage, figures, way), 0.0
        if stage in {"history", "media"}:
            queued = waiting.get("budget", 0.0) / wall if stage == "media" else 0.0
            queued += waiting.get("lease", 0.0) / wall if way.parallel and stage == "media" else 0.0
        mean = waiting.get(stage, 0.0) / wall
        yield Load(
            stage=stage,
            kind=kind_of(stage, figures),
            busy=round(min(1.0, busy), 4),
            alone=round(figures.alone.get(stage, 0.0) / wall, 4),
            utilization=round(min(1.0, mean / may) if may else min(1.0, busy), 4),
            saturation=round(queued, 3),
            errors=_errors(run, stage),
        )


def _errors(run: RunRecord, stage: str) -> int:
    """Attempts of a traffic that were lost or refused; other stages raise what fails."""
    media = run.total("tobs.errors", method=FILE)
    return round({"media": media, "history": run.total("tobs.errors") - media}.get(stage, 0.0))


def _places(stage: str, figures: Figures, way: Way) -> float:
    """Requests or workers that the stage may have at once; 0 where nothing bounds it."""
    if stage == "history":
        return way.depth if way.pipelined else 1
    if stage == "media":
        room = way.connections * way.in_flight * max(1, len(figures.centres))
        return min(room, way.parts) if way.parallel else 1
    return {"transform": way.transforms, "sync": figures.peaks.get("sync", 1)}.get(stage, 1)


def find(figures: Figures, all_loads: list[Load]) -> Load:
    """The stage to blame: the loop where it is busy all the time, else what has most of the run."""
    worst = all_loads[0]
    if figures.loop >= BUSY * figures.wall and worst.kind != "cpu":
        held = max(LOOP, key=lambda kind: figures.alone.get(kind, 0.0))
        stage = held if figures.alone.get(held, 0.0) > figures.loop / 2 else "loop"
        share = round(figures.loop / figures.wall, 4)
        return Load(stage, "cpu", share, share, share, 0.0, worst.errors)
    if worst.stage == "pace":
        share = round(figures.share("pace"), 4)
        return Load(figures.paced_traffic, "server", share, share, share, 0.0, worst.errors)
    return worst


def kind_of(stage: str, figures: Figures) -> str:
    """What a stage's time is spent on."""
    if stage in {"transform", "normalise", "hash", "loop"}:
        return "cpu"
    if stage in {"commit", "settle", "write"}:
        held = figures.alone.get(stage, 0.0)
        others = sum(figures.alone.get(kind, 0.0) for kind in LOOP - {stage})
        return "cpu" if held and figures.loop - others >= HELD * held else "disk"
    if stage == "sync":
        return "disk"
    if stage == "pace":
        return "server"
    return "bandwidth" if stage == "media" and _of_bytes(figures) else "latency"


def _of_bytes(figures: Figures) -> bool:
    """Whether media's requests spend less than half of their time on round trips, and bytes are seen to take the rest.

    A request that is only told where a file lies is a round trip and nothing else.
    """
    seen = any(centre.rate < inf for centre in figures.centres)
    trips = sum(centre.requests * centre.round_trip for centre in figures.centres) + figures.migrations
    spent = sum(centre.requests * centre.seconds for centre in figures.centres) + figures.migrations
    return seen and trips < OF_FLIGHT * spent


def slowest(figures: Figures) -> Centre | None:
    """The data centre whose media were under way longest."""
    return max(figures.centres, key=lambda centre: centre.active, default=None)


def evidence(found: Load, figures: Figures, way: Way) -> Iterator[str]:
    """What speaks for it, each a sentence with its numbers."""
    wall = figures.wall
    if found.stage == "loop" or (found.kind == "cpu" and found.stage != "transform"):
        yield f"The event loop was busy, or waited for a processor, for {figures.loop:.2f} of {wall:.2f} s."
    stage = "pace" if found.kind == "server" else found.stage
    alone = figures.alone.get(stage, 0.0)
    yield f"{figures.share(stage):.0%} of the run belongs to {stage}; it was alone under way for {alone:.2f} s."
    if found.kind == "server":
        yield f"The server asked for {figures.flood_seconds:.0f} s of waits; staying below its rate took the rest."
    if figures.errors:
        yield f"{figures.errors} attempts were lost or refused; each may have cost a pause before the next."
    if found.stage == "history" and figures.pages:
        may = way.depth if way.pipelined else 1
        yield (
            f"{figures.pages} pages took {figures.page_seconds * 1000:.0f} ms each, with {figures.history_flying:.1f} "
            f"requests in flight on average and {figures.history_peak} at most; {may} may be."
        )
    if found.stage == "media" and (centre := slowest(figures)) is not None:
        yield from _of_media(centre, figures, way)
    if found.stage in figures.counts and found.stage not in {"history", "media"}:
        count = figures.counts[found.stage]
        each = figures.steps.get(found.stage, 0.0) / max(1, count) * 1000
        yield f"{count} times {found.stage}, {each:.1f} ms each, at most {figures.peaks.get(found.stage, 0)} at once."


def _of_media(centre: Centre, figures: Figures, way: Way) -> Iterator[str]:
    rate = "too fast to be seen" if centre.rate == inf else f"{centre.rate / 1e6:.2f} MB/s"
    yield (
        f"Data centre {centre.dc}: {centre.requests} requests of {centre.seconds * 1000:.0f} ms, of which "
        f"{centre.round_trip * 1000:.0f} ms are the round trip; a connection's best was {rate}."
    )
    yield (
        f"{centre.flying:.1f} requests were in flight on average, {centre.peak} at most, on {centre.connections} "
        f"connections that brought {centre.throughput / 1e6:.2f} MB/s together."
    )
    if shared(centre):
        yield "Together they brought far less than each could alone: the line, or the account, holds them."
    if figures.steps.get("budget", 0.0) > HELD_UP * figures.wall and way.parallel:
        waited = figures.steps["budget"]
        yield f"Parts waited for bytes of the media budget for {waited:.2f} s: {way.parts:.1f} were in flight."


def disagreement(run: RunRecord) -> float:
    """Little's law: requests in flight must be their rate times their time. The largest disagreement, a share.

    One side is the integral of what was under way, the other the sum of the histogram of durations; likewise each
    queue's depth and its items' waits.
    """
    worst = 0.0
    flown = sum(run.total("tobs.step.time", stage=traffic) for traffic in ("history", "media"))
    told = sum(one.sum for one in run.spread("tobs.rpc.duration"))
    pairs = [(flown, told)]
    for queue, depth in run.by("tobs.queue.depth.integral", "stage").items():
        pairs.append((depth, sum(one.sum for one in run.spread("tobs.queue.wait", stage=queue))))
    for one, other in pairs:
        if max(one, other) > FEW:
            worst = max(worst, abs(one - other) / max(one, other))
    return worst


def path(figures: Figures) -> dict[str, float]:
    """Shares of the run by component, largest first; those below a hundredth are left out."""
    shares = {component: round(figures.share(component), 4) for component in figures.blamed}
    return dict(sorted(((name, part) for name, part in shares.items() if part >= SLIGHT), key=lambda pair: -pair[1]))


def doubts(run: RunRecord, figures: Figures, law: float) -> Iterator[str]:
    """Why these figures may mislead."""
    if not run.complete:
        yield "The run did not end well: what it would have done at its end is missing."
    if law > BELIEVED:
        yield f"Instruments that must agree differ by {law:.0%} (Little's law)."
    if "tobs.step.time" not in run.numbers:
        yield "The run tells of no steps: it is of a version without them."
    if figures.wall < 1:
        yield f"It took {figures.wall:.2f} s: too short to tell one thing from another."
    if figures.share("idle") > UNSEEN:
        yield f"For {figures.share('idle'):.0%} of the time nothing was under way that is measured."
    if figures.loop - figures.processor > UNSEEN * figures.wall:
        yield "The processor was busy with other programs for a good part of the time."
