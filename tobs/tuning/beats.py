"""Signs of life of the workers of a study, and how the others see that they have ended.

Optuna's own heartbeat runs only inside `optimize()`, and no clock of another machine is to be trusted: a beat is a
value that changes, and whoever looks measures with its own clock for how long it has not.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BEAT = 5.0
"""Seconds between two signs of life."""
MISSED = 6
"""Beats that have to be missing before a worker counts as dead."""


@contextmanager
def beating(beat: Callable[[], None], every: float = BEAT) -> Iterator[None]:
    """Call `beat` at once and then again and again, from a thread of its own, as long as the block lasts.

    A beat that fails is left out: if it is the storage, the worker itself finds out.
    """
    beat()
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(every):
            with suppress(Exception):
                beat()

    thread = threading.Thread(target=go_on, name="beats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@dataclass(slots=True)
class Watch:
    """Who has not beaten for `patience` seconds of this machine's clock, as far as this process has seen."""

    patience: float = BEAT * MISSED
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[object, float]] = field(default_factory=dict)

    def dead(self, who: str, beat: object) -> bool:
        """Whether `beat`, the last of `who`, has been the same for too long. The first look never says so."""
        now = self.clock()
        known = self._seen.get(who)
        if known is None or known[0] != beat:
            self._seen[who] = (beat, now)
            return False
        return now - known[1] > self.patience
