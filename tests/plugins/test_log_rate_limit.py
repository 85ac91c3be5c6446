"""log_rate_limit: what is logged, what is not, when it is written, and that nothing of weight is lost."""

from __future__ import annotations

import gc
import io
import logging
import subprocess
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs.api import Manifest
from tobs.knobs import read
from tobs_log_rate_limit import manifest
from tobs_log_rate_limit.handler import LimitedHandler
from tobs_log_rate_limit.keeper import Keeper
from tobs_log_rate_limit.plugin import LogRateLimit
from tobs_log_rate_limit.sites import Sites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NEVER = 3600.0


class Watched(io.StringIO):
    """A stream that counts its writes and says when one came."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.written = threading.Event()

    def write(self, text: str) -> int:
        self.writes += 1
        done = super().write(text)
        self.written.set()
        return done

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


class Costly:
    """Counts how often it is made into text."""

    def __init__(self) -> None:
        self.shown = 0

    def __str__(self) -> str:
        self.shown += 1
        return "costly"


@pytest.fixture
def stream() -> Watched:
    return Watched()


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.limited")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger
    for handler in list(logger.handlers):
        handler.close()
    logger.handlers.clear()


def limited(
    log: logging.Logger, inner: logging.Handler, *, rate: float = 0.01, burst: int = 2, batch: int = 1000, **more: Any
) -> LimitedHandler:
    """A handler on `log` with a rate that adds nothing while a test runs."""
    keeper = Keeper(more.pop("seconds", NEVER), Sites(rate, burst, 100, "call"))
    handler = LimitedHandler(inner, Sites(rate, burst, more.pop("sites", 100)), batch, keeper)
    log.addHandler(handler)
    return handler


def record(
    line: int = 1, *, at: float = 0.0, level: int = logging.DEBUG, msg: object = "said", args: tuple[object, ...] = ()
) -> logging.LogRecord:
    """A record made by hand, which no other handler sees."""
    made = logging.LogRecord("some", level, "file.py", line, msg, args, None)
    made.created = at
    return made


def test_a_site_writes_its_burst_and_says_how_much_it_left_out(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream))
    for number in range(50):
        log.debug("page %d", number)
    handler.flush()
    assert stream.lines == ["page 0", "page 1", "48 more records suppressed of: page %d"]


def test_each_site_is_limited_for_itself(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=1)
    for _ in range(3):
        log.debug("one")
        log.debug("two")
    handler.flush()
    assert stream.lines == ["one", "two", "2 more records suppressed of: one", "2 more records suppressed of: two"]


def test_what_is_told_is_not_told_again(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=1)
    for _ in range(2):
        for _ in range(2):
            log.debug("again")
        handler.flush()
    handler.flush()
    assert stream.lines == ["again", "1 more record suppressed of: again", "2 more records suppressed of: again"]


def test_a_suppressed_record_formats_nothing(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=2)
    costly = Costly()
    for _ in range(10):
        handler.handle(record(msg="it is %s", args=(costly,)))
    handler.flush()
    assert costly.shown == 2


def test_a_suppressed_message_that_is_an_object_is_not_made_into_text(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=1)
    costly = Costly()
    for _ in range(10):
        handler.handle(record(msg=costly))
    handler.flush()
    assert costly.shown == 1
    assert stream.lines == ["costly", "9 more records suppressed of: <Costly>"]


def test_records_are_written_in_one_go(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=100, batch=10)
    for number in range(25):
        log.info("line %d", number)
    assert stream.writes == 2
    handler.flush()
    assert stream.writes == 3
    assert stream.lines == [f"line {number}" for number in range(25)]


def test_a_record_says_what_was_true_when_it_was_logged(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=10)
    held = [1]
    log.debug("held %s", held)
    held.append(2)
    handler.flush()
    assert stream.lines == ["held [1]"]


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_what_has_weight_passes_at_once_in_order_and_unlimited(
    log: logging.Logger, stream: Watched, level: int
) -> None:
    limited(log, logging.StreamHandler(stream), burst=1)
    log.debug("before")
    for number in range(5):
        log.log(level, "grave %d", number)
    assert stream.lines == ["before", *(f"grave {number}" for number in range(5))]


def test_an_exception_is_written_with_its_traceback(log: logging.Logger, stream: Watched) -> None:
    limited(log, logging.StreamHandler(stream))
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        log.exception("it failed")
    assert stream.lines[0] == "it failed"
    assert stream.lines[-1] == "RuntimeError: broken"


def test_the_timer_writes_without_anybody_asking(log: logging.Logger, stream: Watched) -> None:
    limited(log, logging.StreamHandler(stream), burst=1, seconds=0.01)
    log.info("alone")
    assert stream.written.wait(30)
    assert stream.lines == ["alone"]
    stream.written.clear()
    log.info("another")
    assert stream.written.wait(30), "the timer goes on after its first round"


def test_the_timer_tells_of_suppressed_records_too(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=1, seconds=0.01)
    handler.handle(record())
    handler.flush()
    stream.written.clear()
    handler.handle(record())
    assert stream.written.wait(30)
    assert stream.lines[-1] == "1 more record suppressed of: said"


def test_closing_writes_what_is_left_and_leaves_the_inner_handler_open(log: logging.Logger, tmp_path: Path) -> None:
    inner = logging.FileHandler(tmp_path / "log")
    handler = limited(log, inner, burst=1)
    log.debug("last")
    handler.close()
    assert (tmp_path / "log").read_text() == "last\n"
    inner.handle(record(msg="afterwards"))
    for _ in range(3):
        log.debug("late")
    assert (tmp_path / "log").read_text().splitlines() == ["last", "afterwards", "late", "late", "late"]
    inner.close()


def test_formats_levels_and_filters_are_the_inner_handlers(log: logging.Logger, stream: Watched) -> None:
    inner = logging.StreamHandler(stream)
    inner.setLevel(logging.INFO)
    inner.addFilter(lambda seen: "secret" not in seen.getMessage())
    handler = limited(log, inner, burst=1)
    handler.setFormatter(logging.Formatter("%(levelname)s %(lineno)d %(message)s"))
    log.debug("below the level")
    for text in ("secret", "open"):
        log.info(text)
    handler.flush()
    (line,) = stream.lines
    assert line.startswith("INFO ")
    assert line.endswith(" open"), "what the filter drops takes nothing of the burst"


def test_a_handler_of_another_kind_gets_every_record(log: logging.Logger) -> None:
    class Listed(logging.Handler):
        seen: list[str]

        def emit(self, seen: logging.LogRecord) -> None:
            self.seen.append(seen.getMessage())

    inner = Listed()
    inner.seen = []
    handler = limited(log, inner)
    for _ in range(3):
        log.info("told")
    assert inner.seen == []
    handler.flush()
    assert inner.seen == ["told", "told", "1 more record suppressed of: told"]


def test_a_file_that_is_opened_late_is_opened(log: logging.Logger, tmp_path: Path) -> None:
    inner = logging.FileHandler(tmp_path / "log", delay=True)
    handler = limited(log, inner)
    log.info("first")
    handler.flush()
    assert (tmp_path / "log").read_text() == "first\n"
    inner.close()


def test_one_record_that_cannot_be_formatted_harms_no_other(
    log: logging.Logger, stream: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(logging.StreamHandler, "handleError", lambda _, failed: reported.append(failed.msg))
    handler = limited(log, logging.StreamHandler(stream))
    for line, (text, args) in enumerate([("good", ()), ("bad %d %d", (1,)), ("well", ())]):
        handler.handle(record(line, msg=text, args=args))
    handler.flush()
    assert stream.lines == ["good", "well"]
    assert reported == ["bad %d %d"]


def test_a_stream_that_fails_does_not_reach_who_logs(
    log: logging.Logger, stream: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(logging.StreamHandler, "handleError", lambda _, failed: reported.append(failed.msg))
    limited(log, logging.StreamHandler(stream))
    stream.close()
    log.error("nobody hears")
    assert reported == ["nobody hears"]


def test_threads_lose_nothing_and_mix_no_lines(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=300, batch=7)

    def speak(who: int) -> None:
        for number in range(100):
            log.info("%d says %d", who, number)

    threads = [threading.Thread(target=speak, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.flush()
    said = [line for line in stream.lines if "suppressed" not in line]
    assert len(said) == len(set(said)) == 300
    assert stream.lines[-1] == "100 more records suppressed of: %d says %d"
    for who in range(4):
        order = [int(line.split()[-1]) for line in said if line.startswith(f"{who} ")]
        assert order == sorted(order)


def test_what_a_suppressed_record_carries_is_not_held(log: logging.Logger, stream: Watched) -> None:
    handler = limited(log, logging.StreamHandler(stream), burst=1)
    costly = Costly()
    gone = weakref.ref(costly)
    for _ in range(3):
        handler.handle(record(msg="%s", args=(costly,)))
    del costly
    gc.collect()
    assert gone() is None


def test_sites_are_bounded_and_none_is_forgotten_untold() -> None:
    sites = Sites(rate=0.01, burst=1, most=3)
    for line in range(1, 11):
        assert sites.allow(record(line))
        assert not sites.allow(record(line))
    told = [(summary.lineno, summary.getMessage()) for summary in sites.summaries()]
    assert told == [(line, "1 more record suppressed of: said") for line in range(1, 11)]
    assert sites.allow(record(1)), "the oldest made room and comes anew"
    assert not sites.allow(record(10))


def test_a_bucket_is_refilled_at_its_rate_and_no_higher_than_its_burst() -> None:
    sites = Sites(rate=2.0, burst=3, most=10)
    assert [sites.allow(record(at=100.0)) for _ in range(4)] == [True, True, True, False]
    assert [sites.allow(record(at=100.5)) for _ in range(2)] == [True, False]
    assert [sites.allow(record(at=900.0)) for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.floats(0, 100), max_size=60), st.floats(0.01, 100), st.integers(1, 20))
def test_no_more_than_burst_and_rate_allow(times: list[float], rate: float, burst: int) -> None:
    sites = Sites(rate, burst, 10)
    passed = sum(sites.allow(record(at=at)) for at in times)  # in any order: clocks are set back
    span = max(times, default=0.0) - min(times, default=0.0)
    assert passed <= burst + rate * span + 1e-6
    assert passed >= min(burst, len(times))
    told = sum(int(summary.getMessage().split()[0]) for summary in sites.summaries())
    assert passed + told == len(times)


def test_without_callers_the_template_is_the_site() -> None:
    sites = Sites(rate=0.01, burst=1, most=10)
    assert sites.allow(record(0, msg="one"))
    assert sites.allow(record(0, msg="two"))
    assert not sites.allow(record(0, msg="one"))


def test_the_plugin_makes_handlers_from_its_knobs(stream: Watched) -> None:
    values = read(manifest.knobs, {"burst": 3, "batch": 2}, where="test")
    layer: Callable[[logging.Handler], logging.Handler] = LogRateLimit(values).tobs_log(None)  # type: ignore[arg-type]
    handler = layer(logging.StreamHandler(stream))
    for _ in range(5):
        handler.handle(record())
    handler.close()
    assert stream.lines == ["said", "said", "said", "2 more records suppressed of: said"]


def test_the_manifest_is_light() -> None:
    assert isinstance(manifest, Manifest)
    program = "import sys, tobs_log_rate_limit; print('tobs_log_rate_limit.plugin' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
