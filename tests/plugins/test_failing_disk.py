"""disk_io and resilience on a disk that fails anywhere: what is settled is whole, and the next run has all of it."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.fakes import FakeBooks, content
from tests.engine.fakes import ref as reference
from tobs.engine.state import FolderState
from tobs.engine.store import Store
from tobs.errors import ArchiveError
from tobs.meters import Meters
from tobs.tasks import together
from tobs.values import Bytes, cut
from tobs_disk_io import system
from tobs_disk_io.disk import GatheringDisk, Sizes
from tobs_resilience.copies import BLOCK, Copies
from tobs_resilience.journal import BlockJournal
from tobs_resilience.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tobs.ports import Sink
    from tobs.values import MediaRef, Part, Settled

PART = BLOCK // 2
SIZES = (BLOCK // 3, 3 * BLOCK + 777, 6 * BLOCK, 10 * BLOCK + 1)
CALLS = ("pwritev", "fsync", "open", "close", "ftruncate", "allocate", "note", "settle", "cancel")


@dataclass
class Trouble:
    """What goes wrong in one run: of each call these ones, counted from 1; `errors` are drawn from `chance`."""

    at: dict[str, set[int]]
    chance: random.Random
    counts: dict[str, int] = field(default_factory=dict)

    def due(self, call: str) -> bool:
        """Count a call; whether it goes wrong."""
        self.counts[call] = self.counts.get(call, 0) + 1
        return self.counts[call] in self.at.get(call, ())

    def maybe(self, call: str) -> None:
        if self.due(call):
            code = self.chance.choice((errno.ENOSPC, errno.EIO))
            raise OSError(code, os.strerror(code))


class Troubled:
    """The module `os` as disk_io's files see it."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*given: Any) -> Any:
            if name == "close":  # which lets go of the descriptor whatever it says
                real(*given)
            self._trouble.maybe(name)
            return real(*given) if name != "close" else None

        return call


class Notes(FolderState):
    """State that cannot always be kept: as core's, it does not raise."""

    def __init__(self, folder: Path, trouble: Trouble) -> None:
        super().__init__(folder)
        self._trouble = trouble

    def put(self, key: str, value: dict[str, Any]) -> None:
        if not (value and self._trouble.due("note")):
            super().put(key, value)


class Books(FakeBooks):
    """An archive that cannot always be written."""

    trouble: Trouble

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        if self.trouble.due("settle"):
            raise ArchiveError("the database is full", hint="")
        await super().settle(outcomes)


WHOLE = {number: content(number, size) for number, size in enumerate(SIZES, 1)}


def name_of(one: MediaRef) -> str:
    return f"media/{one.file_id}.bin"


async def export(folder: Path, books: Books, trouble: Trouble, chance: random.Random) -> None:
    """One run over all files, as core does it."""
    books.trouble = trouble
    unheard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    state = Notes(folder / ".state", trouble)
    journal = BlockJournal(lambda: state, Copies(), Told(), smallest=BLOCK, batch=chance.choice((1, 2)) * BLOCK)
    kept = set(journal.kept(folder, books.holds))
    for half in (folder / "media").glob("*.part"):  # Archive.sweep
        if half not in kept:
            half.unlink()
    sizes = Sizes(
        gather=chance.choice((1, PART, 8 * BLOCK)), buffer=8 * BLOCK, preallocate=chance.choice((0, 1)), direct=0
    )
    disk = GatheringDisk(Meters(), sizes, threads=2, group=chance.choice((0, 2)))

    async def fetch(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes:
        parts = list(cut(ref.size, PART, have))
        chance.shuffle(parts)
        left: Iterator[Part] = iter(parts)

        async def lane() -> None:
            for part in left:
                if trouble.due("cancel"):
                    raise asyncio.CancelledError
                await asyncio.sleep(0)
                await sink.write(part.offset, WHOLE[ref.file_id][part.offset : part.offset + part.limit])

        await together(lane() for _ in range(3))
        return Bytes(ref.size)

    store = Store(folder, name_of, fetch, disk, books, books, [], journal)
    moving = [asyncio.ensure_future(store(reference(number, size))) for number, size in enumerate(SIZES, 1)]
    try:
        for done in asyncio.as_completed(moving):
            await done
    finally:
        for one in moving:
            one.cancel()
        await asyncio.gather(*moving, return_exceptions=True)
        await disk.close()
        assert unheard == [], "an error that nobody took"


def conduct(folder: Path, books: Books, trouble: Trouble, chance: random.Random) -> None:
    """A run on a disk with this trouble. Raises what ends it."""

    def allocate(fd: int, size: int) -> bool:
        trouble.maybe("allocate")
        return real(fd, size)

    real = system.allocate
    with ExitStack() as stack:
        stack.enter_context(mock.patch("tobs_disk_io.file.os", Troubled(trouble)))
        stack.enter_context(mock.patch("tobs_disk_io.system.allocate", allocate))
        stack.enter_context(mock.patch("tobs_disk_io.system.sync_filesystem", return_value=False))
        asyncio.run(export(folder, books, trouble, chance))


def check(folder: Path, books: Books) -> None:
    """What counts as done is there and whole."""
    for number, one in books.files.items():
        whole = WHOLE[number]
        assert (folder / str(one.path)).read_bytes() == whole, f"file {number} is settled and not whole"
        assert one.sha256 == hashlib.sha256(whole).hexdigest()


@given(
    troubles=st.lists(
        st.dictionaries(st.sampled_from(CALLS), st.sets(st.integers(1, 25), min_size=1, max_size=3), max_size=3),
        min_size=1,
        max_size=3,
    ),
    seed=st.integers(0, 1 << 20),
)
@settings(max_examples=150, deadline=None)
def test_whatever_fails_what_is_settled_is_whole_and_the_next_run_has_all(
    troubles: list[dict[str, set[int]]], seed: int
) -> None:
    chance, books = random.Random(seed), Books()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for trouble in troubles:
            with suppress(ArchiveError, asyncio.CancelledError):
                conduct(folder, books, Trouble(trouble, chance), chance)
            check(folder, books)
        conduct(folder, books, Trouble({}, chance), chance)
        check(folder, books)
        assert sorted(books.files) == list(range(1, len(SIZES) + 1))
        assert sorted(path.name for path in (folder / "media").iterdir()) == ["1.bin", "2.bin", "3.bin", "4.bin"]
        assert list((folder / ".state").glob("*.json")) == []
