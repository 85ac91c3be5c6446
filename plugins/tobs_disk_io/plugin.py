"""What the host calls."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import ArchiveWrite, Context, Disk, Value, Write, hook
from tobs_disk_io.disk import GatheringDisk, Sizes
from tobs_disk_io.write import GroupWrite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

KILO = 1024
MEGA = KILO * KILO


class DiskIO:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._knobs = knobs
        self._disk: GatheringDisk | None = None
        self._write: GroupWrite | None = None

    @hook
    def tobs_disk(self, ctx: Context) -> Disk:
        """Files written by threads."""
        sizes = Sizes(
            gather=self._whole("gather_kb") * KILO,
            buffer=self._whole("buffer_mb") * MEGA,
            preallocate=self._whole("preallocate_mb") * MEGA,
            direct=self._whole("direct_mb") * MEGA,
        )
        self._disk = GatheringDisk(ctx.meters, sizes, threads=self._whole("threads"), group=self._whole("group"))
        return self._disk

    @hook
    def tobs_write(self, ctx: Context, write: ArchiveWrite) -> Write:  # noqa: ARG002 - the hook
        """The archive's own, tuned, and asked for many files at once."""
        write.tune(
            journal=str(self._knobs["journal"]),
            synchronous=str(self._knobs["synchronous"]),
            page_size=1 << (self._whole("page_kb") * KILO).bit_length() - 1,
            log=self._whole("log_mb") * MEGA,
        )
        self._write = GroupWrite(
            write, self._ending, linger=self._whole("linger_ms") / 1000, batch=self._whole("batch")
        )
        return self._write

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the hook
        """Threads and what they still do end with the run."""
        return self._alive()

    @asynccontextmanager
    async def _alive(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if self._write is not None:
                await self._write.close()
            if self._disk is not None:
                await self._disk.close()

    def _ending(self) -> int:
        return 0 if self._disk is None else self._disk.ending

    def _whole(self, name: str) -> int:
        return int(self._knobs[name])
