"""Watching a run: one task that ends with it, alarms in the log when they begin, and a view that may fail."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from tests.engine.virtual import virtually
from tobs.engine.tally import Tally
from tobs.host.watching import EVERY, Watching
from tobs.meters import Meters
from tobs.telemetry.live import Live

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from tobs.telemetry.alarms import Alarm
    from tobs.telemetry.live import Snapshot


class Looks:
    """Keeps what it is shown."""

    def __init__(self, every: float = 3.0) -> None:
        self.every = every
        self.seen: list[tuple[float, list[str]]] = []

    def __call__(self, now: Snapshot, alarms: Mapping[str, Alarm]) -> None:
        self.seen.append((now.seconds, list(alarms)))


def live(free: int = 10**12) -> Live:
    meters = Meters()
    meters.lane(2).wanted = 10**9
    made = Live(meters, Tally(), clock=asyncio.get_running_loop().time)
    made.free = lambda: free
    return made


def test_a_run_is_shown_every_so_often_and_at_its_end() -> None:
    async def main() -> None:
        looks = Looks()
        async with Watching(live(), looks) as watching:
            await asyncio.sleep(7)
        assert looks.seen == [(0, []), (3, []), (6, []), (7, [])]
        assert watching.rest() == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtually(main)


def test_one_who_wants_to_see_it_seldom_is_warned_as_soon(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        looks, made = Looks(every=60.0), live()
        async with Watching(made, looks):
            await asyncio.sleep(5)
            made.free = lambda: 10
            assert not caplog.records
            await asyncio.sleep(2 * EVERY)
            assert len(caplog.records) == 1
            assert looks.seen == [(0, [])]
            await asyncio.sleep(120)
        assert [at for at, _ in looks.seen] == [0, 60, 120, 5 + 2 * EVERY + 120]

    with caplog.at_level(logging.WARNING, "tobs.host.watching"):
        virtually(main)


def test_an_alarm_is_logged_once_whether_or_not_somebody_watches(caplog: pytest.LogCaptureFixture) -> None:
    async def main(looks: Looks | None) -> list[str]:
        async with Watching(live(free=10), looks) as watching:
            await asyncio.sleep(10 * EVERY)
        return watching.rest()

    for looks in (None, Looks()):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            rest = virtually(partial(main, looks))
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert record.getMessage().startswith("About 1.0 GB of files are still to come")
        assert rest == [record.getMessage()]
        if looks is not None:
            assert {tuple(names) for _, names in looks.seen} == {("disk",)}


def test_a_view_that_fails_is_closed_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Looks):
        def __call__(self, now: Snapshot, alarms: Mapping[str, Alarm]) -> None:
            super().__call__(now, alarms)
            raise ValueError("no picture")

    async def main() -> None:
        looks = Broken()
        async with Watching(live(), looks):
            await asyncio.sleep(30)
        assert len(looks.seen) == 1

    virtually(main)
    assert "no picture" in caplog.text


def test_a_run_that_cannot_be_looked_at_goes_on() -> None:
    async def main() -> None:
        looks, made = Looks(), live()
        made.held = lambda: 1 / 0  # type: ignore[assignment,return-value]
        async with Watching(made, looks):
            await asyncio.sleep(30)
        assert looks.seen == []

    virtually(main)


def test_a_run_that_is_stopped_leaves_no_task() -> None:
    async def main() -> None:
        async def run() -> None:
            async with Watching(live(), Looks()):
                await asyncio.sleep(100)

        task = asyncio.ensure_future(run())
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtually(main)
