"""What is derived from the files of an archive: which is missing, made beside the export, kept in `derived/`.

A result is `derived/TRANSFORM/SHA256.SUFFIX`: by its content, so that a file posted twice is worked on once. What is
there is not made again. What cannot be made is noted as `SHA256.failed` with its reason, and tried again when settings,
libraries or limits have changed. `settings.json` says how the folder's files were made: with other settings all are
made anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tobs.errors import TransformError
from tobs.ports import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from pathlib import Path

    from tobs.archive.transform.children import Limits
    from tobs.archive.transform.recipes import Recipe
    from tobs.meters import Meters
    from tobs.ports import Attempt, Batch, Page, Settled, Transform

FOLDER = "derived"
FAILED = ".failed"
PARTIAL = ".part"
SETTINGS = "settings.json"
BACKLOG = 1000
"""Jobs that may wait in memory; what is more is found on disk when all files are here."""
REASONS = 10
OTHERS = "other reasons, which each file's .failed tells"


class Stored(NamedTuple):
    """A finished file as some message carries it; `path` is relative to the archive."""

    sha256: str
    path: str
    kind: str
    mime: str


@dataclass(slots=True)
class Tidings:
    """What came of a run's jobs: how many files each transform made, and how many failed for which reason."""

    made: Counter[str] = field(default_factory=Counter)
    failed: dict[str, Counter[str]] = field(default_factory=dict)

    def fail(self, transform: str, why: str) -> None:
        """Count a failure; of reasons that differ from file to file the first ones are kept."""
        reasons = self.failed.setdefault(transform, Counter())
        reasons[why if why in reasons or len(reasons) < REASONS else OTHERS] += 1

    def warnings(self) -> list[str]:
        """One line for each transform and reason."""
        return [
            f"{count} files could not be derived by {name}: {why}"
            for name, reasons in sorted(self.failed.items())
            for why, count in reasons.items()
        ]


class Derived:
    """Derives files beside a run. A probe, too: told of a file that came, it queues what is to be made of it.

    `files` lists all finished files, for what earlier runs left and what did not fit into the queue. Start it, finish
    it when all files are here, close it in any case.
    """

    def __init__(
        self,
        folder: Path,
        recipes: Sequence[Recipe],
        transform: Transform,
        limits: Limits,
        files: Callable[[], Iterable[Stored]],
        meters: Meters,
    ) -> None:
        self._archive = folder
        self._folder = folder / FOLDER
        self._recipes = recipes
        self._transform = transform
        self._limits = limits
        self._files = files
        self._made_of = {recipe.name: (recipe.written, recipe.library) for recipe in recipes}
        self._queue: asyncio.Queue[Job] = asyncio.Queue(BACKLOG)
        self._meter = meters.queue("transform", BACKLOG)
        self._stage = meters.stage("transform", limits.workers)
        self._taken: set[Path] = set()
        """Targets that are queued, or were tried in vain in this run."""
        self._tasks: list[asyncio.Task[None]] = []
        self.tidings = Tidings()

    # ---------------------------------------------------------------- the run

    async def start(self) -> None:
        """Make the folders ready and begin to work."""
        await asyncio.to_thread(self._tidy)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._limits.workers)]

    async def finish(self) -> None:
        """Make what is missing of all files; returns when it is done. Raises what is no fault of a file."""
        for stored in self._files():
            for job in self._missing(stored):
                if self._queue.full():
                    await self._unless_broken(self._queue.put(job))
                else:
                    self._queue.put_nowait(job)
                self._meter.change(+1)
        await self._unless_broken(self._queue.join())

    async def close(self) -> None:
        """Stop; what is half made is made by the next run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _unless_broken(self, step: Coroutine[Any, Any, None]) -> None:
        """Await a step. Raises what ended a worker before."""
        waited = asyncio.create_task(step)
        try:
            await asyncio.wait([waited, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waited.cancel()
        for task in self._tasks:
            if task.done():
                task.result()

    async def _work(self) -> None:
        while True:
            began = time.perf_counter()
            job = await self._queue.get()
            self._meter.change(-1)
            taken = time.perf_counter()
            self._stage.wait_get += taken - began
            await self._make(job)
            self._stage.busy += time.perf_counter() - taken
            self._stage.items += 1
            self._queue.task_done()

    async def _make(self, job: Job) -> None:
        """Make one file, or count why it cannot be made."""
        final = _final(job)
        try:
            await self._transform(job)
            job.target.replace(final)
        except TransformError as error:
            self.tidings.fail(job.transform, str(error))
            if error.lasting:
                self._note(job, str(error))
        except OSError as error:
            self.tidings.fail(job.transform, error.strerror or str(error))
        else:
            self.tidings.made[job.transform] += 1
            self._taken.discard(job.target)
            with suppress(OSError):
                _note_of(final).unlink(missing_ok=True)
        finally:
            with suppress(OSError):
                job.target.unlink(missing_ok=True)

    # ---------------------------------------------------------------- what is missing

    def _missing(self, stored: Stored) -> Iterator[Job]:
        """The jobs for one file: not made, not known to fail, not taken."""
        for recipe in self._recipes:
            if recipe.takes(stored.kind, stored.mime):
                settings, library = self._made_of[recipe.name]
                final = self._folder / recipe.name / f"{stored.sha256}{recipe.suffix}"
                target = final.with_name(final.name + PARTIAL)
                if target in self._taken or _there(final):
                    continue
                job = Job(recipe.name, self._archive / stored.path, stored.sha256, settings, library, target)
                if not self._fails(job):
                    self._taken.add(target)
                    yield job

    def _fails(self, job: Job) -> bool:
        """Whether an earlier run noted that this very job cannot be done."""
        try:
            noted = json.loads(_note_of(_final(job)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(noted, dict) and noted.get("by") == self._conditions(job)

    def _note(self, job: Job, why: str) -> None:
        with suppress(OSError):
            _write(_note_of(_final(job)), {"why": why, "by": self._conditions(job)})

    def _conditions(self, job: Job) -> list[str | int]:
        return [job.settings, job.library, self._limits.megabytes, self._limits.seconds]

    def _tidy(self) -> None:
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

    # ---------------------------------------------------------------- the probe

    def file(self, outcome: Settled, seconds: float) -> None:  # noqa: ARG002 - the port
        """A file came: queue what is to be made of it, as far as there is room."""
        if outcome.status != "done" or outcome.sha256 is None or outcome.path is None:
            return
        ref = outcome.ref
        for job in self._missing(Stored(outcome.sha256, outcome.path, ref.kind, ref.mime)):
            if self._queue.full():
                self._taken.discard(job.target)
                return
            self._queue.put_nowait(job)
            self._meter.change(+1)

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        """A batch makes nothing to derive."""

    def attempt(self, attempt: Attempt) -> None:
        """An attempt makes nothing to derive."""

    def flood(self, method: str, seconds: float) -> None:
        """A wait makes nothing to derive."""


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
