"""A handler around a handler: what passes the limit is kept and written in one go."""

from __future__ import annotations

import copy
import logging
import time
from typing import TYPE_CHECKING, Any

from tobs.api import UNLIMITED
from tobs_log_rate_limit.forks import in_child

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs_log_rate_limit.keeper import Keeper
    from tobs_log_rate_limit.sites import Key, Sites

LASTING = frozenset({str, int, float, bool, bytes, type(None)})
"""Types whose values say tomorrow what they say today."""
PLAIN = (logging.StreamHandler.emit, logging.FileHandler.emit)
"""Ways to emit that write one text to one stream, and so can write many."""


class LimitedHandler(logging.Handler):
    """Stands before `inner`, which is left open: whoever made it closes it. Level and filters are `inner`'s.

    Records below WARNING are limited by `sites`, kept unformatted and written when there are `batch` of them, when
    `keeper` says that the first has waited for long enough, or before whatever is not kept. WARNING and above pass at
    once, in order. A logger that says more than the limit gets a gate (`Gates`), which asks `skip` before a record is
    made. At the interpreter's end logging itself flushes every handler, the latest made first, so this one before
    `inner`.
    """

    def __init__(self, inner: logging.Handler, sites: Sites, batch: int, keeper: Keeper) -> None:
        super().__init__(inner.level)
        self.filters = inner.filters  # the very list: what is added to either holds for both
        self._inner = inner
        self._sites = sites
        self._known, self._silenced = sites.known, sites.silenced
        self._batch = batch
        self._keeper = keeper
        self._kept: list[logging.LogRecord] = []
        self._ended = False
        assert self.lock is not None
        self._held = self.lock
        keeper.take(self)
        in_child(self._forked)

    def handle(self, record: logging.LogRecord) -> bool:
        """Keep, write or count one record; whether it will be written."""
        if self.filters:
            passed: object = self._inner.filter(record)  # since Python 3.12 it may be another record
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):
                record = passed
        with self._held:
            kept = self._keep(record)
        self._look()
        return kept

    def skip(self, place: Key) -> bool:
        """Whether a record of this place below WARNING, made at this moment, would be suppressed; then it counts.

        All in one function: it is called for most of what is logged.
        """
        keeper = self._keeper
        with self._held:
            site = self._known.get(place)
            if skipped := site is not None and time.time() < site.until:
                if not site.suppressed:
                    self._silenced[place] = site
                site.suppressed += 1
                if not keeper.armed:
                    keeper.arm()
        if keeper.due is not None:
            keeper.die()
        return skipped

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
        self._look()

    def close(self) -> None:
        """Write what is left; what still comes passes unlimited. `inner` stays open."""
        with self._held:
            self._ended = True
            self._known = {}
            self._kept += self._sites.summaries()
            self._write()
        self._look()
        self._keeper.leave(self)
        super().close()

    def occupied(self) -> bool:
        """See `tobs_log_rate_limit.keeper.Keeping`."""
        owned: bool = self._held._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001 - as threading.Condition does
        return owned

    def _arm(self) -> None:
        if not self._keeper.armed:
            self._keeper.arm()

    def _look(self) -> None:
        """End the process if it was to end meanwhile; the lock is not held any more."""
        if self._keeper.due is not None:
            self._keeper.die()

    def _keep(self, record: logging.LogRecord) -> bool:
        """Keep, write or count one record; the lock is held."""
        if record.levelno >= logging.WARNING or self._ended:
            self._kept.append(record)
            self._write()
            return True
        if not getattr(record, UNLIMITED, False) and not self._sites.allow(record):
            self._keeper.gates.put_up(record.name)
            self._arm()
            return False
        self._kept.append(record if _lasts(record) else _said(record))
        if len(self._kept) >= self._batch:
            self._write()
        else:
            self._arm()
        return True

    def _forked(self) -> None:
        """In a child: the parent writes what it kept."""
        self._kept.clear()
        self._sites.summaries()

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
