"""The bounded queues between two stages, of a given size or of one that is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tobs.api import MeteredQueue

if TYPE_CHECKING:
    from tobs.api import Context, Stage

SMALLEST = 2
"""Items that a queue holds before it is known to need more: one that is taken, one that comes meanwhile."""


def most_in_flight(ctx: Context, depth: int) -> int:
    """The most history requests that are in flight at once, where `depth` 0 means as many as core allows."""
    return depth or int(ctx.knobs["history_in_flight"])


def queue(ctx: Context, name: str, capacity: int, most: int, giver: Stage, taker: Stage) -> MeteredQueue[Any]:
    """A queue of `capacity` items; of 0 one that widens for bursts, up to `most`: no burst has more answers."""
    if capacity:
        return MeteredQueue(ctx.meters, name, capacity, giver, taker)
    return MeteredQueue(ctx.meters, name, min(SMALLEST, most), giver, taker, most=most)
