"""Baseline strategies of the media path: lanes, agenda, parts, fetch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from tobs.errors import LostError, RpcError
from tobs.values import Bytes, MediaRef, Part, Traffic, cut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from tobs.ports import Budget, Lanes, Parts, Pool, ReadPart, Sink
    from tobs.values import Same

    AskPart = Callable[[MediaRef, Part, int | None], Awaitable[bytes]]
    Refresh = Callable[[Iterable[MediaRef]], Awaitable[dict[tuple[int, int], MediaRef]]]

T = TypeVar("T")
MIGRATE = "FILE_MIGRATE"


class HomeLanes:
    """Asks home first and forgets what it was told, as Telethon's own download does."""

    def lane(self, ref: MediaRef) -> int | None:  # noqa: ARG002 - the port
        """Home, always."""
        return None

    def moved(self, ref: MediaRef, dc: int) -> None:
        """Nothing is remembered beyond the file at hand."""

    def expect(self, dc: int, size: int) -> None:
        """Nothing is opened ahead."""

    def first(self, left: Mapping[int, int]) -> int:
        """The one whose file came first: files are fetched in the order of their messages."""
        return next(iter(left))


class SerialAgenda:
    """Capacity 0: a reference is accepted when its file is finished. One file at a time."""

    def __init__(self, work: Callable[[MediaRef], Awaitable[None]], lanes: Lanes) -> None:
        self._work = work
        self._lanes = lanes

    async def put(self, refs: Sequence[MediaRef]) -> None:
        """Fetch the files one after another, from the data centre that `Lanes` puts first."""
        left = list(refs)
        while left:
            waiting: dict[int, int] = {}
            for ref in left:
                waiting[ref.dc] = waiting.get(ref.dc, 0) + ref.size
            dc = self._lanes.first(waiting)
            ref = next(ref for ref in left if ref.dc == dc)
            left.remove(ref)
            await self._work(ref)

    async def drain(self) -> None:
        """Nothing is ever left over."""


class SerialParts:
    """One part after the other, of the size that the pool names."""

    def __init__(self, pool: Pool, budget: Budget) -> None:
        self._pool = pool
        self._budget = budget

    async def __call__(self, ref: MediaRef, read: ReadPart, sink: Sink, size: int, have: Sequence[Part] = ()) -> int:
        """Copy what is missing of the file into the sink; returns the file's bytes."""
        for part in cut(size, self._pool.part_size(ref.dc, size), have):
            async with self._budget.hold(min(part.limit, size - part.offset), Traffic.MEDIA):
                await sink.write(part.offset, await read(part))
        return size


async def follow(ask: Callable[[int | None], Awaitable[T]], ref: MediaRef, lane: int | None, lanes: Lanes) -> T:
    """What a data centre answers about a file, from `lane` on to where it says that the file lives.

    None is asked twice: where data centres send to one another, the last one's `RpcError` is raised.
    """
    asked = {lane}
    while True:
        try:
            return await ask(lane)
        except RpcError as error:
            if error.name != MIGRATE or error.value is None or error.value in asked:
                raise
            lane = error.value
            asked.add(lane)
            lanes.moved(ref, lane)


class CoreFetch:
    """Brings a file: follows migrations, refreshes an expired reference once and then starts again.

    Without `refresh` an expired reference is raised, for a layer around it to repair.
    """

    def __init__(self, ask: AskPart, refresh: Refresh | None, lanes: Lanes, parts: Parts) -> None:
        self._ask = ask
        self._refresh = refresh
        self._lanes = lanes
        self._parts = parts

    async def __call__(self, ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
        """Fetch what is missing. Raises `RpcError` if the server refuses it, `LostError` if it stays short."""
        try:
            return await self._whole(ref, sink, have)
        except RpcError as error:
            if not error.is_stale or self._refresh is None:
                raise
            fresh = (await self._refresh([ref])).get((ref.message_id, ref.file_id))
            if fresh is None:
                raise
            return await self._whole(fresh, sink, have)

    async def _whole(self, ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes:
        lane = self._lanes.lane(ref)
        found = lane == ref.dc
        finding = asyncio.Lock()

        async def ask(part: Part) -> bytes:
            nonlocal lane

            async def of(dc: int | None) -> bytes:
                nonlocal lane
                lane = dc
                return await self._ask(ref, part, dc)

            return await follow(of, ref, lane, self._lanes)

        async def read(part: Part) -> bytes:
            nonlocal found
            data = None
            if not found:  # parts asked at once would all be sent on: the first one finds the way
                async with finding:
                    if not found:
                        data = await ask(part)
                        found = True
            if data is None:
                data = await ask(part)
            wanted = min(part.limit, ref.size - part.offset)
            if len(data) != wanted:
                raise LostError(f"file {ref.file_id}: {len(data)} bytes came where {wanted} were due")
            return data

        return Bytes(await self._parts(ref, read, sink, ref.size, have))
