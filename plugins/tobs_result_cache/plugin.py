"""What the host calls: a layer around each job."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tobs.api import Context, Job, Transform, Value, hook
from tobs_result_cache.cache import Cache, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GIGABYTE = 1_000_000_000


class ResultCache:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._limit = round(float(knobs["limit_gb"]) * GIGABYTE)

    @hook
    def tobs_transform(self, ctx: Context) -> Callable[[Transform], Transform]:
        """Look the job up before it is done, and keep what comes of it.

        The stage `result_cache` counts the jobs that were found, and the time that looking took.
        """
        cache = Cache(ctx.cache, self._limit)
        stage = ctx.meters.stage("result_cache")

        def layer(inner: Transform) -> Transform:
            async def cached(job: Job) -> None:
                key = key_of(job)
                began = time.perf_counter()
                found = await asyncio.to_thread(cache.fetch, key, job.target)
                stage.busy += time.perf_counter() - began
                if found:
                    stage.items += 1
                    return
                await inner(job)
                await asyncio.to_thread(cache.keep, key, job.target)

            return cached

        return layer
