"""A file's parts, several at once, each written where it belongs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tobs.api import Part, Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.api import Context, MediaRef, ReadPart, Sink


class ParallelParts:
    """See `tobs.ports.Parts`. `window` 0 means as many parts as the data centre's connections take."""

    def __init__(self, ctx: Context, window: int) -> None:
        self._ctx = ctx
        self._window = window

    async def __call__(self, ref: MediaRef, read: ReadPart, sink: Sink, size: int) -> int:
        """Copy the file into the sink; returns its bytes. The first failure stops the other parts."""
        step = self._ctx.pool.part_size(ref.dc, size)
        offsets = iter(range(0, size, step))
        if size <= step:  # no task for a single part
            await self._walk(offsets, step, size, read, sink)
            return size
        knobs = self._ctx.knobs
        window = self._window or int(knobs["connections"]) * int(knobs["in_flight"])
        try:
            async with asyncio.TaskGroup() as walkers:
                for _ in range(min(window, -(-size // step))):
                    walkers.create_task(self._walk(offsets, step, size, read, sink))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None  # as it is, not wrapped in a group
        return size

    async def _walk(self, offsets: Iterator[int], step: int, size: int, read: ReadPart, sink: Sink) -> None:
        """Take the next offset that nobody has, until there is none."""
        for offset in offsets:
            async with self._ctx.budget.hold(min(step, size - offset), Traffic.MEDIA):
                await sink.write(offset, await read(Part(offset, step)))
