"""A handler around a handler: what passes the limit is kept and written in one go."""

from __future__ import annotations

import copy
import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs_log_rate_limit.sites import Sites

LASTING = frozenset({str, int, float, bool, bytes, type(None)})
"""Types whose values say tomorrow what they say today."""
PLAIN = (logging.StreamHandler.emit, logging.FileHandler.emit)
"""Ways to emit that write one text to one stream, and so can write many."""


class LimitedHandler(logging.Handler):
    """Stands before `inner`, which is left open: whoever made it closes it.

    Records below WARNING are limited by `sites`, kept unformatted and written when there are `batch` of them, when the
    first has waited `seconds`, or before whatever is not kept. WARNING and above pass at once, in order. At the
    interpreter's end logging itself flushes every handler, the latest made first, so this one before `inner`.
    """

    def __init__(self, inner: logging.Handler, sites: Sites, batch: int, seconds: float) -> None:
        super().__init__(inner.level)
        self._inner = inner
        self._sites = sites
        self._batch = batch
        self._seconds = seconds
        self._kept: list[logging.LogRecord] = []
        self._due = threading.Event()
        self._ended = threading.Event()
        self._timer: threading.Thread | None = None
        assert self.lock is not None
        self._held = self.lock
        if hasattr(os, "register_at_fork"):
            mine = weakref.WeakMethod(self._forked)
            os.register_at_fork(after_in_child=lambda: _call(mine()))

    def handle(self, record: logging.LogRecord) -> bool:
        """Keep, write or count one record; whether it will be written."""
        inner = self._inner
        if inner.filters:
            passed: object = inner.filter(record)  # since Python 3.12 it may be another record
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):
                record = passed
        with self._held:
            if record.levelno >= logging.WARNING or self._ended.is_set():
                self._kept.append(record)
                self._write()
                return True
            if not self._sites.allow(record):
                if not self._due.is_set():
                    self._arm()
                return False
            self._kept.append(record if _lasts(record) else _said(record))
            if len(self._kept) >= self._batch:
                self._write()
            elif not self._due.is_set():
                self._arm()
            return True

    def emit(self, record: logging.LogRecord) -> None:
        """As `handle`: what is emitted is limited too."""
        self.handle(record)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - logging's name
        """Formats are the inner handler's."""
        self._inner.setFormatter(fmt)

    def flush(self) -> None:
        """Write what is kept, and how much was suppressed."""
        with self._held:
            self._kept += self._sites.summaries()
            self._write()

    def close(self) -> None:
        """Write what is left and end the timer; what still comes passes unlimited. `inner` stays open."""
        with self._held:
            self._ended.set()
            self._due.set()
            self.flush()
        # The timer is not waited for: at the interpreter's end logging holds the lock that it may be waiting for.
        super().close()

    def _write(self) -> None:
        """Hand the kept records on; the lock is held, so nothing overtakes them."""
        records, self._kept = self._kept, []
        if not records:
            return
        inner = self._inner
        inner.acquire()
        try:
            emit = getattr(type(inner), "emit", None)
            if isinstance(inner, logging.StreamHandler) and emit in PLAIN and inner.stream is not None:
                _write_text(inner, records)
            else:
                for record in records:
                    inner.emit(record)
        finally:
            inner.release()

    def _arm(self) -> None:
        """Have the timer write in `seconds`."""
        self._due.set()
        if self._timer is None:
            self._timer = threading.Thread(target=self._tick, name="log_rate_limit", daemon=True)
            self._timer.start()

    def _tick(self) -> None:
        while not self._ended.is_set():
            self._due.wait()
            if self._ended.wait(self._seconds):
                return
            with self._held:
                self._due.clear()
                self.flush()

    def _forked(self) -> None:
        """In a child: the parent writes what it kept, and its thread is not here."""
        self._kept.clear()
        self._sites.summaries()
        self._due, self._ended = threading.Event(), threading.Event()
        self._timer = None


def _write_text(inner: logging.StreamHandler[Any], records: Sequence[logging.LogRecord]) -> None:
    """Format all and write them in one call; a record that cannot be formatted is reported and left out."""
    lines: list[str] = []
    for record in records:
        try:
            lines.append(inner.format(record) + inner.terminator)
        except Exception:  # noqa: BLE001 - as logging does with whatever a record raises
            inner.handleError(record)
    try:
        inner.stream.write("".join(lines))
        inner.flush()
    except Exception:  # noqa: BLE001
        inner.handleError(records[-1])


def _call(function: Callable[[], None] | None) -> None:
    if function is not None:
        function()


def _lasts(record: logging.LogRecord) -> bool:
    """Whether the record would say later what it says now."""
    args = record.args
    if type(record.msg) is not str:
        return False
    return not args or (type(args) is tuple and all(type(arg) in LASTING for arg in args))


def _said(record: logging.LogRecord) -> logging.LogRecord:
    """A copy that has its text already: what it speaks of may change before it is written."""
    fixed = copy.copy(record)
    try:
        fixed.msg, fixed.args = record.getMessage(), None
    except Exception:  # noqa: BLE001 - what is wrong with it is said where it is written
        return record
    return fixed
