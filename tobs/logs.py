"""For code that logs often: a limit on a function, and a batch of records.

Both do nothing of their own while no limiter is in place, which is so outside of a run and where the plugin that brings
one is off: the function is called each time, and each record is written when it is added.
"""

from __future__ import annotations

import functools
import inspect
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, Protocol, Self, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

P = ParamSpec("P")
UNLIMITED = "tobs_unlimited"
"""A record with this attribute is written whatever limits there are; it may wait for others to be written with."""
_limiters: list[LogLimiter] = []


@dataclass(frozen=True, slots=True)
class LogSite:
    """A function that logs, with its limit: `rate` calls a second in the long run and `burst` at once; None: as set."""

    logger: str
    level: int
    file: str
    line: int
    function: str
    rate: float | None = None
    burst: int | None = None


class LogLimiter(Protocol):
    """Decides what is logged while it is in place. It is asked from any thread."""

    def allow(self, site: LogSite) -> bool:
        """Whether the function may be called; each call that may not is counted, and the log is told how many."""
        ...

    def flush(self) -> None:
        """Write what is kept, and what there is to tell."""
        ...


@contextmanager
def log_limiter(limiter: LogLimiter) -> Iterator[None]:
    """Have `limiter` in place; of several the last one decides."""
    _limiters.append(limiter)
    try:
        yield
    finally:
        _limiters.remove(limiter)


@overload
def rate_limited(function: Callable[P, None], /) -> Callable[P, None]: ...


@overload
def rate_limited(
    *, rate: float | None = None, burst: int | None = None, level: int = logging.INFO
) -> Callable[[Callable[P, None]], Callable[P, None]]: ...


def rate_limited(
    function: Callable[P, None] | None = None,
    /,
    *,
    rate: float | None = None,
    burst: int | None = None,
    level: int = logging.INFO,
) -> Callable[P, None] | Callable[[Callable[P, None]], Callable[P, None]]:
    """Limit a function whose whole business is to log: over the limit it is not called, and what it would say not made.

    The limit is `rate` calls a second and `burst` at once, where not given those that the limiter was set to. How many
    calls were left out is told at `level`, by the logger named as the function's module.

    Raises `ValueError` for a limit that lets nothing pass and for a level of weight (WARNING and above), whose records
    are never limited; `TypeError` for what is no plain function, or has to be
    awaited or iterated.
    """
    if function is None:
        return functools.partial(_limited, rate=rate, burst=burst, level=level)
    return _limited(function, rate=rate, burst=burst, level=level)


def _limited(function: Callable[P, None], *, rate: float | None, burst: int | None, level: int) -> Callable[P, None]:
    name = getattr(function, "__qualname__", repr(function))
    if level >= logging.WARNING:
        raise ValueError(f"{name} warns: what has the level WARNING or above is not limited")
    if (rate is not None and rate <= 0) or (burst is not None and burst < 1):
        raise ValueError(f"{name} would never be called: a rate is above 0 and a burst at least 1")
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{name} is no plain function, or has to be awaited or iterated: it cannot be limited")
    site = LogSite(function.__module__, level, code.co_filename, code.co_firstlineno, name, rate, burst)

    @functools.wraps(function)
    def limited(*args: P.args, **more: P.kwargs) -> None:
        last = _limiters[-1:]
        if not last or last[0].allow(site):
            function(*args, **more)

    return limited


class LogBatcher:
    """Records of one logger and level that belong together, for example what was skipped and why: all are written.

    A limiter in place leaves none of them out, and has them written with few calls, in order with whatever else is
    logged: when `flush` is called or the `with` block ends, and when the limiter writes by itself.
    """

    def __init__(self, logger: logging.Logger, level: int = logging.INFO) -> None:
        self._logger = logger
        self._level = level

    def add(self, message: str, *args: object) -> None:
        """Log a message; its place in the code is the caller's."""
        self._logger.log(self._level, message, *args, stacklevel=2, extra={UNLIMITED: True})

    def flush(self) -> None:
        """Have all that was added written, by the limiter in place if there is one."""
        for limiter in _limiters[-1:]:
            limiter.flush()

    def __enter__(self) -> Self:
        """Nothing is to be begun."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush, whatever happened."""
        self.flush()
