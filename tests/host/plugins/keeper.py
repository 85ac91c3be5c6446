"""A plugin that counts its runs in every scope."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tobs.api import Context, Value


class Keeper:
    """Keeps what its knob says."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self.says = knobs["says"]

    @hook
    @asynccontextmanager
    async def tobs_lifespan(self, ctx: Context) -> AsyncIterator[None]:
        for scope in ("account", "archive", "user"):
            state = ctx.state(scope)
            runs = int(state.get("cup").get("runs", 0)) + 1
            state.put("cup", {"says": self.says, "runs": runs})
        yield
