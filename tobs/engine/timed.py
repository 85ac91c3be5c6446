"""What every arm does with a page, as steps of the run: wrapped where it is handed to the runner, whoever drives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.meters import Meters
    from tobs.ports import Write
    from tobs.values import Batch, Page


def timed(normalise: Callable[[Page], Batch], meters: Meters) -> Callable[[Page], Batch]:
    """The same, as a step of the run."""
    step = meters.step("normalise")

    def normalised(page: Page) -> Batch:
        with step:
            return normalise(page)

    return normalised


class TimedWrite:
    """The write in place, its commits as steps of the run."""

    def __init__(self, write: Write, meters: Meters) -> None:
        self._write = write
        self._commit = meters.step("commit")
        self.settle = write.settle

    async def commit(self, batch: Batch) -> None:
        """See `tobs.ports.Write`."""
        with self._commit:
            await self._write.commit(batch)
