"""What the host calls."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tobs.api import Agenda, Context, Lanes, MediaRef, Parts, UsageError, Value, hook
from tobs_parallel_media.agenda import SharedAgenda
from tobs_parallel_media.parts import ParallelParts
from tobs_parallel_media.windows import Centres

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


class ParallelMedia:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._knobs = knobs
        self._shares = read_shares(str(knobs["shares"]))
        self._centres: Centres | None = None

    @hook
    def tobs_agenda(self, ctx: Context, work: Callable[[MediaRef], Awaitable[None]], lanes: Lanes) -> Agenda:
        """A priority queue a data centre."""
        return SharedAgenda(
            work,
            ctx.meters,
            lanes,
            self._shared(ctx),
            files=int(self._knobs["files"]),
            backlog=int(self._knobs["backlog"]),
            ageing=float(self._knobs["ageing"]),
            shares=self._shares,
        )

    @hook
    def tobs_parts(self, ctx: Context) -> Parts:
        """Parts of one file in parallel."""
        return ParallelParts(ctx, self._shared(ctx))

    def _shared(self, ctx: Context) -> Centres:
        """What agenda and parts both look at. The pool is asked for when it is used."""
        if self._centres is None:
            self._centres = Centres(
                lambda: ctx.pool, most=int(self._knobs["parts"]), reserve=float(self._knobs["reserve"])
            )
        return self._centres


def read_shares(text: str) -> dict[str, float]:
    """Parse `photo=2,video_file=1`. Raises `UsageError` for anything else."""
    shares: dict[str, float] = {}
    for item in filter(None, (piece.strip() for piece in text.split(","))):
        kind, _, weight = (piece.strip() for piece in item.partition("="))
        try:
            share = float(weight)
        except ValueError:
            share = 0.0
        if not kind or not 0 < share < inf:
            raise UsageError(
                f"parallel_media.shares: {item!r} is no weight above 0", hint="Write for example photo=2,video_file=1."
            )
        shares[kind] = share
    return shares
