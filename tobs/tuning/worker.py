"""A worker: joins a study that `tobs tune --storage` began, with a lab of its own, until the search has ended."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.experiment.launch import launch as launch_export
from tobs.tuning.definition import define
from tobs.tuning.journal import tpe
from tobs.tuning.place import any_claimed, claimed
from tobs.tuning.shared import chosen, same_versions, taking_part, wanted
from tobs.tuning.storage import connected, shown
from tobs.tuning.tune import find

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tobs.experiment.conduct import Say
    from tobs.experiment.launch import Launch
    from tobs.tuning.journal import Done, Sampling
    from tobs.tuning.search import Found


@dataclass(frozen=True, slots=True)
class Worked:
    """What a worker did: `found` is the whole search, `name` the worker's, `folder` where its own runs lie."""

    study: str
    name: str
    folder: Path
    found: Found

    @property
    def own(self) -> list[Done]:
        """The trials that this worker ran, its runs of the start too."""
        return [one for one in self.found.trials if one.worker == self.name]


def work(
    storage: str,
    study: str | None,
    folder: Path | None,
    say: Say,
    launch: Launch = launch_export,
    sampling: Sampling = tpe,
) -> Worked:
    """Run trials of a study until its search has ended; who began it confirms the result.

    `study` may be left out where the storage holds one; without `folder` this machine's first free one is taken.
    Raises `UsageError` where there is no such study, `TobsError` if this machine has other code or versions than the
    study was begun with, cannot run its start, or loses the storage, and `KeyboardInterrupt` when stopped.
    """
    with connected(storage, begin=False) as known:
        name, kept = chosen(known, storage, study)
    same_versions(kept)
    with _place(folder, kept["id"], name, storage) as (place, worker):
        definition = define(wanted(kept, place))
        if definition.name != name:
            raise TobsError(
                f"this machine would measure something else than {name}: it has other code, plugins or profiles",
                hint="Install the same release of TOBS, its plugins and their libraries on every machine of the study.",
            )
        with taking_part(definition, storage, worker, sampling) as journal:
            say(f"worker {worker} joins {name} in {shown(storage)}")
            found = find(definition, place, journal, say, launch)
            return Worked(name, worker, place, found)


@contextmanager
def _place(folder: Path | None, identity: str, study: str, storage: str) -> Iterator[tuple[Path, str]]:
    if folder is None:
        with any_claimed(identity, study, storage) as found:
            yield found
    else:
        with claimed(folder, identity, study, storage) as worker:
            yield folder, worker


def as_json(worked: Worked) -> dict[str, Any]:
    """A worker's part for machines."""
    own = worked.own
    return {
        "study": worked.study,
        "worker": worked.name,
        "trials": len(own),
        "of": len(worked.found.trials),
        "failed": sum(one.outcome == "failed" for one in own),
        "machine_factor": worked.found.factors.get(worked.name),
        "stopped": worked.found.why,
        "folder": str(worked.folder),
    }


def lines(worked: Worked) -> list[str]:
    """A worker's part for people."""
    factor = worked.found.factors.get(worked.name)
    text = [f"{worked.study}: {len(worked.own)} of {len(worked.found.trials)} trials were run here"]
    if factor is not None:
        text.append(f"machine factor {factor:.3f}: the start's figure here, in that of the study's first machine")
    return [*text, f"the search ended: {worked.found.why}; `tobs tune --storage` confirms what it found"]
