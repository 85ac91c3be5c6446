"""Files that end together: what is left of them is written, and one sync may do for many."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tobs_disk_io import system

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs_disk_io.file import Chunk, DiskFile

SLOW = 0.1
"""Seconds from which on a sync of the whole file system is too dear: others write much to it."""
PAUSE = 60.0
"""Seconds for which files are synced each for itself after a slow one."""


@dataclass(slots=True)
class Ending:
    """A file that is to be finished: what is still to be written, and what came of it.

    `spoiled` files are closed and not synced: an earlier write of them has failed.
    """

    file: DiskFile
    chunks: Sequence[Chunk]
    spoiled: bool = False
    error: BaseException | None = None


class Finisher:
    """Finishes files, in any thread. From `group` files on one sync of their file system does for all (0: never)."""

    def __init__(self, group: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._group = group
        self._clock = clock
        self._again = -PAUSE

    def __call__(self, endings: Sequence[Ending]) -> int:
        """Write what is left of files, sync and close them; returns how many syncs that took.

        What fails is noted at its file, and no other file suffers.
        """
        begun = [ending for ending in endings if ending.file.fd >= 0]
        for ending in endings:
            if not ending.spoiled:
                _note(ending, partial(_complete, ending))
        sound = [ending for ending in endings if not ending.spoiled and ending.error is None]
        # A file that was opened earlier is synced by itself: only since its first file was opened does a sync of the
        # file system tell whatever went wrong.
        alone = [ending for ending in sound if ending in begun]
        devices: dict[int, list[Ending]] = {}
        for ending in sound:
            if ending not in begun:
                devices.setdefault(os.fstat(ending.file.fd).st_dev if self._group else 0, []).append(ending)
        syncs = 0
        for together in devices.values():
            if self._whole(together):
                syncs += 1
            else:
                alone += together
        for ending in alone:
            _note(ending, ending.file.sync)
        for ending in endings:
            _note(ending, ending.file.close)
        return syncs + len(alone)

    def _whole(self, endings: Sequence[Ending]) -> bool:
        """Sync files of one file system by one call; whether that is done."""
        began = self._clock()
        if not 0 < self._group <= len(endings) or began < self._again:
            return False
        try:
            done = system.sync_filesystem(endings[0].file.fd)
        except OSError:
            return False  # the file that it was will say so itself, or it was none of ours
        now = self._clock()
        if now - began > SLOW:
            self._again = now + PAUSE
        return done


def _complete(ending: Ending) -> None:
    ending.file.write(ending.chunks)
    ending.file.cut()


def _note(ending: Ending, act: Callable[[], None]) -> None:
    try:
        act()
    except Exception as error:  # noqa: BLE001 - raised by the file's own sink
        ending.error = ending.error or error
