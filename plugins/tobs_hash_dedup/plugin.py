"""What the host calls: a layer on Fetch, a probe that sees what is settled, a lifespan that keeps what was learned."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import Context, Fetch, FetchBand, Probe, Value, hook
from tobs_hash_dedup.fetch import Spared
from tobs_hash_dedup.moving import Moving
from tobs_hash_dedup.stored_blocks import Heads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

log = logging.getLogger(__name__)


class HashDedup:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._knobs = {name: int(value) for name, value in knobs.items()}
        self._moving = Moving()
        self._layer: Spared | None = None
        self._heads: Heads | None = None

    @hook
    def tobs_fetch(self, ctx: Context) -> tuple[FetchBand, Callable[[Fetch], Fetch]]:
        """Look for the file in the archive before it is fetched."""
        knobs = self._knobs
        heads = self._heads = Heads(ctx.state("archive"))

        def layer(inner: Fetch) -> Fetch:
            smallest, ahead, waiting = knobs["min_kb"] * 1024, knobs["ahead"], knobs["waiting"]
            self._layer = Spared(inner, ctx, heads, self._moving, smallest=smallest, ahead=ahead, waiting=waiting)
            return self._layer

        return FetchBand.SPARE, layer

    @hook
    def tobs_probe(self, ctx: Context) -> Probe:  # noqa: ARG002 - the hook
        """Learn which files in motion are settled."""
        return self._moving

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the hook
        """Keep what was learned of stored files, and say what was spared."""
        return self._held()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if self._heads is not None:
                self._heads.save()
            if self._layer is not None and self._layer.files:
                log.info("%d files of %d bytes were here under another id", self._layer.files, self._layer.size)
