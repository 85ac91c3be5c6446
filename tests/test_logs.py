"""What code that logs may use: nothing happens without a limiter, and what the limiter says with one."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from tobs import api
from tobs.api import UNLIMITED, LogBatcher, LogSite, log_limiter, rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger("tests.logs")


class Limiter:
    """Allows so many calls, and keeps what it was asked."""

    def __init__(self, calls: int = 0) -> None:
        self.calls = calls
        self.asked: list[LogSite] = []
        self.flushed = 0

    def allow(self, site: LogSite) -> bool:
        self.asked.append(site)
        return len(self.asked) <= self.calls

    def flush(self) -> None:
        self.flushed += 1


class Heard(logging.Handler):
    """Keeps the records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def test_without_a_limiter_a_function_is_called_each_time() -> None:
    calls: list[tuple[int, str]] = []

    @rate_limited
    def report(number: int, *, why: str) -> None:
        calls.append((number, why))

    for number in range(100):
        report(number, why="because")
    assert calls == [(number, "because") for number in range(100)]


def test_a_function_is_called_as_often_as_the_limiter_allows() -> None:
    calls: list[int] = []

    @rate_limited(rate=3, burst=7, level=logging.DEBUG)
    def report(number: int) -> None:
        """Say it."""
        calls.append(number)

    limiter = Limiter(calls=2)
    with log_limiter(limiter):
        for number in range(5):
            report(number)
    report(9)
    assert calls == [0, 1, 9]
    assert len(limiter.asked) == 5
    assert {limiter.asked[0]} == set(limiter.asked)
    site = limiter.asked[0]
    code = inspect.unwrap(report).__code__
    assert (site.logger, site.level, site.rate, site.burst) == (__name__, logging.DEBUG, 3, 7)
    assert (site.file, site.line) == (__file__, code.co_firstlineno)
    assert site.function.endswith("report")
    assert report.__doc__ == "Say it."


def test_of_several_limiters_the_last_decides_in_whatever_order_they_leave() -> None:
    first, second = Limiter(), Limiter()
    outer, inner = log_limiter(first), log_limiter(second)
    calls: list[int] = []
    report = rate_limited(lambda: calls.append(1))
    outer.__enter__()
    inner.__enter__()
    report()
    outer.__exit__(None, None, None)
    report()
    inner.__exit__(None, None, None)
    report()
    assert (len(first.asked), len(second.asked), calls) == (0, 2, [1])


def test_a_limiter_is_gone_when_its_block_fails() -> None:
    limiter = Limiter()
    with pytest.raises(KeyError), log_limiter(limiter):
        raise KeyError
    rate_limited(lambda: None)()
    assert not limiter.asked


def test_threads_are_limited_too() -> None:
    limiter = Limiter()
    report = rate_limited(lambda: None)
    with log_limiter(limiter):
        thread = threading.Thread(target=report)
        thread.start()
        thread.join()
    assert len(limiter.asked) == 1


@pytest.mark.parametrize(
    "limits",
    [{"rate": 0}, {"rate": -1.0}, {"burst": 0}, {"level": logging.WARNING}, {"level": logging.CRITICAL}],
    ids=str,
)
def test_limits_that_cannot_be_meant_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="report"):

        @rate_limited(**limits)
        def report() -> None:
            """Never called."""


def test_what_is_no_plain_function_is_refused() -> None:
    async def report() -> None:
        """Never awaited."""

    def lines() -> Iterator[str]:
        yield "never iterated"

    for wrong in (report, lines, functools.partial(print, "no function")):
        with pytest.raises(TypeError, match="cannot be limited"):
            rate_limited(cast("Callable[[], None]", wrong))


def test_a_batcher_without_a_limiter_logs_at_once(heard: Heard) -> None:
    with LogBatcher(log) as batch:
        for number in range(3):
            batch.add("skipped %d", number)
            assert len(heard.records) == number + 1
        batch.flush()
    assert [record.getMessage() for record in heard.records] == ["skipped 0", "skipped 1", "skipped 2"]
    assert {record.levelno for record in heard.records} == {logging.INFO}
    assert {record.funcName for record in heard.records} == {"test_a_batcher_without_a_limiter_logs_at_once"}


def test_a_batcher_marks_its_records_and_flushes_at_its_end_whatever_happens(heard: Heard) -> None:
    limiter = Limiter()
    with log_limiter(limiter):
        with pytest.raises(KeyError), LogBatcher(log, logging.ERROR) as batch:  # noqa: PT012 - it is the block that counts
            batch.add("no argument, %s no harm")
            assert limiter.flushed == 0
            raise KeyError
        assert limiter.flushed == 1
    assert [getattr(record, UNLIMITED) for record in heard.records] == [True]
    assert heard.records[0].getMessage() == "no argument, %s no harm"


def test_a_batcher_below_the_loggers_level_says_nothing(heard: Heard) -> None:
    with LogBatcher(log, logging.DEBUG) as batch:
        batch.add("not wanted")
    assert not heard.records


def test_plugins_find_them_at_their_door() -> None:
    assert {"LogBatcher", "LogLimiter", "LogSite", "log_limiter", "rate_limited", "UNLIMITED"} <= set(api.__all__)
