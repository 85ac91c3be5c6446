"""A tuning from its search to the file of its result. Broken off anywhere, the same call goes on."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from tobs.experiment.conduct import duration
from tobs.experiment.launch import launch as launch_export
from tobs.tuning.confirm import BACK_BLOCKS, better, cheapest_first, compare_settings, gain, put_back
from tobs.tuning.definition import OTHER_SIZE
from tobs.tuning.journal import tpe
from tobs.tuning.place import BEST, RESULT, STUDY, claimed, index
from tobs.tuning.ranges import active, fingerprint
from tobs.tuning.report import Tuning, as_json, facts, origin
from tobs.tuning.search import Found, Search, search
from tobs.tuning.settings_file import write
from tobs.tuning.shared import DEFINITION, as_kept, taking_part
from tobs.tuning.shared import RESULT as KEPT_RESULT
from tobs.tuning.trials import Exports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tobs.experiment.conduct import Say
    from tobs.experiment.launch import Launch
    from tobs.knobs import Value
    from tobs.tuning.definition import Definition
    from tobs.tuning.journal import Done, Journal, Sampling
    from tobs.tuning.proof import Proof


def tune(
    definition: Definition,
    folder: Path,
    say: Say,
    launch: Launch = launch_export,
    sampling: Sampling = tpe,
    storage: str | None = None,
) -> Tuning:
    """Search, confirm, simplify, write. With `storage` the study lies there, and workers may take part.

    Raises `UsageError` if the folder holds another tuning, `TobsError` if it is in use, the start cannot be run or the
    storage fails, and `KeyboardInterrupt` when stopped.
    """
    with (
        claimed(folder, definition.id, definition.name, storage) as worker,
        taking_part(definition, storage or folder / STUDY, worker, sampling) as journal,
    ):
        journal.note(DEFINITION, as_kept(definition))
        found = find(definition, folder, journal, say, launch, None if definition.wanted.file else _last_winner)
        tuning = _confirmed(definition, folder, found, journal, say, launch)
        write(folder / BEST, definition, tuning.values, origin(tuning), facts(tuning))
        result = as_json(tuning)
        (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")
        journal.note(KEPT_RESULT, result)
        if tuning.adopted:
            _remember(definition, tuning.values)
        return tuning


def find(
    definition: Definition,
    folder: Path,
    journal: Journal,
    say: Say,
    launch: Launch,
    winner: Callable[[Definition], Mapping[str, Value] | None] | None = None,
) -> Found:
    """Search as a worker of the study, until the search has ended; `winner` knows what else to try first."""
    wanted = definition.wanted
    asked = Search(
        ranges=definition.ranges,
        start=definition.start,
        metric=definition.metric,
        limits=wanted.limits,
        trials=wanted.trials,
        budget=wanted.budget,
        stall=wanted.stall,
        winner=winner(definition) if winner else None,
        scenarios=len(wanted.scenarios),
        over=wanted.over,
        unfit=definition.unfit,
    )
    done = journal.done()
    if done:
        say(f"going on after {len(done)} trials in {folder}")
    say(f"{len(definition.ranges)} knobs of {definition.arm(definition.start)}, on {wanted.named}")
    own = [one for one in done if one.worker == journal.worker]
    found = search(asked, journal, Exports(definition, folder, launch, own), say)
    say(f"the search ended: {found.why}")
    return found


def _confirmed(
    definition: Definition, folder: Path, found: Found, journal: Journal, say: Say, launch: Launch
) -> Tuning:
    """The best of the search against the start, then the same with what does not matter put back."""
    start, blocks = definition.start, definition.wanted.blocks
    finalists = [dict(one.values) for one in found.finalists]
    if not finalists:
        return Tuning(definition, folder, found, start)

    def against(settings: list[Mapping[str, Value]], phase: str, blocks: int) -> Proof:
        return compare_settings(definition, settings, phase, blocks, folder, say, launch)

    runs = (len(finalists) + 1) * (blocks + 1) * len(definition.chats)
    took = (blocks + 1) * sum(_larger(one) for one in [found.starts[0], *found.finalists])
    say(f"confirming the best {len(finalists)}: {runs} runs, about {duration(took)}; then knobs are put back")
    first = against([start, *finalists], "confirm", blocks)
    chosen = better(first, definition.wanted.limits)
    if chosen is None:
        return Tuning(definition, folder, found, start, first)
    winner = finalists[chosen.arm - 1]

    def measured(current: dict[str, Value], simpler: dict[str, Value]) -> float | None:
        if definition.unfit(simpler):
            return None
        back = changed(current, simpler)
        say(f"putting back {', '.join(back)}")
        return gain(against([current, simpler], "put back", min(blocks, BACK_BLOCKS)))

    order = cheapest_first(definition, winner, journal.importances())
    simple = put_back(winner, definition.ranges, order, measured)
    if simple != winner:
        say("confirming what is left")
        last = against([start, simple], "confirm the simpler", blocks)
        again = better(last, definition.wanted.limits)
        if again is not None:
            return Tuning(definition, folder, found, simple, first, again, last, changed(winner, simple))
    return Tuning(definition, folder, found, winner, first, chosen)


def _larger(one: Done) -> float:
    """Seconds that a run like this one takes at the confirmation's size: what is beside its own time does not grow."""
    return one.seconds + (OTHER_SIZE - 1) * one.measurements.get("wall", one.seconds)


def changed(one: Mapping[str, Value], other: Mapping[str, Value]) -> tuple[str, ...]:
    """The knobs and plugins in which settings differ; of a plugin that is off in one of them the plugin alone."""
    return tuple(name for name in one if name in other and one[name] != other[name])


def _place(definition: Definition) -> Path:
    """Where the last winner of this space is kept."""
    metric = definition.metric.name
    plain = metric if metric.isidentifier() else hashlib.sha256(metric.encode()).hexdigest()[:12]
    return index() / "winners" / f"{fingerprint(definition.ranges)}-{plain}.json"


def _last_winner(definition: Definition) -> dict[str, Value] | None:
    """What won in this space before, on whatever scenario; None if nothing did, or the space cannot hold it."""
    with suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
        kept = json.loads(_place(definition).read_text(encoding="utf-8"))
        held = active(definition.ranges, kept)
        if all(one.holds(held[one.name]) for one in definition.ranges if one.name in held) and held != definition.start:
            return held
    return None


def _remember(definition: Definition, values: Mapping[str, Value]) -> None:
    with suppress(OSError):  # a state folder that cannot be written costs the next tuning a hint, not this one
        _place(definition).parent.mkdir(parents=True, exist_ok=True)
        _place(definition).write_text(json.dumps(dict(values)), encoding="utf-8")
