"""Coroutines that run together: all at once, in order, and none is left."""

from __future__ import annotations

import asyncio

import pytest

from tobs.tasks import together


class Calls:
    """Coroutines that wait until told to go on; who began and who was cancelled."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.cancelled: list[int] = []
        self.all_here = asyncio.Event()
        self.go_on = asyncio.Event()

    async def wait(self, number: int) -> int:
        self.began.append(number)
        if len(self.began) == 3:
            self.all_here.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            await asyncio.sleep(0)  # one that takes its time to end is waited for
            raise
        return number

    async def fail(self) -> int:
        await self.all_here.wait()
        raise ValueError("this one")


def left() -> set[asyncio.Task[None]]:
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


async def test_all_run_at_once_and_their_results_keep_the_order() -> None:
    calls = Calls()
    running = asyncio.ensure_future(together(calls.wait(number) for number in (3, 1, 2)))
    await calls.all_here.wait()
    calls.go_on.set()
    assert await running == [3, 1, 2]
    assert calls.cancelled == []
    assert left() == set()


async def test_the_first_failure_is_raised_and_the_others_end() -> None:
    calls = Calls()
    with pytest.raises(ValueError, match="this one"):
        await together([calls.wait(1), calls.fail(), calls.wait(2), calls.wait(3)])
    assert calls.cancelled == [1, 2, 3]
    assert left() == set()


async def test_all_end_when_cancelled() -> None:
    calls = Calls()
    running = asyncio.ensure_future(together(calls.wait(number) for number in (1, 2, 3)))
    await calls.all_here.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert calls.cancelled == [1, 2, 3]
    assert left() == set()


async def test_nothing_to_run_is_no_result() -> None:
    assert await together([]) == []
