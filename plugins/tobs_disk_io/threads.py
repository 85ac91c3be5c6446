"""A few threads for what may block, and waiting for them in a way that no cancellation cuts short."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.api import Stage

T = TypeVar("T")


class Threads:
    """At most `many` threads, started when they are first needed; without any left after `close`."""

    def __init__(self, many: int) -> None:
        self._many = many
        self._pool: ThreadPoolExecutor | None = None
        self._running: set[asyncio.Future[object]] = set()
        self._closed = False

    def run(self, job: Callable[[], T], stage: Stage) -> asyncio.Future[T]:
        """Have a job done; its seconds are booked at `stage`. After `close` it is done before this returns."""
        loop = asyncio.get_running_loop()
        if self._closed:
            future: asyncio.Future[T] = loop.create_future()
            try:
                future.set_result(job())
            except Exception as error:  # noqa: BLE001 - raised to whoever waits, as a thread's would be
                future.set_exception(error)
            return future
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._many, "tobs-disk")

        def timed() -> T:
            began = time.perf_counter()
            try:
                return job()
            finally:
                loop.call_soon_threadsafe(_book, stage, time.perf_counter() - began)

        future = loop.run_in_executor(self._pool, timed)
        self._running.add(future)  # type: ignore[arg-type]
        future.add_done_callback(self._running.discard)
        return future

    async def close(self) -> None:
        """Wait for every job and end the threads; later jobs are done by whoever asks for them."""
        self._closed = True
        while self._running:
            await asyncio.wait(list(self._running))
        if self._pool is not None:
            self._pool.shutdown()


def _book(stage: Stage, seconds: float) -> None:
    stage.busy += seconds


async def through(future: asyncio.Future[T]) -> T:
    """The result of something that cannot be stopped: a cancellation is raised when it has ended."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # heard: who is cancelled is told of nothing else
        raise
