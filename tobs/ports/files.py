"""Bytes on their way to the disk, and what is known of files that are half there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from tobs.values import MediaRef, Part


class Sink(Protocol):
    """A file being written, at any offset."""

    async def write(self, offset: int, data: bytes) -> None: ...

    async def close(self) -> None: ...


@runtime_checkable
class Syncs(Protocol):
    """A sink that can have what was written on the disk before it is closed."""

    async def sync(self) -> None:
        """Return when everything whose `write` has returned is on the disk.

        Raises `OSError`, also for a `write` that failed in the background. Whoever hears of it has to fail the file:
        the system tells of a failed sync once, and a later one, or `close`, may know nothing of it.
        """
        ...


class Disk(Protocol):
    """Opens sinks. Slot."""

    async def open(self, path: Path, size: int, *, keep: bool = False) -> Sink:
        """Open a file of `size` to be, empty; `keep`: with the bytes that it has."""
        ...


class Note(Protocol):
    """What a journal knows of one file's bytes, while these are fetched."""

    @property
    def have(self) -> Sequence[Part]:
        """Stretches of the half-written file that were found to be as they were written; empty: begin anew."""
        ...

    def around(self, sink: Sink) -> Sink:
        """The sink, watched."""
        ...

    def end(self, *, whole: bool, again: bool) -> bool:
        """The file is whole and kept, or given up; the sink is closed. Whether the half-written file stays.

        `again` says whether another run may ask for it.
        """
        ...


class Journal(Protocol):
    """Where a run may go on inside a file. Slot; the baseline goes on nowhere."""

    def kept(self, folder: Path, holds: Callable[[str], bool]) -> Collection[Path]:
        """Half-written files of earlier runs below `folder` to go on with; core removes all others.

        `holds` says whether the archive holds a finished file of this path below `folder`. A run that was killed may
        have given a file its name and not kept it: such a one may be made half-written again.
        Called once, before any file is opened.
        """
        ...

    async def open(self, ref: MediaRef, path: Path) -> Note:
        """A file is about to be written at `path`, perhaps not for the first time. Raises `OSError`."""
        ...
