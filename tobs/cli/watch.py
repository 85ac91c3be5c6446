"""`tobs export --watch`: the run on a terminal while it goes on, or a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Self

from tobs.cli.watch_view import ASCII, UNICODE, View, compact
from tobs.cli.way_in import log_instead

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from rich.live import Live

    from tobs.telemetry.alarms import Alarm
    from tobs.telemetry.live import Snapshot

EVERY, LINE_EVERY = 0.7, 10.0
"""Seconds between two pictures, and between two lines where there is no terminal."""
LATELY = 10.0
"""Seconds that rates and shares are taken over."""


class Watch:
    """Shows a run on standard error; use it in a `with`. See `tobs.host.watching.Look`.

    On a terminal it is a picture that is drawn again and again and gone at the end, while what is logged or printed
    goes by above it; elsewhere a line every ten seconds.
    """

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._drawn = self._console.is_terminal and not self._console.is_dumb_terminal
        self.every = EVERY if self._drawn else LINE_EVERY
        self._seen: deque[Snapshot] = deque()
        self._size = self._console.size
        utf8 = (self._console.encoding or "").lower().startswith("utf")
        self._view = View(UNICODE if utf8 else ASCII)

    def __enter__(self) -> Self:
        if self._drawn:
            from rich.live import Live

            before = sys.stderr
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
            log_instead(before, sys.stderr)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            drawn = sys.stderr
            self._live.stop()
            self._live = None
            log_instead(drawn, sys.stderr)

    def __call__(self, now: Snapshot, alarms: Mapping[str, Alarm]) -> None:
        """Show the run as it is now."""
        while len(self._seen) > 1 and now.seconds - self._seen[1].seconds >= LATELY:
            self._seen.popleft()
        before = self._seen[0] if self._seen else now
        self._seen.append(now)
        if not self._drawn:
            sys.stderr.write(compact(before, now, alarms.values()) + "\n")
            sys.stderr.flush()
        elif self._live is not None:
            self._draw(self._live, before, now, alarms)

    def _draw(self, live: Live, before: Snapshot, now: Snapshot, alarms: Mapping[str, Alarm]) -> None:
        from rich.console import Group
        from rich.control import Control

        if self._console.size != self._size:  # lines that were broken anew cannot be found and drawn over
            self._size = self._console.size
            self._console.control(Control.home(), Control.clear())
        width, height = self._size
        # One line less: the cursor stands below, and a picture that scrolls cannot be drawn over.
        lines = self._view.lines(before, now, alarms, width, max(1, height - 1))
        live.update(Group(*lines), refresh=True)
