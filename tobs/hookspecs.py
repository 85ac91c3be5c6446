"""The hooks. Each is called once, while a run is assembled; what it returns is folded into the engine's graph.

One, `tobs_advise`, is no part of a run: `tobs advise` calls it about a run that has ended.

A plugin is a class. It is made with its knobs, and implements the hooks it wants as methods marked `@hook`. A
method takes any of the arguments below by name. A **slot** hook returns the strategy that takes the baseline's
place; a **layers** hook returns a function that wraps what it is given, where needed with the band it belongs to.
`ctx` is what core offers, see `tobs.ports.Context`; a port's contract stands at its protocol in `tobs.ports`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from tobs.advice import Advice, RunRecord
    from tobs.ports import (
        Agenda,
        ArchiveWrite,
        Budget,
        Context,
        Dial,
        Disk,
        Fetch,
        FetchBand,
        Filter,
        Invoke,
        InvokeBand,
        Journal,
        Lanes,
        Parts,
        Pool,
        Probe,
        Ranges,
        Runner,
        Source,
        Submit,
        Transform,
        Write,
    )
    from tobs.values import MediaRef

PROJECT = "tobs"
spec = pluggy.HookspecMarker(PROJECT)
hook = pluggy.HookimplMarker(PROJECT)

SLOTS = ("source", "runner", "write", "agenda", "lanes", "pool", "parts", "disk", "journal", "budget")
"""Ports that hold one strategy; hook `tobs_NAME` fills one."""


class Hooks:
    """Every hook, in the order in which data passes its port."""

    @spec
    def tobs_ranges(self, ctx: Context) -> Callable[[Ranges], Ranges]:  # type: ignore[empty-body]
        """Layer: divide a chat's id space otherwise, or give ranges a layer for their requests."""

    @spec
    def tobs_source(self, ctx: Context) -> Source:  # type: ignore[empty-body]
        """Slot: read ranges into pages."""

    @spec
    def tobs_filter(self, ctx: Context) -> Callable[[Filter], Filter]:  # type: ignore[empty-body]
        """Layer: drop from pages, before they are made into rows, what the archive holds already."""

    @spec
    def tobs_runner(self, ctx: Context) -> Runner:  # type: ignore[empty-body]
        """Slot: drive source, normalise, write and submit."""

    @spec
    def tobs_write(self, ctx: Context, write: ArchiveWrite) -> Write:  # type: ignore[empty-body]
        """Slot: keep batches; `write` is the archive's own, which the strategy may tune and drive otherwise."""

    @spec
    def tobs_submit(self, ctx: Context) -> Callable[[Submit], Submit]:  # type: ignore[empty-body]
        """Layer: accept references before they are finished; whoever does so works them off in a lifespan.

        Such a layer is an object with an async method `drain`, see `tobs.ports.Submit`.
        """

    @spec
    def tobs_agenda(  # type: ignore[empty-body]
        self, ctx: Context, work: Callable[[MediaRef], Awaitable[None]], lanes: Lanes
    ) -> Agenda:
        """Slot: order files and decide how many move at once.

        `work` brings one file in and settles it; `lanes` says which data centre is served next.
        """

    @spec
    def tobs_lanes(self, ctx: Context) -> Lanes:  # type: ignore[empty-body]
        """Slot: choose the data centre that is asked for a file."""

    @spec
    def tobs_pool(self, ctx: Context, dial: Dial) -> Pool:  # type: ignore[empty-body]
        """Slot: own the senders; `dial` opens one."""

    @spec
    def tobs_invoke(self, ctx: Context) -> tuple[InvokeBand, Callable[[Invoke], Invoke]]:  # type: ignore[empty-body]
        """Layer around every request, in its band. A layer of band RETRY takes the place of core's own."""

    @spec
    def tobs_parts(self, ctx: Context) -> Parts:  # type: ignore[empty-body]
        """Slot: ask for a file's parts, and decide how many at once."""

    @spec
    def tobs_dial(self, ctx: Context) -> Callable[[Dial], Dial]:  # type: ignore[empty-body]
        """Layer: open senders otherwise, for example with keys that are stored."""

    @spec
    def tobs_fetch(self, ctx: Context) -> tuple[FetchBand, Callable[[Fetch], Fetch]]:  # type: ignore[empty-body]
        """Layer around the fetching of one file, in its band. One of band REPAIR takes the place of core's own."""

    @spec
    def tobs_disk(self, ctx: Context) -> Disk:  # type: ignore[empty-body]
        """Slot: write files."""

    @spec
    def tobs_journal(self, ctx: Context) -> Journal:  # type: ignore[empty-body]
        """Slot: keep what is there of a file that could not be finished, for the next attempt."""

    @spec
    def tobs_transform(self, ctx: Context) -> Callable[[Transform], Transform]:  # type: ignore[empty-body]
        """Layer around the deriving of a file (a thumbnail, a conversion); asked for where the user wants any."""

    @spec
    def tobs_budget(self, ctx: Context) -> Budget:  # type: ignore[empty-body]
        """Slot: bound the bytes in flight."""

    @spec
    def tobs_log(self, ctx: Context) -> Callable[[logging.Handler], logging.Handler]:  # type: ignore[empty-body]
        """Layer: what reaches each log handler; the returned one is closed at the end of the run."""

    @spec
    def tobs_probe(self, ctx: Context) -> Probe:  # type: ignore[empty-body]
        """Observer: told of batches, files, attempts and floods."""

    @spec
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:  # type: ignore[empty-body]
        """Around: entered before the first chat, left after the last; may start tasks that end with it."""

    @spec
    def tobs_advise(self, run: RunRecord) -> Advice:  # type: ignore[empty-body]
        """Advice: say from a run's metrics what limits it and what to change; the manifest provides `advice`.

        Asked by `tobs advise` alone, about a run that has ended; no other hook of the plugin is called then.
        """
