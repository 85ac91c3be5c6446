"""What the host calls: one session for all three hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.api import Context, InvokeBand, Value, hook
from tobs_takeout.ranges import divided
from tobs_takeout.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from tobs.api import Invoke, Ranges


class Takeout:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._session = Session(required=bool(knobs["required"]), ranges=bool(knobs["ranges"]))

    @hook
    def tobs_invoke(self) -> tuple[InvokeBand, Callable[[Invoke], Invoke]]:
        """Every request of the run inside the session."""
        return InvokeBand.SESSION, self._session.layer

    @hook
    def tobs_ranges(self) -> Callable[[Ranges], Ranges]:
        """Private chats and basic groups by the server's ranges."""
        return divided(self._session.parts)

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:
        """The session, from before the first history request until the last file is there."""
        return self._session.held(ctx)
