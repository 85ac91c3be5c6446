"""Sees that what handlers keep is written: in time, and when the process ends."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Protocol

from tobs_log_rate_limit.forks import in_child
from tobs_log_rate_limit.gates import Gates

if TYPE_CHECKING:
    from types import FrameType

    from tobs.api import LogSite
    from tobs_log_rate_limit.sites import Sites

MORTAL = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a process which does not look at them, and that Python can look at."""


class Keeping(Protocol):
    """A handler that keeps records."""

    def flush(self) -> None:
        """Write them, and what was suppressed."""
        ...

    def occupied(self) -> bool:
        """Whether this very thread is in the midst of keeping or writing; `Keeper.due` is looked at afterwards."""
        ...


class Keeper:
    """Has its handlers flushed `seconds` after the first record that waits, and before the process ends.

    From the first handler to the last it holds: a thread, once a record waits; `atexit`; and, where they are left to
    the system and the main thread sets it up, the signals that would end the process, which still end it. It is the
    `LogLimiter` that a run has in place: `calls` are the functions that log.
    """

    def __init__(self, seconds: float, calls: Sites) -> None:
        self._seconds = seconds
        self._calls = calls
        self._calling = threading.RLock()
        self._handlers: list[Keeping] = []
        self._begin = threading.Lock()
        self._timer: threading.Thread | None
        self._renew()
        self.due: int | None = None
        self.gates = Gates()
        in_child(self._forked)

    def take(self, handler: Keeping) -> None:
        """Look after a handler."""
        if not self._handlers:
            self._renew()
            atexit.register(self.flush)
            self._listen()
        self._handlers.append(handler)

    def leave(self, handler: Keeping) -> None:
        """The handler has written what it kept, and is closed."""
        if handler not in self._handlers:
            return
        self._handlers.remove(handler)
        if not self._handlers:
            # The thread is not waited for: at the interpreter's end logging holds the lock that it may be waiting for.
            self._ended.set()
            self._waiting.set()
            self._timer = None
            atexit.unregister(self.flush)
            self._listen_no_more()
            self.gates.take_down()

    def arm(self) -> None:
        """Something waits: have it written in `seconds`. Nothing to do while `armed`."""
        self.armed = True
        self._waiting.set()
        with self._begin:
            if self._timer is None and not self._ended.is_set():
                self._timer = threading.Thread(
                    target=self._tick, args=(self._waiting, self._ended), name="log_rate_limit", daemon=True
                )
                self._timer.start()

    def allow(self, site: LogSite) -> bool:
        """See `tobs.api.LogLimiter`."""
        with self._calling:
            allowed = self._calls.allow_call(site, time.time())
        if not allowed and not self.armed:
            self.arm()
        return allowed

    def flush(self) -> None:
        """Have all written that is kept, and told what was suppressed."""
        with self._calling:
            told = self._calls.summaries()
        for record in told:
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):  # else the function would have said nothing
                logger.handle(record)
        for handler in list(self._handlers):
            handler.flush()

    def die(self) -> None:
        """Write what is kept and end the process with the signal that is due, unless this thread is occupied."""
        if self.due is None or any(handler.occupied() for handler in self._handlers):
            return
        if threading.current_thread() is threading.main_thread():  # only this one may touch signals
            number, self.due = self.due, None
            self.flush()
            os.kill(os.getpid(), number)

    def _tick(self, waiting: threading.Event, ended: threading.Event) -> None:
        while not ended.is_set():
            waiting.wait()
            if ended.wait(self._seconds):
                return
            waiting.clear()
            self.armed = False
            self.flush()

    def _listen(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in MORTAL:
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, self._signalled)

    def _listen_no_more(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in MORTAL:
                if signal.getsignal(number) == self._signalled:
                    signal.signal(number, signal.SIG_DFL)

    def _signalled(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - how signals are told
        """Die at once, or as soon as what this thread was interrupted in is whole; a second signal does not wait."""
        signal.signal(number, signal.SIG_DFL)
        self.due = number
        self.die()

    def _forked(self) -> None:
        """In a child: the parent tells what it suppressed, and its thread is not here."""
        self._calling, self._begin = threading.RLock(), threading.Lock()
        self._calls.summaries()
        self._renew()

    def _renew(self) -> None:
        self._waiting, self._ended = threading.Event(), threading.Event()
        self._timer = None
        self.armed = False
