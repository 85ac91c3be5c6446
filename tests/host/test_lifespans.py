"""A lifespan's own failures name its plugin, and it hides nobody else's."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.host.kit import by_name, plugin
from tests.host.plugins.misuse import Breaking
from tobs.errors import ArchiveError, PluginError
from tobs.host.wiring import NamedLifespan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MILK = "tests.host.plugins.misuse:Breaking"
FULL = ArchiveError("full", hint="Make room.")


@asynccontextmanager
async def tasks(failure: Exception | None = None) -> AsyncIterator[None]:
    """Holds a group of tasks, one of which may fail."""

    async def serve() -> None:
        if failure is not None:
            raise failure

    async with asyncio.TaskGroup() as group:
        group.create_task(serve())
        yield


@asynccontextmanager
async def untidy() -> AsyncIterator[None]:
    """Fails at its end."""
    try:
        yield
    finally:
        raise ValueError("crumbs")


@asynccontextmanager
async def late() -> AsyncIterator[None]:
    """Fails before it begins."""
    for reason in ("closed",):
        raise ValueError(reason)
    yield


@asynccontextmanager
async def deaf() -> AsyncIterator[None]:
    """Swallows whatever fails."""
    with suppress(Exception):
        yield


async def held(inner: AbstractAsyncContextManager[None], failure: BaseException | None = None) -> None:
    """Run, and perhaps fail, inside a lifespan of the plugin tea."""
    async with NamedLifespan("tea", inner):
        if failure is not None:
            raise failure
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.mark.parametrize("inner", [tasks, untidy, deaf])
async def test_what_failed_the_run_is_raised_whatever_the_lifespan_makes_of_it(
    inner: type[AbstractAsyncContextManager[None]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(ArchiveError) as failed:
        await held(inner(), FULL)
    assert failed.value is FULL
    assert [record.getMessage() for record in caplog.records] == (
        ["plugin tea failed at the end of its lifespan, too: ValueError: crumbs"] if inner is untidy else []
    )


async def test_its_own_failure_at_the_end_names_it() -> None:
    with pytest.raises(PluginError, match="plugin tea failed at the end of its lifespan: ValueError: crumbs"):
        await held(untidy())


async def test_its_own_failure_at_the_beginning_names_it() -> None:
    with pytest.raises(PluginError, match="plugin tea failed at the beginning of its lifespan: ValueError: closed"):
        await held(late())


async def test_a_task_of_it_that_fails_fails_the_run() -> None:
    with pytest.raises(PluginError, match="plugin tea failed at the end of its lifespan: KeyError: 'leaf'"):
        await held(tasks(KeyError("leaf")))


async def test_a_task_of_it_that_another_plugin_fails_names_that_one() -> None:
    other = Breaking({"where": "file"})

    async def serve() -> None:
        other.file(None, 0.0)

    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(serve())
            yield

    async def run() -> None:
        async with NamedLifespan("tea", serving(), by_name(plugin("tea"), plugin("milk", load=MILK))):
            await asyncio.Event().wait()

    with pytest.raises(PluginError, match="plugin milk failed: ValueError: no sugar in file") as failed:
        await run()
    assert failed.value.plugin == "milk"


async def test_an_error_for_the_user_from_a_task_of_it_reaches_the_user() -> None:
    with pytest.raises(ArchiveError) as failed:
        await held(tasks(FULL))
    assert failed.value is FULL


async def test_cancellation_stays_cancellation() -> None:
    entered = asyncio.Event()

    async def run() -> None:
        async with NamedLifespan("tea", tasks()):
            entered.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(run())
    await entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
