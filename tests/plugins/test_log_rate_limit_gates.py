"""log_rate_limit's gates: they spare the making of records, and nobody can tell from the log."""

from __future__ import annotations

import functools
import io
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs_log_rate_limit.handler import LimitedHandler
from tobs_log_rate_limit.keeper import Keeper
from tobs_log_rate_limit.sites import Sites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAYOUT = "%(levelname)s %(funcName)s %(lineno)d %(message)s"


class Loud:
    """A logger of its own below another one, and the handler that limits what they say."""

    def __init__(self, rate: float = 0.01, burst: int = 2) -> None:
        self.parent = logging.getLogger("tests.loud")
        self.parent.parent = None  # pytest's own handlers are looked for where nothing is propagated
        self.log = logging.getLogger("tests.loud.inside")
        self.stream = io.StringIO()
        self.inner = logging.StreamHandler(self.stream)
        self.keeper = Keeper(3600.0, Sites(rate, burst, 100, "call"))
        self.handler = LimitedHandler(self.inner, Sites(rate, burst, 100), 1000, self.keeper)
        self.parent.addHandler(self.handler)
        self.parent.setLevel(logging.DEBUG)
        self.handled = 0
        own = self.handler._keep

        def counted(record: logging.LogRecord) -> bool:
            self.handled += 1
            return own(record)

        vars(self.handler)["_keep"] = counted

    def speak(self, times: int = 10) -> None:
        """Say the same from one place."""
        for number in range(times):
            self.log.debug("page %d", number)

    def gated(self) -> bool:
        """Whether there is a gate before the logger."""
        return "isEnabledFor" in vars(self.log)

    @property
    def lines(self) -> list[str]:
        """What was written after a flush."""
        self.handler.flush()
        return self.stream.getvalue().splitlines()

    def end(self) -> None:
        """Leave all as it was."""
        self.handler.close()
        self.parent.parent = logging.getLogger()
        for logger in (self.log, self.parent):
            logger.handlers.clear()
            logger.filters.clear()
            logger.setLevel(logging.NOTSET)


@contextmanager
def lasting(**more: Any) -> Iterator[Loud]:
    made = Loud(**more)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def loud() -> Iterator[Loud]:
    with lasting() as made:
        yield made


def test_what_would_be_suppressed_is_not_made_into_a_record(loud: Loud) -> None:
    loud.speak(50)
    assert loud.gated()
    assert loud.handled == 3, "the burst of 2, and the one that shows that the logger is too loud"
    assert loud.lines == ["page 0", "page 1", "48 more records suppressed of: page %d"]


def test_a_quiet_logger_has_no_gate_and_none_is_left_after_the_end(loud: Loud) -> None:
    loud.speak(2)
    assert not loud.gated()
    loud.speak(20)
    assert loud.gated()
    loud.handler.close()
    assert not loud.gated()
    loud.speak(2)
    assert loud.stream.getvalue().splitlines()[-2:] == ["page 0", "page 1"], "unlimited after the end"


def test_records_say_where_they_come_from_behind_a_gate(loud: Loud) -> None:
    loud.inner.setFormatter(logging.Formatter("%(filename)s %(funcName)s %(message)s"))
    loud.speak(5)

    def elsewhere() -> None:
        loud.log.debug("here")

    elsewhere()
    assert loud.gated()
    assert loud.lines[2] == f"{__file__.rpartition('/')[2].rpartition(chr(92))[2]} elsewhere here"


def test_one_place_does_not_silence_another(loud: Loud) -> None:
    loud.speak(5)
    loud.log.debug("once")
    loud.log.info("twice")
    assert [line for line in loud.lines if "suppressed" not in line] == ["page 0", "page 1", "once", "twice"]


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_what_has_weight_passes_a_gate(loud: Loud, level: int) -> None:
    loud.speak(5)
    for number in range(5):
        loud.log.log(level, "grave %d", number)
        loud.log.log(logging.DEBUG if number % 2 else level, "mixed %d", number)
    assert sum(line.startswith("grave") for line in loud.stream.getvalue().splitlines()) == 5
    assert sum(line.startswith("mixed") for line in loud.stream.getvalue().splitlines()) == 3 + 2


def test_who_asks_whether_a_level_is_on_is_told_the_truth(loud: Loud) -> None:
    loud.speak(5)
    assert loud.gated()
    for _ in range(5):
        assert loud.log.isEnabledFor(logging.DEBUG)
        assert logging.LoggerAdapter(loud.log, {}).isEnabledFor(logging.DEBUG)
    loud.log.setLevel(logging.INFO)
    assert not loud.log.isEnabledFor(logging.DEBUG)
    assert loud.lines[-1] == "3 more records suppressed of: page %d", "asking counts nothing"


def test_an_adapter_is_limited_where_it_is_called(loud: Loud) -> None:
    adapter = logging.LoggerAdapter(loud.log, {})
    for number in range(10):
        adapter.debug("adapted %d", number)
    adapter.debug("another")
    assert loud.handled == 4
    assert loud.lines == ["adapted 0", "adapted 1", "another", "8 more records suppressed of: adapted %d"]


def test_a_handler_that_comes_later_sees_everything(loud: Loud) -> None:
    loud.speak(5)
    assert loud.gated()
    other = io.StringIO()
    loud.log.addHandler(logging.StreamHandler(other))
    loud.speak(5)
    assert len(other.getvalue().splitlines()) == 5
    loud.log.handlers[0].setLevel(logging.INFO)
    before = loud.handled
    loud.speak(5)
    assert loud.handled == before, "one that takes no DEBUG is in nobody's way"
    assert loud.lines[-1] == "13 more records suppressed of: page %d"


@pytest.mark.parametrize("at", ["logger", "handler", "inner"])
def test_a_filter_sees_everything(loud: Loud, at: str) -> None:
    loud.speak(5)
    assert loud.gated()
    seen: list[str] = []

    def look(record: logging.LogRecord) -> bool:
        seen.append(record.getMessage())
        return True

    place: logging.Filterer = {"logger": loud.log, "handler": loud.handler, "inner": loud.inner}[at]
    place.addFilter(look)
    loud.speak(5)
    assert len(seen) == 5
    place.filters.clear()


class Own(logging.Logger):
    """A class of somebody's own."""


def own_class(loud: Loud, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loud.log, "__class__", Own)


def made(*args: Any, **more: Any) -> logging.LogRecord:
    """Another factory of records."""
    return logging.LogRecord(*args, **more)


def own_factory(loud: Loud, patch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - one of several
    patch.setattr(logging, "_logRecordFactory", made)


def changed_class(loud: Loud, patch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - one of several
    plain = logging.Logger.callHandlers

    @functools.wraps(plain)
    def seen(self: logging.Logger, record: logging.LogRecord) -> None:
        plain(self, record)

    patch.setattr(logging.Logger, "callHandlers", seen)


def changed_logger(loud: Loud, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(vars(loud.log), "handle", loud.log.handle)


@pytest.mark.parametrize("change", [own_class, own_factory, changed_class, changed_logger])
def test_where_somebody_else_stands_in_the_way_there_is_no_gate(
    loud: Loud, monkeypatch: pytest.MonkeyPatch, change: Callable[[Loud, pytest.MonkeyPatch], None]
) -> None:
    change(loud, monkeypatch)
    loud.speak(10)
    assert not loud.gated()
    assert loud.handled == 10
    assert loud.lines[-1] == "8 more records suppressed of: page %d"


def test_what_somebody_puts_in_a_gates_place_stays(loud: Loud) -> None:
    loud.speak(5)
    mine = logging.Logger.isEnabledFor.__get__(loud.log)
    vars(loud.log)["isEnabledFor"] = mine
    loud.handler.close()
    assert vars(loud.log).pop("isEnabledFor") is mine


def test_the_root_logger_may_have_a_gate_too(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    with lasting() as loud:
        monkeypatch.setattr(root, "handlers", [loud.handler])
        monkeypatch.setattr(root, "level", logging.DEBUG)
        root.manager._clear_cache()  # type: ignore[attr-defined]
        for _ in range(10):
            root.debug("rooted")
        assert loud.handled == 3
    root.manager._clear_cache()  # type: ignore[attr-defined]
    assert "isEnabledFor" not in vars(root)


def spoken(steps: list[tuple[int, int, float]], *, gates: bool) -> list[str]:
    """What is written of steps (place, level, pause), with a clock that stands still but for the pauses."""
    clock = [1_700_000_000.0]
    with (
        mock.patch("time.time", side_effect=lambda: clock[0]),
        mock.patch("time.time_ns", side_effect=lambda: int(clock[0] * 1e9)),
        mock.patch.object(logging, "_logRecordFactory", logging.LogRecord if gates else made),
        lasting(rate=2.0, burst=3) as loud,
    ):
        loud.inner.setFormatter(logging.Formatter(LAYOUT))
        for number, (place, level, pause) in enumerate(steps):
            clock[0] += pause
            if place == 0:
                loud.log.log(level, "first %d", number)
            elif place == 1:
                loud.log.log(level, "second %d", number)
            elif place == 2:
                loud.log.debug("third %d", number)
            else:
                loud.handler.flush()
        return loud.lines


pauses = st.sampled_from([0.0, 0.0, 0.125, 0.25, 0.5, 2.0, -0.25])
levels = st.sampled_from([logging.DEBUG, logging.DEBUG, logging.INFO, logging.WARNING])


@given(st.lists(st.tuples(st.integers(0, 3), levels, pauses), max_size=60))
def test_the_log_is_the_same_with_and_without_gates(steps: list[tuple[int, int, float]]) -> None:
    assert spoken(steps, gates=True) == spoken(steps, gates=False)
