"""Faults to be planted in an export, as a plugin: a disk that syncs slowly, commits that wait or burn processor time.

experiments/planted.py announces it to the runs that it starts. It changes what lies below every port, so that the run
and its plugins are the ones that are always run.
"""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tobs.api import Knob, Manifest, Value, hook
from tobs.archive import store
from tobs_disk_io import system

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

manifest = Manifest(
    name="planted_faults",
    summary="Makes an export slow in a known way.",
    load="planted_faults:PlantedFaults",
    knobs=(
        Knob("sync_ms", 0, "What each sync of a file takes beside.", low=0, high=10_000, unit="ms", tune=False),
        Knob("commit_ms", 0, "What each commit waits.", low=0, high=10_000, unit="ms", tune=False),
        Knob("burn_ms", 0, "Processor time that each commit takes beside.", low=0, high=10_000, unit="ms", tune=False),
    ),
    default=False,
)


class PlantedFaults:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._sync, self._commit, self._burn = (
            float(knobs[name]) / 1000 for name in ("sync_ms", "commit_ms", "burn_ms")
        )

    @hook
    def tobs_lifespan(self) -> AbstractAsyncContextManager[None]:
        """Faults for as long as the run lasts."""
        return self._planted()

    @asynccontextmanager
    async def _planted(self) -> AsyncIterator[None]:
        commit = store.Store.commit

        async def late(own: store.Store, batch: Any) -> None:
            time.sleep(self._commit)  # noqa: ASYNC251 - as SQLite does when its disk is slow: the loop waits
            spent = time.thread_time() + self._burn
            while time.thread_time() < spent:
                pass
            await commit(own, batch)

        planted: tuple[tuple[Any, str, Any], ...] = (
            (os, "fsync", slowed(os.fsync, self._sync)),
            (system, "sync_filesystem", slowed(system.sync_filesystem, self._sync)),
            (store.Store, "commit", late),
        )
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in planted]
        for owner, name, value in planted:
            setattr(owner, name, value)
        try:
            yield
        finally:
            for owner, name, value in kept:
                setattr(owner, name, value)


def slowed(call: Callable[..., Any], seconds: float) -> Callable[[int], Any]:
    """The same, after so many seconds."""

    def slow(fd: int) -> Any:
        time.sleep(seconds)
        return call(fd)

    return slow
