"""Faults of history."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tobs.api import Runner, TobsError, Write, hook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tobs.api import Batch, Chat, Flow, Range, Settled, Value


class Drops:
    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._amount = int(knobs["amount"])

    @hook
    def tobs_write(self, write: Write) -> Write:
        return Dropping(write, self._amount)


class Dropping:
    """Loses the oldest messages of a batch, and their media."""

    def __init__(self, inner: Write, amount: int) -> None:
        self._inner = inner
        self._amount = amount

    async def commit(self, batch: Batch) -> None:
        kept = batch.messages[: len(batch.messages) - self._amount]
        ids = {row.id for row in kept}
        await self._inner.commit(
            replace(batch, messages=kept, media=[ref for ref in batch.media if ref.message_id in ids])
        )

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        await self._inner.settle(outcomes)


class Hurries:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_write(self, write: Write) -> Write:
        return Hurrying(write)


class Hurrying:
    """Two transactions where the port asks for one: whole only if nothing comes between them."""

    def __init__(self, inner: Write) -> None:
        self._inner = inner

    async def commit(self, batch: Batch) -> None:
        await self._inner.commit(replace(batch, messages=[], media=[]))
        await self._inner.commit(batch)

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        await self._inner.settle(outcomes)


class Swallows:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_runner(self) -> Runner:
        return run_on


async def run_on(chat: Chat, ranges: Sequence[Range], flow: Flow) -> None:
    """Take a page that cannot be kept for one that need not be."""
    async for page in flow.source(chat, ranges):
        batch = flow.normalise(page)
        try:
            await flow.write.commit(batch)
            await flow.submit(batch.media)
        except TobsError:
            continue
