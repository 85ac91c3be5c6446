"""log_rate_limit and what `tobs.api` offers: limited functions are told of, batched records are all there, in order."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.labs import serve, small
from tobs.api import LogBatcher, log_limiter, rate_limited
from tobs.host import run, settings
from tobs.host.logs import logged_through
from tobs.telegram.account import load
from tobs.testing.exports import planned
from tobs_log_rate_limit.handler import LimitedHandler
from tobs_log_rate_limit.keeper import Keeper
from tobs_log_rate_limit.plugin import LogRateLimit
from tobs_log_rate_limit.sites import Sites

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.export.labs import Served

__all__ = ["serve", "small"]
KNOBS = {"rate": 0.01, "burst": 2, "flush": 3600.0, "batch": 1000, "sites": 10}
log = logging.getLogger(__name__)


class Watched(io.StringIO):
    """A stream that counts its writes."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """What the one handler of the root logger writes to."""
    watched = Watched()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(watched)])
    levels = {root: root.level, (loop := logging.getLogger("asyncio")): loop.level}
    root.setLevel(logging.DEBUG)
    loop.setLevel(logging.INFO)
    yield watched
    for logger, level in levels.items():
        logger.setLevel(level)


async def within(work: Any) -> None:
    """Run `work` as a run of the plugin would."""
    plugin = LogRateLimit(KNOBS)
    with logged_through([plugin.tobs_log(None)]):  # type: ignore[arg-type]
        async with plugin.tobs_lifespan(None):  # type: ignore[arg-type]
            work()


def test_what_a_limited_function_left_out_is_told(stream: Watched) -> None:
    made: list[int] = []

    @rate_limited
    def report(number: int) -> None:
        made.append(number)
        log.info("the shape is %d", number)

    @rate_limited(burst=4, level=logging.DEBUG)
    def chatter() -> None:
        log.debug("chatter")

    def work() -> None:
        for number in range(10):
            report(number)
            chatter()

    asyncio.run(within(work))
    assert made == [0, 1]
    told = Counter(line for line in stream.lines if "suppressed" in line)
    where = "test_what_a_limited_function_left_out_is_told.<locals>"
    assert told == {
        f"8 more calls suppressed of: {where}.report": 1,
        f"6 more calls suppressed of: {where}.chatter": 1,
        "2 more records suppressed of: chatter": 1,
    }
    work()
    assert len(made) == 12, "after the run each call is one"


def test_a_function_whose_logger_says_nothing_is_not_told_of(stream: Watched) -> None:
    report = rate_limited(lambda: log.debug("unheard"))

    def work() -> None:
        log.setLevel(logging.WARNING)
        for _ in range(10):
            report()

    asyncio.run(within(work))
    log.setLevel(logging.NOTSET)
    assert stream.lines == []


def test_the_timer_tells_of_calls_as_well() -> None:
    told: list[str] = []
    done = asyncio.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())
            loop.call_soon_threadsafe(done.set)

    async def wait() -> None:
        async with asyncio.timeout(30):
            await done.wait()

    loop = asyncio.new_event_loop()
    keeper = Keeper(0.01, Sites(0.01, 1, 10, "call"))
    handler = LimitedHandler(Told(), Sites(1, 1, 1), 1000, keeper)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    report = rate_limited(lambda: None)
    with log_limiter(keeper):
        for _ in range(3):
            report()
        loop.run_until_complete(wait())
    loop.close()
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)
    handler.close()
    assert len(told) == 1
    assert told[0].startswith("2 more calls suppressed of: ")


def test_batched_records_are_all_written_in_order_in_few_writes(stream: Watched) -> None:
    def work() -> None:
        with LogBatcher(log) as batch:
            for number in range(50):
                batch.add("skipped %d", number)
                if number == 20:
                    log.info("between")
            assert stream.writes == 0
        assert stream.writes == 1

    asyncio.run(within(work))
    skipped = [f"skipped {number}" for number in range(50)]
    assert stream.lines == [*skipped[:21], "between", *skipped[21:]]


def test_a_batch_of_warnings_is_written_at_once(stream: Watched) -> None:
    def work() -> None:
        with LogBatcher(log, logging.WARNING) as batch:
            for number in range(3):
                batch.add("grave %d", number)
                assert stream.lines[-1] == f"grave {number}"

    asyncio.run(within(work))


def said(lab: Served, folder: Path, arm: str) -> tuple[Counter[str], int, str]:
    """What Telethon said of answers in an export, by logger and template; the lines, and the archive's digest."""
    folder.mkdir()
    root = logging.getLogger()
    handler = logging.FileHandler(folder / "log")
    handler.setFormatter(logging.Formatter("%(name)s|%(message)s"))
    root.handlers[:] = [handler]
    request = run.Request([str(lab.chat)], folder / "archive", state=folder / "state")
    report = asyncio.run(run.export(load(lab.server), settings.of_arm(arm), request, (), planned(arm)))
    handler.close()
    lines = (folder / "log").read_text().splitlines()
    count: Counter[str] = Counter()
    for line in lines:
        name, _, text = line.partition("|")
        more = re.fullmatch(r"(\d+) more records? suppressed of: (.*)", text)
        says = re.sub(r"\d+|%d", "N", more[2] if more else text)
        if says == "Handling RPC result for message N":
            count[f"{name}: {says}"] += int(more[1]) if more else 1
    return count, len(lines), report.digest


def test_an_export_tells_of_every_record_it_left_out(
    small: Served,
    tmp_path: Path,
    stream: Watched,  # noqa: ARG001 - keeps pytest's own handlers away
) -> None:
    plain, lines, digest = said(small, tmp_path / "off", "baseline")
    limits = "log_rate_limit.burst=2 log_rate_limit.rate=0.01"
    limited, fewer, same = said(small, tmp_path / "on", f"baseline +log_rate_limit {limits}")
    assert limited == plain
    assert sum(plain.values()) > 20
    assert fewer < lines / 3
    assert digest == same
    assert not [name for name, one in root_loggers() if "isEnabledFor" in vars(one)]


def root_loggers() -> list[tuple[str, logging.Logger]]:
    """Every logger there is."""
    made = logging.getLogger().manager.loggerDict.items()
    return [(name, one) for name, one in made if isinstance(one, logging.Logger)]
