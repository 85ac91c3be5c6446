"""Files that are written by threads: parts are gathered, and files that end together are synced together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tobs_disk_io.ending import Ending, Finisher
from tobs_disk_io.file import Direct, DiskFile
from tobs_disk_io.threads import Threads, through

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.api import Meters
    from tobs_disk_io.file import Chunk


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: to gather for a write, that may wait in all, and of files from which on (0: never) something is done."""

    gather: int
    buffer: int
    preallocate: int = 0
    direct: int = 0


class GatheringDisk:
    """See `tobs.ports.Disk`. The loop never waits for the file system, and at most `sizes.buffer` bytes wait for it.

    While as many groups of files are being synced as half of the threads allow, files that are closed meanwhile wait
    and make up the next group; from `group` files on (0: never) it is synced by one call.

    Meters: the stage `disk_write` counts calls that write and `disk_sync` those that sync; `disk_fallback` files that
    were to be written past the page cache and were not.
    """

    def __init__(self, meters: Meters, sizes: Sizes, *, threads: int, group: int) -> None:
        self.sizes = sizes
        self.held = 0
        """Bytes that are in memory and not yet written."""
        self.ending = 0
        """Files whose close has begun and not returned."""
        self._threads = Threads(threads)
        self._finisher = Finisher(group)
        self._groups = max(1, threads // 2)
        self._syncing = 0
        self._meters = meters
        self._writing = meters.stage("disk_write", threads)
        self._finishing = meters.stage("disk_sync", self._groups)
        self._direct = Direct(sizes.gather)
        self._open: set[GatheringSink] = set()
        self._ended: list[GatheringSink] = []
        self._waiters = 0
        self._moved = asyncio.Event()

    @property
    def pressed(self) -> bool:
        """Whether somebody waits for memory: then nothing is held back."""
        return self._waiters > 0

    async def open(self, path: Path, size: int, *, keep: bool = False) -> GatheringSink:
        """A sink; its file is made now if its space is to be taken ahead, else with its first bytes.

        `keep`: one that is there keeps its bytes.

        Raises `OSError`, also where a disk has no room for it.
        """
        sizes = self.sizes
        direct = self._direct if 0 < sizes.direct <= size else None
        preallocate = 0 < sizes.preallocate <= size
        file = DiskFile(path, size, direct, preallocate=preallocate, keep=keep)
        if preallocate:
            try:
                await through(self._threads.run(file.open, self._writing))
            except BaseException:
                file.close()
                raise
        sink = GatheringSink(self, file, size)
        self._open.add(sink)
        return sink

    async def close(self) -> None:
        """End the threads when they have done all they were given."""
        await self._threads.close()

    async def room(self, size: int) -> None:
        """Wait until `size` bytes more may be held; what waits is written meanwhile."""
        while self.held and self.held + size > self.sizes.buffer:
            self._waiters += 1
            for sink in list(self._open):
                sink.flush()
            try:
                await self.moved()
            finally:
                self._waiters -= 1

    def release(self, size: int) -> None:
        """`size` bytes are held no more."""
        self.held -= size
        self._moved.set()

    def write(self, file: DiskFile, chunks: list[Chunk]) -> asyncio.Future[None]:
        """Have chunks of a file written."""
        return self._threads.run(partial(file.write, chunks), self._writing)

    def forget(self, sink: GatheringSink) -> None:
        """The sink takes nothing any more."""
        self._open.discard(sink)

    def finish(self, sink: GatheringSink) -> None:
        """Have a file finished, with whatever others end meanwhile."""
        self._ended.append(sink)
        self._pump()

    def sync(self, file: DiskFile) -> asyncio.Future[None]:
        """Have what was written of a file on the disk."""
        return self._threads.run(file.sync, self._finishing)

    async def moved(self) -> None:
        """Wait until some bytes are held no more."""
        self._moved.clear()
        await self._moved.wait()

    def _pump(self) -> None:
        while self._ended and self._syncing < self._groups:
            group, self._ended = self._ended, []
            self._syncing += 1
            endings = [sink.last() for sink in group]
            job = self._threads.run(partial(self._finisher, endings), self._finishing)
            job.add_done_callback(partial(self._finished, group, endings))

    def _finished(self, group: list[GatheringSink], endings: list[Ending], job: asyncio.Future[int]) -> None:
        self._syncing -= 1
        fault = job.exception()
        self._finishing.items += 0 if fault else job.result()
        for sink, ending in zip(group, endings, strict=True):
            self._writing.items += ending.file.calls
            sink.end(ending.error or fault)
        if self._direct.fallbacks:
            self._meters.stage("disk_fallback").items = self._direct.fallbacks
        self._pump()


class GatheringSink:
    """See `tobs.ports.Sink`. What is written is on the disk when `close` has returned, and not before.

    A write that failed is raised by the next one, or by `close`.
    """

    def __init__(self, disk: GatheringDisk, file: DiskFile, size: int) -> None:
        self._disk = disk
        self._file = file
        self._size = size
        self._chunks: list[Chunk] = []
        self._waiting = 0
        self._moving = 0
        self._busy = False
        self._flush_begun = 0
        self._flush_done = 0
        self._failure: BaseException | None = None
        self._told = False
        self._began = file.fd >= 0
        self._closed = False
        self._end: asyncio.Future[BaseException | None] | None = None

    async def write(self, offset: int, data: bytes) -> None:
        """Take bytes to write at a place; waits while too many wait to be written."""
        self._tell()
        await self._disk.room(len(data))
        self._tell()
        self._began = True
        self._chunks.append((offset, data))
        self._waiting += len(data)
        self._disk.held += len(data)
        if self._waiting >= self._disk.sizes.gather or self._disk.pressed:
            self.flush()

    def flush(self) -> None:
        """Have what waits written, unless a write is under way: that is followed by the next if there is cause."""
        if self._busy or self._closed or not self._chunks:
            return
        chunks = self._take()
        self._busy = True
        self._flush_begun += 1
        self._disk.write(self._file, chunks).add_done_callback(self._flushed)

    async def sync(self) -> None:
        """See `tobs.ports.Syncs`."""
        due = self._flush_begun + (1 if self._chunks else 0)
        while self._flush_done < due and self._failure is None and not self._closed:
            self.flush()
            await self._disk.moved()
        if self._failure is not None:
            raise self._failure  # whoever syncs need not be whoever writes: the close says so, too
        if self._file.fd >= 0:
            await through(self._disk.sync(self._file))

    async def close(self) -> None:
        """Write what is left, sync and close; a cancellation does not cut it short. Raises `OSError`."""
        if self._closed:
            return
        self._closed = True
        disk = self._disk
        disk.forget(self)
        if not self._began and self._size:
            return  # nothing came, and nothing was made
        self._end = asyncio.get_running_loop().create_future()
        disk.ending += 1
        try:
            if not self._busy:
                disk.finish(self)
            failure = await through(self._end)
        finally:
            disk.ending -= 1
        if failure is not None and not self._told:
            raise failure

    def last(self) -> Ending:
        """What is left to do for the file; asked once."""
        return Ending(self._file, self._take(), spoiled=self._failure is not None)

    def end(self, error: BaseException | None) -> None:
        """The file is closed."""
        self._release()
        if self._end is not None:
            self._end.set_result(self._failure or error)

    def _take(self) -> list[Chunk]:
        chunks, self._chunks = self._chunks, []
        self._moving, self._waiting = self._waiting, 0
        return chunks

    def _release(self) -> None:
        moved, self._moving = self._moving, 0
        self._disk.release(moved)

    def _flushed(self, job: asyncio.Future[None]) -> None:
        self._busy = False
        self._flush_done += 1
        fault = job.exception()
        self._failure = self._failure or fault
        self._release()
        if self._closed:
            self._disk.finish(self)
        elif self._waiting >= self._disk.sizes.gather or self._disk.pressed:
            self.flush()

    def _tell(self) -> None:
        if self._failure is not None:
            self._told = True
            raise self._failure
