"""The one takeout session of a run: begun or taken over, renewed once where it is lost, finished or kept."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tobs.api import LostError, RpcError, TobsError
from tobs_takeout import requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from telethon.tl.types import MessageRange

    from tobs.api import Call, Context, Invoke, State

log = logging.getLogger(__name__)
SCOPE = "takeout"
"""What requests inside a session count in. That the server counts them apart is assumed; Telethon's documentation has
it that some calls meet lower flood limits there."""
KEY = "session"
OUTSIDE = frozenset({requests.INIT, requests.FINISH, "auth.exportAuthorization"})
"""What is never wrapped by the layer: it makes or ends the session (its end is wrapped already), or is a login."""
LOST = "TAKEOUT_INVALID"
DELAYED = "TAKEOUT_INIT_DELAY"
ALLOW = (
    "Open Telegram on another of your devices, where a message from Telegram asks about a data export request, and "
    "allow it. Then run the same command again."
)


class TakeoutError(TobsError):
    """No takeout session can be had, and the run requires one."""


class Session:
    """Wraps each request of a run into its takeout session.

    A session that the server does not know any more is replaced once, requests that find out together share the new
    one; the next time the run goes on without a takeout, or raises `TakeoutError` where one is `required`.
    """

    def __init__(self, *, required: bool, ranges: bool) -> None:
        self._required = required
        self._ranges = ranges
        self._number: int | None = None
        self._parts: Sequence[MessageRange] = ()
        self._renewals = 1
        self._refused: TakeoutError | None = None
        self._turn = asyncio.Lock()
        self._ctx: Context

    def parts(self) -> Sequence[MessageRange]:
        """The server's split ranges; none without a session, or where they are not wanted."""
        return self._parts if self._ranges and self._number is not None else ()

    def layer(self, inner: Invoke) -> Invoke:
        """The SESSION layer: inside the session while there is one, as they are otherwise."""

        async def invoke(call: Call) -> Any:
            if call.method in OUTSIDE:
                return await inner(call)
            while True:
                if self._turn.locked():  # a session is being replaced: what is sent now would be refused
                    async with self._turn:
                        pass
                number = self._number
                if self._refused is not None:
                    raise self._refused
                if number is None:
                    return await inner(_plain(call))
                wrapped = replace(call, request=requests.in_takeout(number, call.request), scope=SCOPE)
                try:
                    return await inner(wrapped)
                except RpcError as error:
                    if error.name != LOST:
                        raise
                await self._replace(number)

        return invoke

    @asynccontextmanager
    async def held(self, ctx: Context) -> AsyncIterator[None]:
        """Around the run. Where it fails or is stopped, the session is left open for the next one."""
        self._ctx = ctx
        try:
            await self._open()
            yield
            await self._finish()
        finally:
            self._number = None

    @property
    def _state(self) -> State:
        return self._ctx.state("account")

    async def _open(self) -> None:
        await self._take_over()
        taken_over = self._number is not None
        if not taken_over:
            await self._begin()
        if self._number is not None and (self._ranges or taken_over):
            # One that was kept is found out here if it is gone, and replaced.
            try:
                self._parts = await self._ctx.invoke(requests.split())
            except RpcError as error:
                if self._number is not None:
                    log.warning("the server names no split ranges, so that chats are read whole: %s", error)
        self._renewals = 1

    async def _take_over(self) -> None:
        """Use what an earlier run left open, or finish it where it was begun for something else."""
        kept = self._state.get(KEY)
        number = kept.get("id")
        if type(number) is not int:
            return
        if kept.get("exports") == requests.EXPORTS:
            log.info("the takeout session of an earlier run is used again")
            self._number = number
        else:
            await self._end(number, success=False)

    async def _begin(self) -> None:
        """Begin a session, or be without one. What is known stays as it is where no answer comes."""
        try:
            begun = await self._ctx.invoke(requests.begin())
        except RpcError as error:
            if error.name == DELAYED and error.value is not None:
                said = f"Telegram lets a takeout begin in {_spoken(error.value)} at the earliest, for your security"
                self._without(said, ALLOW)
            else:
                self._without(f"Telegram begins no takeout: {error}", "Try again later, or export --without takeout.")
            return
        self._number = int(begun.id)
        self._state.put(KEY, {"id": self._number, "exports": requests.EXPORTS})

    async def _replace(self, lost: int) -> None:
        async with self._turn:
            if self._number != lost:
                return
            if not self._renewals:
                self._without(
                    "the takeout session was ended for the second time",
                    "Look whether another program exports this account: a takeout that begins ends the one before.",
                )
                return
            log.info("the server knows the takeout session no more; another is begun")
            await self._begin()
            self._renewals -= 1

    def _without(self, why: str, then: str) -> None:
        """Go on without a takeout, and say so. Raises `TakeoutError`, now and for all others, if one is required."""
        self._number = None
        self._state.put(KEY, {})
        if self._required:
            self._refused = TakeoutError(why, hint=then)
            raise self._refused
        log.warning("%s. The export goes on without a takeout, under the usual limits. %s", why, then)

    async def _finish(self) -> None:
        if self._number is not None:
            await self._end(self._number, success=True)

    async def _end(self, number: int, *, success: bool) -> None:
        """Finish a session. One that cannot be reached stays known, so that the next run finishes it."""
        try:
            await self._ctx.invoke(requests.finish(number, success=success))
        except RpcError as error:
            if error.name != LOST:
                log.warning("the takeout session could not be finished: %s", error)
                return
        except LostError as error:
            log.warning("the takeout session could not be finished, the next run will: %s", error)
            return
        self._state.put(KEY, {})


def _plain(call: Call) -> Call:
    """The request outside of a takeout, where nothing says that message ranges may be used."""
    if isinstance(call.request, requests.InMessagesRange):
        return replace(call, request=call.request.query)
    return call


def _spoken(seconds: int) -> str:
    """Seconds in words for a person: at most a few units off."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{-(-seconds // size)} {unit}"
    return f"{seconds} seconds"
