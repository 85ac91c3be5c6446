"""What of `derived/` is there, what is missing, and what is known not to be possible.

A result is `derived/TRANSFORM/SHA256.SUFFIX`: by its content, so that a file posted twice is worked on once. What
cannot be made is noted as `SHA256.failed` with its reason, and tried again when settings, libraries or limits have
changed. `settings.json` says how the folder's files were made: with other settings all are made anew.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from tobs.values import Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tobs.archive.transform.children import Limits
    from tobs.archive.transform.recipes import Recipe

FOLDER = "derived"
FAILED = ".failed"
PARTIAL = ".part"
SETTINGS = "settings.json"


class Original(NamedTuple):
    """A finished file as some message carries it; `path` is relative to the archive."""

    sha256: str
    path: str
    kind: str
    mime: str


class Shelf:
    """The results of some recipes in one archive."""

    def __init__(self, archive: Path, recipes: Sequence[Recipe], limits: Limits) -> None:
        self._archive = archive
        self._folder = archive / FOLDER
        self._recipes = recipes
        self._limits = limits
        self._made_of = {recipe.name: (recipe.written, recipe.library) for recipe in recipes}

    def missing(self, stored: Original) -> Iterator[Job]:
        """The jobs for one file: not made, and not known to fail."""
        for recipe in self._recipes:
            if recipe.takes(stored.kind, stored.mime):
                settings, library = self._made_of[recipe.name]
                final = self._folder / recipe.name / f"{stored.sha256}{recipe.suffix}"
                if not _there(final):
                    target = final.with_name(final.name + PARTIAL)
                    job = Job(recipe.name, self._archive / stored.path, stored.sha256, settings, library, target)
                    if not self._fails(job):
                        yield job

    def take(self, job: Job) -> None:
        """Give a finished result its name. Raises `OSError`."""
        final = _final(job)
        job.target.replace(final)
        with suppress(OSError):
            _note_of(final).unlink(missing_ok=True)

    def note(self, job: Job, why: str) -> None:
        """Note that a job cannot be done, as things are."""
        with suppress(OSError):
            _write(_note_of(_final(job)), {"why": why, "by": self._conditions(job)})

    def tidy(self) -> None:
        """Remove what a killed run left half made, and all that was made with other settings."""
        for recipe in self._recipes:
            folder = self._folder / recipe.name
            with suppress(OSError):  # what cannot be made ready fails, and is told, job by job
                folder.mkdir(parents=True, exist_ok=True)
                other = _read(folder / SETTINGS) not in (dict(recipe.settings), None)
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name != SETTINGS and (other or entry.name.endswith(PARTIAL)):
                            (folder / entry.name).unlink()
                _write(folder / SETTINGS, dict(recipe.settings))

    def _fails(self, job: Job) -> bool:
        """Whether an earlier run noted that this very job cannot be done."""
        try:
            noted = json.loads(_note_of(_final(job)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(noted, dict) and noted.get("by") == self._conditions(job)

    def _conditions(self, job: Job) -> list[str | int]:
        return [job.settings, job.library, self._limits.megabytes, self._limits.seconds]


def _final(job: Job) -> Path:
    return job.target.with_name(job.target.name.removesuffix(PARTIAL))


def _note_of(final: Path) -> Path:
    return final.with_suffix(FAILED)


def _there(path: Path) -> bool:
    """Whether a result is there; an empty file is what a power cut may leave of one."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, value: object) -> None:
    beside = path.with_name(path.name + PARTIAL)
    beside.write_text(json.dumps(value), encoding="utf-8")
    beside.replace(path)
