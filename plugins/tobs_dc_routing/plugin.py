"""What the host calls."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tobs.api import Context, InvokeBand, Lanes, Probe, Value, hook
from tobs_dc_routing.ahead import Ahead
from tobs_dc_routing.chats import Chats
from tobs_dc_routing.connections import Connections
from tobs_dc_routing.keys import Keys, dial_with, recover_with
from tobs_dc_routing.lanes import RoundRobin, Routing, Smart, Sticky, Strategy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from tobs.api import Attempt, Batch, Chat, Dial, Invoke, Page, Range, Ranges, Settled, Span


class Watch:
    """What the hooks share in one run; and the probe that keeps it up to date."""

    def __init__(self, ctx: Context, each: int) -> None:
        account = ctx.state("account")
        self.keys = Keys(account, ctx.home)
        self.chats = Chats(account)
        self.connections = Connections()
        self.ahead = Ahead(ctx, self.connections, each)

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        """Nothing: what is wanted of a batch is told to the lanes."""

    def file(self, outcome: Settled, seconds: float) -> None:  # noqa: ARG002 - the port
        """A file is waited for no more."""
        ref = outcome.ref
        if ref.dc:
            self.ahead.wait(ref.dc, -ref.size)
        if ref.dc and outcome.size:
            self.chats.saw(ref.chat_id, ref.dc, outcome.size)

    def attempt(self, attempt: Attempt) -> None:
        """A connection was used."""
        self.connections.used(attempt.connection)

    def flood(self, method: str, seconds: float) -> None:
        """Nothing: waits are core's."""


class DcRouting:
    """See the manifest."""

    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self._strategy = str(knobs["strategy"])
        self._each = int(knobs["ahead_kb"]) * 1024
        self._every = float(knobs["keep_alive"])
        self._watch: Watch | None = None

    def _of(self, ctx: Context) -> Watch:
        """Made with the first hook that is called."""
        if self._watch is None:
            self._watch = Watch(ctx, self._each)
        return self._watch

    @hook
    def tobs_lanes(self, ctx: Context) -> Lanes:
        """Each file's own data centre."""
        ahead = self._of(ctx).ahead
        strategies: dict[str, Callable[[], Strategy]] = {
            "smart": lambda: Smart(ahead.is_opening),
            "sticky": Sticky,
            "round_robin": RoundRobin,
        }
        return Routing(ahead, strategies[self._strategy]())

    @hook
    def tobs_dial(self, ctx: Context) -> Callable[[Dial], Dial]:
        """Connections by kept keys."""
        watch = self._of(ctx)
        return dial_with(watch.keys, watch.connections.opened)

    @hook
    def tobs_invoke(self, ctx: Context) -> tuple[InvokeBand, Callable[[Invoke], Invoke]]:
        """A new key where a kept one has lost its authorization."""
        return InvokeBand.SESSION, recover_with(self._of(ctx).keys)

    @hook
    def tobs_ranges(self, ctx: Context) -> Callable[[Ranges], Ranges]:
        """What the chat needed in earlier runs is opened while its first page comes."""
        watch = self._of(ctx)

        def layer(inner: Ranges) -> Ranges:
            async def ranges(chat: Chat, gaps: Sequence[Span]) -> list[Range]:
                for dc in watch.chats.centres(chat.id):
                    watch.ahead.want(dc, 1)
                return await inner(chat, gaps)

            return ranges

        return layer

    @hook
    def tobs_probe(self, ctx: Context) -> Probe:
        """What is no longer waited for, and when a connection was last used."""
        return self._of(ctx)

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:
        """Opening ahead and keeping alive end with the run; what was seen of its chats is kept."""
        return self._alive(self._of(ctx))

    @asynccontextmanager
    async def _alive(self, watch: Watch) -> AsyncIterator[None]:
        watch.ahead.open()
        pinging = asyncio.ensure_future(watch.connections.keep_alive(self._every)) if self._every else None
        try:
            yield
        finally:
            watch.chats.save()
            if pinging is not None:
                pinging.cancel()
                await asyncio.wait([pinging])
            await watch.ahead.close()
        if pinging is not None and not pinging.cancelled():
            pinging.result()
