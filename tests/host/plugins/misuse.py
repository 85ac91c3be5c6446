"""Plugins that are wrong, each in one way."""

# ruff: noqa: ARG001, ARG002, ARG005, TC003 - a strategy takes what its port is given

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tobs.api import FetchBand, InvokeBand, UsageError, hook
from tobs.hookspecs import hook as raw_hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Mapping

    from tobs.api import Context, Value

# What is wrong here is wrong on purpose, so nothing is typed more than it must be.


class Plugin:
    def __init__(self, knobs: Mapping[str, Value]) -> None:
        self.knobs = knobs


class Unmakable(Plugin):
    def __init__(self, knobs: Mapping[str, Value]) -> None:
        super().__init__(knobs)
        raise ValueError("no tea left")


class Silent(Plugin):
    pass


class Misspelt(Plugin):
    @hook
    def tobs_sources(self, ctx: Context) -> Any: ...


class Unmarked(Plugin):
    def tobs_source(self, ctx: Context) -> Any: ...


class WrongArgument(Plugin):
    @hook
    def tobs_runner(self, context: Context) -> Any: ...


class Wrapping(Plugin):
    @raw_hook(wrapper=True)
    def tobs_submit(self) -> Generator[None, Any, Any]:
        return (yield)


class Async(Plugin):
    @hook
    async def tobs_submit(self) -> Any: ...


class Undeclared(Plugin):
    @hook
    def tobs_disk(self) -> Any: ...


class Nothing(Plugin):
    @hook
    def tobs_source(self) -> Any:
        return None


class Raises(Plugin):
    @hook
    def tobs_source(self) -> Any:
        raise KeyError("kettle")


class RaisesForTheUser(Plugin):
    @hook
    def tobs_source(self) -> Any:
        raise UsageError("shares = tea is no list", hint="Write photo=2.")


class Number(Plugin):
    @hook
    def tobs_source(self) -> Any:
        return 7


class NotAsync(Plugin):
    @hook
    def tobs_runner(self) -> Any:
        return lambda chat, ranges, flow: None


class AsyncSource(Plugin):
    @hook
    def tobs_source(self) -> Any:
        async def source(chat: Any, ranges: Any) -> Any: ...

        return source


class TooFewArguments(Plugin):
    @hook
    def tobs_runner(self) -> Any:
        async def runner(chat: Any) -> None: ...

        return runner


class HalfAnAgenda(Plugin):
    @hook
    def tobs_agenda(self) -> Any:
        class Agenda:
            async def put(self, refs: Any) -> None: ...

        return Agenda()


class AsyncMethod(Plugin):
    @hook
    def tobs_budget(self) -> Any:
        class Budget:
            async def hold(self, size: int, traffic: Any) -> None: ...

        return Budget()


class ClassForInstance(Plugin):
    @hook
    def tobs_agenda(self) -> Any:
        return Plugin


class NoBand(Plugin):
    @hook
    def tobs_invoke(self) -> Any:
        return lambda inner: inner


class AnotherBand(Plugin):
    @hook
    def tobs_invoke(self) -> Any:
        return FetchBand.SPARE, lambda inner: inner


class AsyncLayer(Plugin):
    @hook
    def tobs_submit(self) -> Any:
        async def layer(inner: Any) -> Any: ...

        return layer


class LayerOfTwo(Plugin):
    @hook
    def tobs_submit(self) -> Any:
        return lambda inner, outer: inner


class LayerMakesNothing(Plugin):
    @hook
    def tobs_submit(self) -> Any:
        return lambda inner: None


class LayerRaises(Plugin):
    @hook
    def tobs_submit(self) -> Any:
        def layer(inner: Any) -> Any:
            raise ZeroDivisionError("of the pot")

        return layer


class NoHandler(Plugin):
    @hook
    def tobs_log(self) -> Callable[[logging.Handler], Any]:
        return lambda handler: "handler"


class NoContextManager(Plugin):
    @hook
    def tobs_lifespan(self) -> Any:
        return object()


class NoProbe(Plugin):
    @hook
    def tobs_probe(self) -> Any:
        return object()


class Retrying(Plugin):
    @hook
    def tobs_invoke(self) -> Any:
        return InvokeBand.RETRY, lambda inner: inner


class TooEarly(Plugin):
    @hook
    def tobs_dial(self, ctx: Context) -> Any:
        return ctx.pool


class Scopeless(Plugin):
    @hook
    def tobs_dial(self, ctx: Context) -> Any:
        return ctx.state("moon")


class Breaking(Plugin):
    """Fails while the run goes on, where its knob says."""

    @hook
    def tobs_probe(self) -> Any:
        return self

    @hook
    @asynccontextmanager
    async def tobs_lifespan(self, ctx: Context) -> AsyncIterator[None]:
        self.fail("enter")
        try:
            yield
        except ValueError:
            if self.knobs["where"] != "swallow":
                raise
        self.fail("leave")

    def batch(self, page: Any, batch: Any, seconds: float) -> None:
        self.fail("batch")
        self.fail("swallow")

    def file(self, outcome: Any, seconds: float) -> None:
        self.fail("file")

    def attempt(self, attempt: Any) -> None:
        self.fail("attempt")

    def flood(self, method: str, seconds: float) -> None: ...

    def fail(self, where: str) -> None:
        if self.knobs["where"] == where:
            raise ValueError(f"no sugar in {where}")
