"""A plugin whose media layers work beside the run, and note when they are told to stop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.host.plugins.witness import NOTES
from tobs.api import hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from tobs.api import Agenda, MediaRef, Submit, Value


class Beside:
    """Notes in the list that its knob names."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self.notes = NOTES[str(knobs["list"])]

    @hook
    def tobs_submit(self) -> Callable[[Submit], Submit]:
        return lambda inner: Early(inner, self.notes)

    @hook
    def tobs_agenda(self, work: Callable[[MediaRef], Awaitable[None]]) -> Agenda:
        return OwnAgenda(work, self.notes)

    @hook
    @asynccontextmanager
    async def tobs_lifespan(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.notes.append("left")


class Early:
    """Hands on and may be drained and closed."""

    def __init__(self, inner: Submit, notes: list[str]) -> None:
        self.inner = inner
        self.notes = notes

    async def __call__(self, refs: Sequence[MediaRef]) -> None:
        await self.inner(refs)

    async def drain(self) -> None:
        self.notes.append("drained")

    async def close(self) -> None:
        self.notes.append("submit closed")


class OwnAgenda:
    """Works in turn and may be closed."""

    def __init__(self, work: Callable[[MediaRef], Awaitable[None]], notes: list[str]) -> None:
        self.work = work
        self.notes = notes

    async def put(self, refs: Sequence[MediaRef]) -> None:
        for ref in refs:
            await self.work(ref)

    async def drain(self) -> None: ...

    async def close(self) -> None:
        self.notes.append("agenda closed")
