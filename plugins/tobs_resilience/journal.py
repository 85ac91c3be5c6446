"""The slot Journal: which blocks of a half-written file are on the disk, kept in the archive's state.

A file has an entry in `files` and its blocks in batches, one small value each. A batch says what was on the disk before
it was written; and because disks and their owners do strange things, each block is read back and hashed before a run
goes on from it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from tobs.api import Syncs
from tobs_resilience.copies import BLOCK, Copy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from tobs.api import MediaRef, Note, Part, Sink, State
    from tobs_resilience.copies import Copies
    from tobs_resilience.told import Told

log = logging.getLogger(__name__)
FILES = "files"
PARTIAL = ".part"
"""What core adds to a name while the file is half-written."""
LARGEST = 16 * 1024 * 1024
"""Bytes of a batch at most."""
SHARE = 100
"""A batch is as large as this part of its file, within the bounds: so little is fetched again after a kill."""


class BlockJournal:
    """See `tobs.ports.Journal`. Files larger than `smallest` bytes go on; `batch` bytes are noted at once at least."""

    def __init__(self, state: Callable[[], State], copies: Copies, told: Told, *, smallest: int, batch: int) -> None:
        self._state = state
        self._copies = copies
        self._told = told
        self._smallest = smallest
        self._batch = batch
        self._folder: Path | None = None
        self._files: dict[str, Any] = {}

    def kept(self, folder: Path, holds: Callable[[str], bool]) -> Collection[Path]:
        """Files that have an entry and are there; entries of others are dropped."""
        self._folder = folder
        found: list[Path] = []
        for file_id, entry in self._state().get(FILES).items():
            path = half_written(folder, entry, holds)
            if path is not None:
                self._files[file_id] = entry
                found.append(path)
            else:
                self._drop_batches(file_id)
        self._keep_files()
        return found

    async def open(self, ref: MediaRef, path: Path) -> Note:
        """See `tobs.ports.Journal`."""
        copy = Copy(ref.size)
        note = BlockNote(self, ref, path, copy, max(self._batch, min(ref.size // SHARE, LARGEST)))
        if note.id in self._files:
            if self._files[note.id] == self._entry(ref, path):
                note.batches, blocks = self._read(note.id)
                copy.blocks = await asyncio.to_thread(verified, path, copy, blocks)
                self._told.resumed += sum(copy.length(block) for block in copy.blocks)
            else:
                self.forget(note)
        note.have = copy.stretches()
        self._copies.begin(ref.file_id, copy)
        return note

    def notes(self, ref: MediaRef) -> bool:
        """Whether files of this size go on."""
        return ref.size > self._smallest and self._folder is not None

    def add(self, note: BlockNote, blocks: dict[int, bytes]) -> None:
        """These blocks of a file are on the disk."""
        if note.id not in self._files:
            self._files[note.id] = self._entry(note.ref, note.path)
            self._keep_files()
        state, key = self._state(), f"{note.id}-{note.batches}"
        state.put(key, {str(block): sha.hex() for block, sha in blocks.items()})
        if state.get(key):  # a full disk keeps none, and batches must be numbered without a gap
            note.batches += 1

    def knows(self, note: BlockNote) -> bool:
        """Whether a file has an entry."""
        return note.id in self._files

    def forget(self, note: BlockNote) -> None:
        """Nothing is known of a file any more."""
        if self._files.pop(note.id, None) is not None:
            self._keep_files()
            self._drop_batches(note.id)
        note.batches = 0

    def ended(self, note: BlockNote) -> None:
        """The file moves no longer."""
        self._copies.end(note.ref.file_id)

    def _entry(self, ref: MediaRef, path: Path) -> dict[str, Any]:
        name = os.path.relpath(path, self._folder or path.parent).replace(os.sep, "/")
        return {"path": name, "size": ref.size}

    def _keep_files(self) -> None:
        if self._files != self._state().get(FILES):
            self._state().put(FILES, self._files)

    def _read(self, file_id: str) -> tuple[int, dict[int, bytes]]:
        """Batches of a file, and the blocks that they tell of; one that makes no sense is the last."""
        blocks: dict[int, bytes] = {}
        for number in count():
            batch = self._state().get(f"{file_id}-{number}")
            try:
                blocks |= {int(block): bytes.fromhex(sha) for block, sha in batch.items()}
            except (TypeError, ValueError):
                batch = {}
            if not batch:
                return number, blocks
        raise AssertionError

    def _drop_batches(self, file_id: str) -> None:
        for number in count():
            key = f"{file_id}-{number}"
            if not self._state().get(key):
                return
            self._state().put(key, {})


def half_written(folder: Path, entry: Any, holds: Callable[[str], bool]) -> Path | None:
    """The half-written file that an entry is about, if it is there.

    One that a killed run gave its name and did not keep is made half-written again.
    """
    name, size = (entry.get("path"), entry.get("size")) if isinstance(entry, dict) else (None, None)
    if not isinstance(name, str):
        return None
    path, inside = folder / name, name.removesuffix(PARTIAL)
    named = folder / inside
    within = folder.resolve() in named.resolve().parents
    if within and inside != name and not path.exists() and not holds(inside):
        with suppress(OSError):
            if named.stat().st_size == size:
                named.replace(path)
    return path if path.is_file() else None


def verified(path: Path, copy: Copy, blocks: dict[int, bytes]) -> dict[int, bytes]:
    """Those of the blocks whose bytes have these hashes; what cannot be read has none."""
    found: dict[int, bytes] = {}
    try:
        with path.open("rb", buffering=0) as file:
            for block, sha256 in sorted(blocks.items()):
                if not 0 <= block * BLOCK < copy.size:
                    continue
                file.seek(block * BLOCK)
                data = file.read(copy.length(block))
                if len(data) == copy.length(block) and hashlib.sha256(data).digest() == sha256:
                    found[block] = sha256
    except OSError as error:
        log.info("%s cannot be read, it begins anew: %s", path.name, error.strerror or error)
    return found


class BlockNote:
    """See `tobs.ports.Note`."""

    def __init__(self, journal: BlockJournal, ref: MediaRef, path: Path, copy: Copy, batch: int) -> None:
        self.ref = ref
        self.path = path
        self.id = str(ref.file_id)
        self.batches = 0
        self.have: Sequence[Part] = ()
        self._journal = journal
        self._copy = copy
        self._batch = batch
        self._notes = journal.notes(ref)
        self._sink: Sink | None = None
        self._new: dict[int, bytes] = {}
        self._taken = asyncio.Event()
        self._syncing: asyncio.Task[None] | None = None
        self._failure: OSError | None = None
        self._closed = False

    def around(self, sink: Sink) -> Sink:
        """The sink, watched by the file's copy; the note stands in its place."""
        self._sink = sink
        return self

    async def write(self, offset: int, data: bytes) -> None:
        """Write; when enough has come, have it synced and noted beside.

        Where the disk is slower than the line this waits: a batch is gathered while another is synced, and no more.
        """
        assert self._sink is not None
        while self._due and self._syncing is not None:
            self._taken.clear()
            await self._taken.wait()
        if self._failure is not None:
            raise self._failure
        await self._sink.write(offset, data)
        done = self._copy.wrote(offset, data)
        if not self._notes:
            return
        self._new |= {block: self._copy.blocks[block] for block in done}
        if self._due and self._syncing is None and isinstance(self._sink, Syncs):
            self._syncing = asyncio.ensure_future(self._sync(self._sink))

    async def close(self) -> None:
        """Close the sink below when what is being synced has been; a cancellation does not cut it short."""
        assert self._sink is not None
        cancelled, syncing = False, self._syncing
        while syncing is not None and not syncing.done():
            try:
                await asyncio.wait([syncing])
            except asyncio.CancelledError:
                cancelled = True
        await self._sink.close()
        if self._failure is not None:
            raise self._failure
        self._closed = True
        if syncing is not None:
            syncing.result()
        if cancelled:
            raise asyncio.CancelledError

    def end(self, *, whole: bool, again: bool) -> bool:
        """See `tobs.ports.Note`."""
        stays = False
        if whole or not again:
            self._journal.forget(self)
        elif self._notes:
            if self._closed and self._new:
                self._journal.add(self, self._new)
            stays = self._journal.knows(self)
        self._journal.ended(self)
        return stays

    @property
    def _due(self) -> bool:
        """Whether a batch has come that is not being synced yet."""
        return len(self._new) * BLOCK >= self._batch

    async def _sync(self, sink: Syncs) -> None:
        """Sync, then note, as long as there is enough. What fails here fails the next write, or the close."""
        new: dict[int, bytes] = {}
        try:
            while self._due:  # more may have come meanwhile
                new, self._new = self._new, {}
                self._taken.set()
                await sink.sync()
                self._journal.add(self, new)
                new = {}
        except OSError as error:
            self._new, self._failure = new | self._new, error
            log.info("%s could not be synced: %s", self.path.name, error.strerror or error)
        except BaseException:
            self._new = new | self._new
            raise
        finally:
            self._syncing = None
            self._taken.set()
