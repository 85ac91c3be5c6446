"""Store: a file is written beside its name, hashed on the way, and renamed when it is whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tobs.engine.media import MIGRATE
from tobs.engine.writeback import begin_write_back
from tobs.errors import ArchiveError, LostError, RpcError, UnreachableError
from tobs.meters import Meters
from tobs.values import Same, Settled

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from tobs.ports import Disk, Fetch, Journal, Ledger, Note, Probe, Sink, Write
    from tobs.values import MediaRef, Part

AHEAD = 8 * 1024 * 1024
"""Bytes that may wait in memory for an earlier part so that the hash can go on; past it the file is read back."""
CHUNK = 1024 * 1024
WRITE_BACK = 8 * 1024 * 1024
"""Bytes of one file after which the system is asked to begin writing them."""


class Store:
    """Fetches one reference into the archive and settles it, whatever comes of it."""

    def __init__(
        self,
        folder: Path,
        place: Callable[[MediaRef], str],
        fetch: Fetch,
        disk: Disk,
        ledger: Ledger,
        write: Write,
        probes: Sequence[Probe],
        journal: Journal | None = None,
        meters: Meters | None = None,
    ) -> None:
        self._meters = meters or Meters()
        self._settling = self._meters.step("settle")
        self._folder = folder
        self._place = place
        self._fetch = fetch
        self._disk = disk
        self._ledger = ledger
        self._write = write
        self._probes = probes
        self._journal = journal or NoJournal()
        self._moving: dict[int, asyncio.Future[None]] = {}
        self.failed: set[int] = set()
        """Files that could not be had in this run: it need not try them twice."""

    async def __call__(self, ref: MediaRef) -> None:
        """Bring one file in. Only what would stop every other file too is raised."""
        while (other := self._moving.get(ref.file_id)) is not None:
            await asyncio.wait([other])
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._moving[ref.file_id] = done
        try:
            if (known := self._known(ref, ref.file_id)) is not None:
                await self._settle(known)
                return
            began = time.perf_counter()
            outcome = await self._bring(ref)
            for probe in self._probes:
                probe.file(outcome, time.perf_counter() - began)
        finally:
            self._meters.lane(ref.dc).wanted -= ref.size
            del self._moving[ref.file_id]
            done.set_result(None)

    def _known(self, ref: MediaRef, file_id: int) -> Settled | None:
        stored = self._ledger.stored(file_id)
        return stored and Settled(ref, "done", stored.sha256, stored.size, stored.path)

    async def _bring(self, ref: MediaRef) -> Settled:
        """Fetch a file and keep what came of it; its note ends after that, so that no moment is without either."""
        name = self._place(ref)
        final = self._folder / name
        beside = final.with_name(final.name + ".part")
        note: Note | None = None
        whole, again = False, True
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            note = await self._journal.open(ref, beside)
            outcome = await self._fetched(ref, name, beside, note)
            await self._settle(outcome)
            whole = True
        except RpcError as error:
            again = error.is_server_fault or error.is_stale or error.name == MIGRATE  # another day may have better news
            outcome = Settled(ref, "failed" if again else "missing", reason=str(error))
        except UnreachableError:
            raise  # every other file from there would fail the same way, each after its retries
        except LostError as error:
            outcome = Settled(ref, "failed", reason=str(error))
        except OSError as error:
            raise disk_error(error, final) from error
        finally:
            stays = note is None or note.end(whole=whole, again=again)  # none yet: it may be one to go on with
            if not stays:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
        if not whole:
            self.failed.add(ref.file_id)
            await self._settle(outcome)
        return outcome

    async def _settle(self, outcome: Settled) -> None:
        with self._settling:
            await self._write.settle([outcome])

    async def _fetched(self, ref: MediaRef, name: str, beside: Path, note: Note) -> Settled:
        """Fetch what is missing of a file, and give it its name."""
        final = self._folder / name
        opened = await (
            self._disk.open(beside, ref.size, keep=True) if note.have else self._disk.open(beside, ref.size)
        )
        sink = HashingSink(note.around(opened), beside, ref.size, self._meters)
        try:
            got = await self._fetch(ref, sink, note.have)
        finally:
            await sink.close()
        if isinstance(got, Same):
            same = self._known(ref, got.file_id)
            if same is None:
                raise ArchiveError(f"file {got.file_id}, named as equal to {ref.file_id}, is not in the archive")
            if not self._ledger.holds(name):  # it was whole once, and the run ended before that was kept
                final.unlink(missing_ok=True)
            return same
        digest = await sink.digest()
        if sink.hashed != got.size:
            raise LostError(f"file {ref.file_id}: {sink.hashed} bytes were kept where {got.size} were due")
        if (there := beside.stat().st_size) != got.size:  # noqa: ASYNC240 - as below
            raise LostError(f"file {ref.file_id}: the disk has {there} of its {got.size} bytes")
        beside.replace(final)  # noqa: ASYNC240 - it takes no longer than handing it to a thread
        return Settled(ref, "done", digest, got.size, name)


class NoJournal:
    """The baseline Journal, and its note of every file: nothing is kept, every attempt begins anew."""

    have: Sequence[Part] = ()

    def kept(self, folder: Path, holds: Callable[[str], bool]) -> Collection[Path]:  # noqa: ARG002 - the port
        """Nothing."""
        return ()

    async def open(self, ref: MediaRef, path: Path) -> Note:  # noqa: ARG002 - the port
        """Nothing is known of it."""
        return self

    def around(self, sink: Sink) -> Sink:
        """The sink itself."""
        return sink

    def end(self, *, whole: bool, again: bool) -> bool:  # noqa: ARG002 - the port
        """What is there of it goes."""
        return False


class HashingSink:
    """Passes bytes on and hashes them in order, whatever order they come in."""

    def __init__(self, sink: Sink, path: Path, size: int, meters: Meters | None = None) -> None:
        meters = meters or Meters()
        self._writing, self._hashing, self._closing = meters.step("write"), meters.step("hash"), meters.step("sync")
        self._sink = sink
        self._path = path
        self._size = size
        self._hash = hashlib.sha256()
        self._at = 0
        self._ahead: dict[int, bytes] = {}
        self._held = 0

    async def write(self, offset: int, data: bytes) -> None:
        """Write and hash; a part written again replaces the first and starts the hash anew."""
        with self._writing:
            await self._sink.write(offset, data)
        with self._hashing:
            self._take(offset, data)

    def _take(self, offset: int, data: bytes) -> None:
        if offset < self._at:
            self._hash, self._at = hashlib.sha256(), 0
            self._ahead.clear()
            self._held = 0
        if offset > self._at:
            if self._held + len(data) <= AHEAD:
                self._ahead[offset] = data
                self._held += len(data)
            return
        while True:
            self._hash.update(data)
            self._at += len(data)
            following = self._ahead.pop(self._at, None)
            if following is None:
                return
            self._held -= len(following)
            data = following

    @property
    def hashed(self) -> int:
        """Bytes that the digest covers."""
        return self._at

    async def close(self) -> None:
        """Close the sink below; bytes are safe on disk after it."""
        self._ahead.clear()
        with self._closing:
            await self._sink.close()

    async def digest(self) -> str:
        """SHA-256 of the whole file, in hexadecimal; what was not hashed on the way is read back."""
        if self._at < self._size:
            with self._hashing:
                await asyncio.to_thread(self._read_back)
        return self._hash.hexdigest()

    def _read_back(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._at)
            while data := file.read(CHUNK):
                self._hash.update(data)
                self._at += len(data)


class PlainDisk:
    """Writes as it comes and syncs once, when the file is closed; of a large one little is left by then."""

    async def open(self, path: Path, size: int, *, keep: bool = False) -> PlainSink:  # noqa: ARG002 - the port
        """Make the file, empty, or open the one that is there."""
        return PlainSink(path, keep=keep)


class PlainSink:
    """One open file. What was written goes on to the disk while more comes."""

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        self._file = path.open("r+b" if keep else "wb", buffering=0)
        self._waiting = 0
        self._begun: asyncio.Future[None] | None = None

    async def write(self, offset: int, data: bytes) -> None:
        """Write at a place; every byte or an error."""
        self._file.seek(offset)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._waiting += len(data)
        if self._waiting >= WRITE_BACK and (self._begun is None or self._begun.done()):
            self._waiting = 0
            loop = asyncio.get_running_loop()
            self._begun = loop.run_in_executor(None, begin_write_back, self._file.fileno())

    async def sync(self) -> None:
        """See `tobs.ports.Syncs`."""
        syncing = asyncio.ensure_future(asyncio.to_thread(os.fsync, self._file.fileno()))
        try:
            await asyncio.shield(syncing)
        finally:  # nobody closes the file under a sync
            await asyncio.wait([syncing])

    async def close(self) -> None:
        """Sync, so that a name in the archive never stands for bytes that a power cut can take."""
        if not self._file.closed:
            try:
                if self._begun is not None:
                    await self._begun
                await asyncio.to_thread(os.fsync, self._file.fileno())
            finally:
                self._file.close()


def disk_error(error: OSError, path: Path) -> ArchiveError:
    """An error of the file system in words, with what to do about it."""
    return ArchiveError(
        f"cannot write {path.name}: {error.strerror or error}",
        hint="Free some space or mend the folder, then run the same command again: it goes on where it stopped.",
    )
