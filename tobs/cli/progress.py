"""Progress on standard error: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from tobs.cli.outcome import human_bytes
from tobs.cli.way_in import log_instead
from tobs.engine.tally import Tally

if TYPE_CHECKING:
    from types import TracebackType

    from tobs.values import Attempt, Batch, Page, Settled

LINE_EVERY = 10.0


class Progress:
    """A probe that shows how far a run is; use it in a `with`."""

    def __init__(self, *, quiet: bool = False, label: str = "") -> None:
        self._tally = Tally()
        self._label = label
        self._bars = None
        self._last = time.monotonic()
        self._quiet = quiet
        if quiet or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description:>10}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._messages = self._bars.add_task(label or "messages", total=None, text="")
        self._files = self._bars.add_task("files", total=None, text="")

    def __enter__(self) -> Self:
        if self._bars:
            before = sys.stderr
            self._bars.start()
            log_instead(before, sys.stderr)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            drawn = sys.stderr
            self._bars.stop()
            log_instead(drawn, sys.stderr)

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        """A batch is committed."""
        self._tally.batch(page, batch, seconds)
        self._show()

    def file(self, outcome: Settled, seconds: float) -> None:
        """A file is settled."""
        self._tally.file(outcome, seconds)
        self._show()

    def attempt(self, attempt: Attempt) -> None:
        """Requests are counted elsewhere."""

    def flood(self, method: str, seconds: float) -> None:
        """A wait that would otherwise look like a hang."""
        if self._quiet:
            return
        text = f"Telegram asks to wait {seconds:.0f} s before more {method}"
        if self._bars:
            self._bars.console.print(text)
        else:
            sys.stderr.write(text + "\n")

    def _show(self) -> None:
        tally = self._tally
        if self._bars:
            total = max(tally.expected_messages, tally.messages)
            self._bars.update(
                self._messages,
                completed=tally.messages,
                total=total,
                text=f"{tally.messages:,} of {total:,} messages",
            )
            self._bars.update(
                self._files,
                completed=tally.size,
                total=max(tally.expected_size, tally.size),
                text=f"{tally.files:,} files, {human_bytes(tally.size)}",
            )
        elif not self._quiet and time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            sys.stderr.write(
                f"{self._label}{tally.messages:,} of {tally.expected_messages:,} messages, "
                f"{tally.files:,} files, {human_bytes(tally.size)}\n"
            )
