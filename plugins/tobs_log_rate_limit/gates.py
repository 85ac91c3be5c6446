"""Gates before loggers that say more than the limit: what would be suppressed is not even made into a record."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from tobs_log_rate_limit.handler import LimitedHandler

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

LOGGING = logging.addLevelName.__code__.co_filename
"""The file of logging's own code."""
WAY = ("debug", "info", "log", "isEnabledFor", "_log", "makeRecord", "findCaller", "handle", "callHandlers")
"""The methods that a record passes from a logger to its handlers; who replaces one may want to see every record."""


class Gates:
    """Stands in for `isEnabledFor` of single loggers, from when they are too loud until they are taken down.

    A gate answers no only to the logger's own `debug`, `info` and `log`, and only while the one handler that the record
    would reach is a `LimitedHandler` without filters that would suppress it: so the log is the same with and without
    gates. Who asks `isEnabledFor` by himself gets the logger's own answer. A logger of a class of its own, one that
    somebody else changed, and all loggers while records are made by another factory, get no gate.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._up: list[tuple[logging.Logger, Callable[[int], bool]]] = []

    def put_up(self, name: str) -> None:
        """Have a gate before the logger of this name, if it may have one."""
        if name in self._known:
            return
        self._known.add(name)
        root = logging.getLogger()
        logger = root if name == root.name else root.manager.loggerDict.get(name)
        if isinstance(logger, logging.Logger) and _plain(logger):
            gate = _gate(logger)
            vars(logger)["isEnabledFor"] = gate
            self._up.append((logger, gate))

    def take_down(self) -> None:
        """Leave every logger as it was."""
        for logger, gate in self._up:
            if vars(logger).get("isEnabledFor") is gate:
                del vars(logger)["isEnabledFor"]
        self._up.clear()
        self._known.clear()


def _plain(logger: logging.Logger) -> bool:
    """Whether nothing but logging itself stands between this logger and its handlers."""
    return (
        type(logger) in (logging.Logger, logging.RootLogger)
        and logging.getLogRecordFactory() is logging.LogRecord
        and not any(name in vars(logger) for name in WAY)
        and all(_own_code(getattr(logging.Logger, name)) for name in WAY)
    )


def _own_code(function: object) -> bool:
    """Whether a function is logging's own: one that took its place may carry its name and module, but not its file."""
    code: CodeType | None = getattr(function, "__code__", None)
    return code is not None and code.co_filename == LOGGING


def _gate(logger: logging.Logger) -> Callable[[int], bool]:
    own = logger.isEnabledFor
    getframe = sys._getframe  # noqa: SLF001 - as logging itself does
    entries = tuple(entry.__code__ for entry in (logging.Logger.debug, logging.Logger.info, logging.Logger.log))

    def is_enabled_for(level: int) -> bool:
        """All in one function: it is called for most of what is logged."""
        if not own(level):
            return False
        frame = getframe(1)
        if level >= logging.WARNING or logger.filters or frame.f_code not in entries:
            return True
        found = None
        at: logging.Logger | None = logger
        while at is not None:
            for handler in at.handlers:
                if level >= handler.level:
                    if found is not None or type(handler) is not LimitedHandler or handler.filters:
                        return True
                    found = handler
            at = at.parent if at.propagate else None
        while (code := frame.f_code).co_filename == LOGGING and frame.f_back is not None:
            frame = frame.f_back
        return found is None or not found.skip((code.co_filename, frame.f_lineno))

    return is_enabled_for
