"""Faults around requests and around the run."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tobs.api import Invoke, InvokeBand, RpcError, Submit, hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from tobs.api import Call, MediaRef, Value

UNSEEN = 0.3
"""Seconds after which a request during a flood wait cannot be one that crossed its refusal."""


class Hammers:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_invoke(self) -> tuple[InvokeBand, Callable[[Invoke], Invoke]]:
        def layer(inner: Invoke) -> Invoke:
            async def invoke(call: Call) -> Any:
                try:
                    return await inner(call)
                except RpcError as error:
                    if not error.is_flood:
                        raise
                    await asyncio.sleep(UNSEEN)
                    return await inner(call)

            return invoke

        return InvokeBand.OBSERVE, layer


class Leaves:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_lifespan(self) -> AbstractAsyncContextManager[None]:
        return self._held()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        self._task = asyncio.create_task(idle())
        yield


async def idle() -> None:
    """Wait for nothing."""
    await asyncio.Event().wait()


class Hangs:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_submit(self) -> Callable[[Submit], Submit]:
        def layer(inner: Submit) -> Submit:
            async def submit(refs: Sequence[MediaRef]) -> None:
                await inner(refs)
                await idle()

            return submit

        return layer


class Raises:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_submit(self) -> Callable[[Submit], Submit]:
        def layer(inner: Submit) -> Submit:
            async def submit(refs: Sequence[MediaRef]) -> None:
                await inner(refs)
                raise ValueError("no sugar")

            return submit

        return layer
