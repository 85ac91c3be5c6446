"""What a run derives from the files that it brings in, joined with the plugins' layers around it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.archive.transform.children import Children, Limits
from tobs.archive.transform.derived import Derived
from tobs.archive.transform.recipes import chosen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tobs.archive.archive import Archive
    from tobs.engine.graph import Line
    from tobs.knobs import Value
    from tobs.meters import Meters
    from tobs.ports import Transform
    from tobs.values import Job


@asynccontextmanager
async def derived_beside(line: Line, archive: Archive) -> AsyncIterator[Derived | None]:
    """What derives files while the export goes on; None where nothing is to be derived.

    Afterwards no process of it is left. Plugins are asked for their layers only where something is to be derived.
    """
    recipes = chosen(str(line.knobs["transforms"]))
    if not recipes:
        yield None
        return
    limits = limits_of(line.knobs)
    children = Children(limits)
    transform: Transform = children
    for layer in line.wiring.layers("transform"):
        transform = layer(transform)
    derived = Derived(archive.folder, recipes, _timed(transform, line.meters), limits, archive.derivable, line.meters)
    line.probes.append(derived)
    try:
        await derived.start()
        yield derived
    finally:
        line.probes.remove(derived)
        await derived.close()
        await children.close()


def _timed(transform: Transform, meters: Meters) -> Transform:
    """The same, as a step of the run."""
    step = meters.step("transform")

    async def timed(job: Job) -> None:
        with step:
            await transform(job)

    return timed


def limits_of(knobs: Mapping[str, Value]) -> Limits:
    """Core's knobs for it; no number of workers means one for each processor that this process may use."""
    workers = int(knobs["transform_workers"]) or _processors()
    return Limits(workers, int(knobs["transform_memory_mb"]), int(knobs["transform_seconds"]))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
