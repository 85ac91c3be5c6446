"""What could be changed about a bottleneck, each as an arm where there is one, with the gain that the model expects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from tobs.api import Change, Prediction
from tobs_advisor.bottleneck import slowest
from tobs_advisor.model import HELD_UP, KILOBYTE, depth_of, faster, forecast, shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.api import Load, RunRecord
    from tobs_advisor.figures import Figures
    from tobs_advisor.model import Way

TAKEOUT = 3.0
"""How much wider buckets are assumed to be inside a takeout; nobody has published it."""
CONNECTIONS, IN_FLIGHT, PART, HISTORY, BUDGET = 4, 2, 512, 16, 256
"""Core's own values: what is below them is raised to them first."""
MOST_CONNECTIONS, MOST_HISTORY = 8, 64
SLIGHT = 1.02
"""Below this ratio a change is not worth a line, unless nothing else is known."""


@dataclass(frozen=True, slots=True)
class Idea:
    """A change before it is weighed: `arm` is words to add, `way` the run with it, `worst` with it at its worst.

    `best` is with it at its best; None takes `way`.
    """

    what: str
    why: str
    arm: tuple[str, ...]
    way: Way
    worst: Way
    rests_on: str
    best: Way | None = None


def changes(run: RunRecord, figures: Figures, found: Load, way: Way) -> list[Change]:
    """What to do about it, best first; where nothing in the program helps, what outside of it would."""
    known = [_weighed(run, figures, idea, way) for idea in _ideas(run, figures, found, way)]
    helping = sorted((one for one in known if one.predicted.ratio >= SLIGHT), key=lambda one: -one.predicted.ratio)
    inside = [one for one in helping if one.arm]
    outside = [_weighed(run, figures, idea, way) for idea in _outside(figures, found, way)]
    rest = [one for one in known if one not in helping]
    return [*inside, *(one for one in helping if not one.arm), *outside, *rest] or [_nothing(figures, found)]


def _nothing(figures: Figures, found: Load) -> Change:
    """What is said where the program has no further means."""
    why = f"Everything that is known to help a run of this kind ({found.kind} of {found.stage}) is on already."
    expected = Prediction("wall", 1.0, 1.0, ceiling(figures, found), "nothing")
    return Change("Leave the program as it is.", why, expected)


def ways(run: RunRecord, figures: Figures, found: Load, way: Way) -> dict[str, Way]:
    """The run with each change, by its words."""
    return {idea.what: idea.way for idea in (*_ideas(run, figures, found, way), *_outside(figures, found, way))}


def ceiling(figures: Figures, found: Load) -> float:
    """The ratio of times if the bottleneck took none: 1 / (1 - s), s the share in which it was alone.

    Of a server's waits and of a busy loop the share is all that belongs to them.
    """
    alone = found.alone if found.kind != "server" else figures.share("pace")
    return round(1 / max(1 - alone, 0.01), 3)


def _weighed(run: RunRecord, figures: Figures, idea: Idea, way: Way) -> Change:
    undisturbed = replace(figures, loop=figures.processor)

    def ratio(of: Way, run: Figures = figures) -> float:
        return figures.wall / max(forecast(run, of, way).seconds, 1e-3)

    expected, worst = ratio(idea.way), ratio(idea.worst)
    best = max(ratio(idea.best or idea.way), ratio(idea.best or idea.way, undisturbed))
    low, high = sorted((min(worst, expected), max(best, expected)))
    arm = armed(run.arm, idea.arm) if idea.arm else None
    return Change(
        idea.what,
        idea.why,
        Prediction("wall", round(expected, 3), round(low, 3), round(high, 3), idea.rests_on),
        arm,
    )


def armed(arm: str, words: tuple[str, ...]) -> str:
    """An arm with these words in place of those that say something of the same plugin or knob."""
    subjects = {_subject(word) for word in words}
    return " ".join([*(word for word in arm.split() if _subject(word) not in subjects), *words])


def _subject(word: str) -> str:
    knob, equals, _ = word.partition("=")
    return (knob if "." in knob else f"core.{knob}") if equals else word.lstrip("+-")


def _ideas(run: RunRecord, figures: Figures, found: Load, way: Way) -> Iterator[Idea]:
    if found.kind == "server":
        yield from _server(run, found, way)
    elif found.stage == "history":
        yield from _history(figures, way)
    elif found.stage in {"media", "dial"}:
        yield from _media(run, figures, way)
    elif found.stage == "transform":
        yield from _transform(way)
    elif found.kind == "disk":
        yield from _disk(found, way)


def _server(run: RunRecord, found: Load, way: Way) -> Iterator[Idea]:
    if found.stage == "media" and way.part < PART * KILOBYTE and "adaptive_connections" not in run.plugins:
        larger = replace(way, part=PART * KILOBYTE)
        why = "The server counts requests; larger parts need fewer for the same bytes."
        rests = "how many requests its bucket holds when it is full, which is not told"
        best = replace(larger, wider=inf)
        yield Idea(f"Ask for parts of {PART} KB.", why, (f"part_kb={PART}",), larger, way, rests, best)
    if "takeout" not in run.plugins:
        wider = replace(way, wider=TAKEOUT)
        why = "The server's limits are wider inside a takeout session, which you allow once on another device."
        rests = f"buckets that are {TAKEOUT:g} times as wide inside a takeout, which is assumed"
        yield Idea("Export inside a takeout.", why, ("+takeout",), wider, way, rests, replace(way, wider=inf))


def _history(figures: Figures, way: Way) -> Iterator[Idea]:
    if not way.pipelined:
        deeper = replace(
            way, pipelined=True, depth=depth_of(figures, 0, figures.knobs.get("core.history_in_flight", 16))
        )
        why = "One request at a time leaves the line idle for a round trip each; pages and their media wait in turn."
        worst = replace(deeper, depth=max(1, deeper.depth // 2))
        rests = f"answers no slower with {deeper.depth} requests in flight"
        yield Idea("Read history with several requests in flight.", why, ("+async_pipeline",), deeper, worst, rests)
        return
    fixed, most = figures.knobs.get("async_pipeline.depth", 0), figures.knobs.get("core.history_in_flight", HISTORY)
    if 0 < fixed < depth_of(figures, 0, most):
        deeper = replace(way, depth=depth_of(figures, 0, most))
        yield _deeper(
            deeper, way, "Let the round trip decide how many requests are in flight.", "async_pipeline.depth=0"
        )
    elif way.depth >= most and depth_of(figures, 0, MOST_HISTORY) > most:
        more = HISTORY if most < HISTORY else min(MOST_HISTORY, 2 * most)
        deeper = replace(way, depth=depth_of(figures, fixed, more))
        yield _deeper(deeper, way, f"Let {more} history requests be in flight.", f"history_in_flight={more}")


def _deeper(deeper: Way, way: Way, what: str, word: str) -> Idea:
    worst = replace(deeper, depth=(way.depth + deeper.depth) // 2)
    why = "As many requests as may be in flight are, and each waits for a round trip."
    return Idea(what, why, (word,), deeper, worst, f"answers no slower with {deeper.depth} requests in flight")


def _media(run: RunRecord, figures: Figures, way: Way) -> Iterator[Idea]:
    centre = slowest(figures)
    adaptive = "adaptive_connections" in run.plugins
    larger = max(way.part, PART * KILOBYTE)
    if way.part < larger and not adaptive and figures.file_bytes > figures.files * way.part:
        bigger = replace(way, part=larger)
        why = f"Parts of {way.part // KILOBYTE} KB pay a round trip each for few bytes."
        yield Idea(f"Ask for parts of {PART} KB.", why, (f"part_kb={PART}",), bigger, way, "the mean size of files")
    if not way.parallel:
        held = sum(each.throughput for each in figures.centres)
        at_once = replace(way, parallel=True)
        why = "One part at a time leaves the line idle for a round trip each, and every other data centre too."
        rests = "a line and a server that give all connections what they give one"
        worst = replace(at_once, line=held)
        yield Idea("Fetch several files and parts at once.", why, ("+parallel_media",), at_once, worst, rests)
    else:
        yield from _more_at_once(figures, way, adaptive=adaptive)
    if figures.migrations > 0 and not way.routed:
        why = "Every file is asked of the home data centre first, which only says where it lies."
        routed = replace(way, routed=True)
        yield Idea("Ask each file's own data centre.", why, ("+dc_routing",), routed, routed, "the migrations counted")
    if centre is not None and way.parallel and not adaptive and way.connections >= CONNECTIONS:
        why = "It finds connections, requests in flight and part sizes while running."
        most = replace(way, connections=2 * way.connections, line=way.line)
        yield Idea("Let the pool find its size.", why, ("+adaptive_connections",), way, way, "an unknown limit", most)


def _more_at_once(figures: Figures, way: Way, *, adaptive: bool) -> Iterator[Idea]:
    """Where files move at once already: which bound keeps more from being in flight."""
    room = way.connections * way.in_flight
    if figures.steps.get("budget", 0.0) > HELD_UP * figures.wall:
        freed = replace(way, parts=inf)
        why = "Parts wait for bytes of the media budget, so that fewer are in flight than connections have room for."
        yield Idea(f"Let {BUDGET} MB of parts be in memory.", why, (f"media_budget_mb={BUDGET}",), freed, way, "memory")
    elif way.parts < room:
        freed = replace(way, parts=inf)
        words: tuple[str, ...] = ("parallel_media.files=0", "parallel_media.parts=0")
        why = "A knob allows fewer files or parts at once than connections have room for."
        yield Idea("Let as many files and parts move as fill the room.", why, words, freed, way, "the room of the pool")
    if adaptive:
        return
    if way.connections < CONNECTIONS or way.in_flight < IN_FLIGHT:
        more = replace(way, connections=max(way.connections, CONNECTIONS), in_flight=max(way.in_flight, IN_FLIGHT))
        words = (f"connections={more.connections}", f"in_flight={more.in_flight}")
        why = "All connections are as full as they may be, and fewer are open than usual."
        rests = "a limit of each connection and not of all together"
        yield Idea(f"Use {more.connections} connections.", why, words, more, way, rests)
    elif way.connections < MOST_CONNECTIONS:
        more = replace(way, connections=min(MOST_CONNECTIONS, 2 * way.connections))
        words = (f"connections={more.connections}",)
        held = any(shared(centre) for centre in figures.centres)
        rests = "connections that bring less together than alone" if held else "a limit of each connection"
        why = "All connections are as full as they may be."
        yield Idea(f"Use {more.connections} connections.", why, words, more, way, rests, replace(more, line=inf))


def _transform(way: Way) -> Iterator[Idea]:
    without = faster(way, "transform")
    why = "What is derived can be made by a later run from the files that are there."
    yield Idea("Derive nothing in this run.", why, ("transforms=''",), without, without, "the rest of the run alone")
    more = replace(way, transforms=2 * max(1, way.transforms))
    why = "The processes that derive files are never idle."
    word = (f"transform_workers={more.transforms}",)
    yield Idea(f"Derive with {more.transforms} processes.", why, word, more, way, "processors that are idle")


def _disk(found: Load, way: Way) -> Iterator[Idea]:
    if found.stage == "sync" and not way.parallel:
        why = "Each file's sync is waited for before the next file begins; at once they overlap."
        at_once = replace(way, parallel=True)
        worst = faster(way, "sync", 2)
        yield Idea(
            "Fetch several files at once.", why, ("+parallel_media",), at_once, worst, "a disk that syncs at once"
        )
    if not way.disk_io:
        why = "Files that end together are synced and settled together, and threads write."
        gathered = replace(way, disk_io=True)
        yield Idea("Gather writes and syncs.", why, ("+disk_io",), gathered, way, "files that end together")


def _outside(figures: Figures, found: Load, way: Way) -> Iterator[Idea]:
    """What no arm changes: the resource itself."""
    gone, half = faster(way, found.stage), faster(way, found.stage, 2)
    if found.kind == "disk":
        why = f"The run waits for {found.stage} while nothing else is under way."
        yield Idea("Put the archive on a faster disk.", why, (), gone, half, "a disk that takes no time")
    elif found.kind == "cpu" and found.stage != "transform":
        why = "The event loop has one processor, and keeps it busy."
        yield Idea(f"Spend less processor time in {found.stage}.", why, (), gone, half, "work that can be left out")
    elif found.kind == "bandwidth" and any(shared(centre) for centre in figures.centres):
        why = "The line, or the account's limit at the server, is full; nothing in the program makes it wider."
        wider = replace(way, line=2 * way.line)
        yield Idea("Use a faster line.", why, (), way, way, "who holds the bytes, which is not told", wider)
