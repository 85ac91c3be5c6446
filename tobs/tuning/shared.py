"""What a study says of itself, so that a worker needs nothing but its storage: what is run, with which code."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.study import get_all_study_names

from tobs.errors import TobsError, UsageError
from tobs.experiment import surroundings
from tobs.tuning.beats import beating
from tobs.tuning.definition import Wanted
from tobs.tuning.journal import Journal, tpe
from tobs.tuning.limits import Limits
from tobs.tuning.storage import connected, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optuna.storages import BaseStorage

    from tobs.tuning.definition import Definition
    from tobs.tuning.journal import Sampling

DEFINITION, RESULT, WORKER = "tobs:definition", "tobs:result", "tobs:worker:"
"""Names under which a study keeps what is run, what came of it, and what is known of each worker."""
GIVEN = "given"
"""Folder of the files that a study was begun with, as a worker has them."""


@contextmanager
def taking_part(definition: Definition, where: str | Path, worker: str, sampling: Sampling = tpe) -> Iterator[Journal]:
    """The definition's study, with signs of life of this worker as long as the block lasts.

    `where` is a storage that others share, or the path of a journal of one's own. Raises `TobsError` if a shared one
    was begun with other code or versions, or fails.
    """
    with connected(where) as storage:
        journal = Journal(storage, definition.name, definition.wanted.seed, sampling, worker)
        kept = journal.noted(DEFINITION)
        if kept is not None and isinstance(where, str):
            agree(kept, definition)
        journal.note(WORKER + worker, {"machine": definition.facts["machine"]})
        with beating(journal.beat):
            yield journal


def as_kept(definition: Definition) -> dict[str, Any]:
    """A definition as its study keeps it: files by their text, for machines that do not have them."""
    wanted = definition.wanted
    values = {one.name: getattr(wanted, one.name) for one in fields(Wanted)}
    values |= {
        "limits": wanted.limits.as_json(),
        "scenario": _scenario(wanted.scenario),
        "further": [_scenario(one) for one in wanted.further],
        "file": None if wanted.file is None else _text(wanted.file),
    }
    return {
        "id": definition.id,
        "wanted": values,
        "code": definition.code,
        "versions": definition.facts["versions"],
        "metric": {
            "name": definition.metric.name,
            "unit": definition.metric.unit,
            "direction": definition.metric.direction,
        },
        "start": dict(definition.start),
        "arm": definition.arm(definition.start),
        "knobs": [{"name": one.name, "log": one.log, "choices": list(one.choices)} for one in definition.ranges],
        "scenarios": " and ".join(Path(one).stem for one in wanted.scenarios),
    }


def _scenario(source: str) -> str | dict[str, str]:
    file = Path(source)
    return _text(file) if file.is_file() else source


def _text(file: Path) -> dict[str, str]:
    return {"name": file.name, "text": file.read_text(encoding="utf-8")}


def wanted(kept: Mapping[str, Any], folder: Path) -> Wanted:
    """What a study says is to be run; the files that it was begun with are written into `folder`.

    Raises `TobsError` for a study of a release that knows other things.
    """
    try:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in kept["wanted"].items()
        }
        scenarios = [_written(one, folder / GIVEN / str(place)) for place, one in enumerate(_sources(values))]
        file = values["file"]
        values |= {
            "scenario": scenarios[0],
            "further": tuple(scenarios[1:]),
            "file": None if file is None else Path(_written(file, folder / GIVEN)),
            "limits": Limits(**values["limits"]),
        }
        return Wanted(**values)
    except (TypeError, KeyError) as error:
        raise TobsError(f"the study was begun by another release of TOBS: {error}", hint=_HINT) from None


def _sources(values: Mapping[str, Any]) -> list[Any]:
    return [values["scenario"], *values["further"]]


def _written(given: str | Mapping[str, str], folder: Path) -> str:
    """The name of a shipped file as it is, or the path of one that was given by its text."""
    if isinstance(given, str):
        return given
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / Path(given["name"]).name
    file.write_text(given["text"], encoding="utf-8")
    return str(file)


_HINT = "Install the same release of TOBS, its plugins and their libraries on every machine of the study."


def agree(kept: Mapping[str, Any], definition: Definition) -> None:
    """Raise `TobsError` unless this process would measure what the study's others do: same code, same versions."""
    here = {**definition.facts["versions"], "code": definition.code}
    there = {**kept["versions"], "code": kept["code"]}
    other = [
        f"{name} {here.get(name, 'absent')} here, {there.get(name, 'absent')} there"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
    if other:
        raise TobsError(f"the study is measured with other code: {'; '.join(other)}", hint=_HINT)
    if kept["id"] != definition.id:
        hint = "Its scenario may name a profile's file that this machine lacks or has otherwise."
        raise TobsError(f"what the study runs leads to something else here ({definition.id})", hint=hint)


def same_versions(kept: Mapping[str, Any]) -> None:
    """Raise `TobsError` where TOBS, Python or a library differ, before anything is looked up with them."""
    here = {name: value for name, value in surroundings.versions().items() if kept["versions"].get(name) != value}
    if here:
        words = "; ".join(f"{name} {value} here, {kept['versions'].get(name)} there" for name, value in here.items())
        raise TobsError(f"the study is measured with other code: {words}", hint=_HINT)


def chosen(storage: BaseStorage, where: str, name: str | None) -> tuple[str, dict[str, Any]]:
    """Name and definition of the study of this name, or of the only one that a tuning has begun there.

    Raises `UsageError` where there is none, or more than one to choose from.
    """
    studies = {}
    for known in get_all_study_names(storage):
        kept = storage.get_study_user_attrs(storage.get_study_id_from_name(known)).get(DEFINITION)
        if kept is not None and name in {None, known, kept["id"]}:
            studies[known] = kept
    if not studies:
        what = "no study" if name is None else f"no study {name}"
        raise UsageError(f"{shown(where)} holds {what}", hint="Begin it: `tobs tune --scenario S --storage STORAGE`.")
    if len(studies) > 1:
        raise UsageError(f"{shown(where)} holds {len(studies)} studies", hint=f"--study: {', '.join(sorted(studies))}.")
    return next(iter(studies.items()))
