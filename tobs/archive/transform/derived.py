"""Derives files from those of an archive, beside the export that brings them in.

What is there is not made again, whichever run made it; what an earlier run left is made by this one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tobs.archive.transform.shelf import Original, Shelf
from tobs.errors import TransformError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from pathlib import Path

    from tobs.archive.transform.children import Limits
    from tobs.archive.transform.recipes import Recipe
    from tobs.meters import Meters
    from tobs.ports import Transform
    from tobs.values import Attempt, Batch, Job, Page, Settled

BACKLOG = 1000
"""Jobs that may wait in memory; what is more is found on disk when all files are here."""
REASONS = 10
OTHERS = "other reasons, which each file's .failed tells"


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
        files: Callable[[], Iterable[Original]],
        meters: Meters,
    ) -> None:
        self._shelf = Shelf(folder, recipes, limits)
        self._transform = transform
        self._limits = limits
        self._files = files
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
        await asyncio.to_thread(self._shelf.tidy)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._limits.workers)]

    async def finish(self) -> None:
        """Make what is missing of all files; returns when it is done. Raises what is no fault of a file."""
        for stored in self._files():
            for job in self._new(stored):
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
        try:
            await self._transform(job)
            self._shelf.take(job)
        except TransformError as error:
            self.tidings.fail(job.transform, str(error))
            if error.lasting:
                self._shelf.note(job, str(error))
        except OSError as error:
            self.tidings.fail(job.transform, error.strerror or str(error))
        else:
            self.tidings.made[job.transform] += 1
            self._taken.discard(job.target)
        finally:
            with suppress(OSError):
                job.target.unlink(missing_ok=True)

    def _new(self, stored: Original) -> Iterator[Job]:
        """The jobs for one file that are missing and not taken; they are taken from here on."""
        for job in self._shelf.missing(stored):
            if job.target not in self._taken:
                self._taken.add(job.target)
                yield job

    # ---------------------------------------------------------------- the probe

    def file(self, outcome: Settled, seconds: float) -> None:  # noqa: ARG002 - the port
        """A file came: queue what is to be made of it, as far as there is room."""
        if outcome.status != "done" or outcome.sha256 is None or outcome.path is None:
            return
        ref = outcome.ref
        for job in self._new(Original(outcome.sha256, outcome.path, ref.kind, ref.mime)):
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
