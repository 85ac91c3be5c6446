"""Exports that are stopped at one commit after the other, and continued."""

from __future__ import annotations

import asyncio
import shutil
from bisect import bisect_left, bisect_right
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tobs.archive.archive import Archive
from tobs.archive.verify import verify
from tobs.engine import graph
from tobs.engine.spans import NEWEST
from tobs.errors import ArchiveError
from tobs.testing.exports import clean, conduct, whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence
    from pathlib import Path

    from tobs.ports import Write
    from tobs.testing.served import ServedChat
    from tobs.values import Batch, Settled

MOST = 500
"""Commits after which an export of so small a chat is taken to have no end."""


class FullError(ArchiveError):
    """The archive takes no more: what a full disk would raise."""


class StoppingWrite:
    """The archive's own `Write`, which stops the run at its `at`-th transaction.

    `refuse`: that one and all later ones fail, and nothing of them is kept. Else it is kept, and the run cancelled, as
    an interrupt of the user does.
    """

    def __init__(self, inner: Write, at: int, *, refuse: bool) -> None:
        self._inner = inner
        self._left = at
        self._refuse = refuse
        self._run = asyncio.current_task()
        self.reached = False

    def __getattr__(self, name: str) -> Any:
        """What the archive's offers beyond the port is there too."""
        return getattr(self._inner, name)

    async def commit(self, batch: Batch) -> None:
        """See `tobs.ports.Write`."""
        await self._pass(self._inner.commit, batch)

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        """See `tobs.ports.Write`."""
        await self._pass(self._inner.settle, outcomes)

    async def _pass(self, keep: Any, value: object) -> None:
        self._left -= 1
        due = self._left == 0
        self.reached = self.reached or due
        if self._refuse and self.reached:
            raise FullError("the archive is full, as the test wants it")
        kept: Awaitable[None] = keep(value)
        await kept
        if due and self._run is not None:
            self._run.cancel()
            await asyncio.sleep(0)


def stop_at_every_commit(lab: ServedChat, arm: str, folder: Path) -> int:
    """Stop an export at its first commit and continue it; then another at its second; and so on. Returns how many.

    A commit is a page's or a file's. Odd ones are refused, at even ones the run is cancelled; the run that continues is
    stopped the other way at its first commit, and the one after that must end with the whole chat, though it reads
    nothing that a span covers. After each stop the archive must be valid.
    """
    for at in count(1):
        assert at <= MOST, f"{arm}: {MOST} commits, and no end"
        place = folder / f"stop-{at}"
        refuse = at % 2 == 1
        if not _stopped(lab, arm, place, at, refuse=refuse):
            return at - 1
        with pytest.MonkeyPatch.context() as patch:
            # Messages that are read again for edits would hide that some had been lost.
            patch.setattr("tobs.engine.export.REREAD", 0)
            if _stopped(lab, arm, place, 1, refuse=not refuse):
                whole(lab, arm, place)
        shutil.rmtree(place)
    raise AssertionError


def _stopped(lab: ServedChat, arm: str, place: Path, at: int, *, refuse: bool) -> bool:
    """Whether an export was stopped at one of its commits and left a valid archive; else it must have ended whole."""
    what = f"{arm}, {'refused' if refuse else 'cancelled'} at commit {at}"
    with _stopping(at, refuse=refuse) as stops:
        ended = conduct(lab, arm, place)
    clean(ended, what)
    if not any(stop.reached for stop in stops):
        assert ended.result().digest == lab.digest, f"{what}: it ended before that, and without the whole chat"
        return False
    if not isinstance(ended.error, FullError if refuse else asyncio.CancelledError):
        # Whatever the export raised is the cause to show.
        raise AssertionError(f"{what}: it ended otherwise: {ended.error or ended.report!r}") from ended.error  # noqa: TRY004
    sound(lab, place / "archive", what)
    return True


def sound(lab: ServedChat, archive: Path, what: str) -> None:
    """Whether an archive that is not complete is valid: every file as it was kept, every span with all its messages."""
    found = verify(archive)
    assert found.ok, f"{what}: {found.missing or found.corrupt or found.unverified or found.problems}"
    with Archive.open(archive) as books:
        open_spans = books.gaps(lab.id, NEWEST)
        kept = books.messages(lab.id)
    missing = sum(bisect_right(lab.messages, gap.high) - bisect_left(lab.messages, gap.low) for gap in open_spans)
    covered = len(lab.messages) - missing
    assert kept == covered, f"{what}: the spans cover {covered} messages, and {kept} are kept"


@contextmanager
def _stopping(at: int, *, refuse: bool) -> Iterator[list[StoppingWrite]]:
    """Have the archive's `Write` stop the next run; yields what stands in the graph, once it stands there."""
    made: list[StoppingWrite] = []

    def assemble(line: Any, ledger: Any, write: Write, folder: Any, place: Any) -> graph.Graph:
        made.append(StoppingWrite(write, at, refuse=refuse))
        return graph.assemble(line, ledger, made[-1], folder, place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tobs.host.run.assemble", assemble)
        yield made
