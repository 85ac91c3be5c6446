"""Store: a file is written beside its name, hashed on the way, and renamed when it is whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tobs.engine.media import STALE
from tobs.errors import ArchiveError, LostError, RpcError, UnreachableError
from tobs.ports import Same, Settled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tobs.ports import Disk, Fetch, Ledger, MediaRef, Probe, Sink, Write

AHEAD = 8 * 1024 * 1024
"""Bytes that may wait in memory for an earlier part so that the hash can go on; past it the file is read back."""
CHUNK = 1024 * 1024
SMALL = 256 * 1024
"""Bytes below which going to a thread costs more than writing or hashing them here; both release the GIL."""


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
    ) -> None:
        self._folder = folder
        self._place = place
        self._fetch = fetch
        self._disk = disk
        self._ledger = ledger
        self._write = write
        self._probes = probes
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
                await self._write.settle([known])
                return
            began = time.perf_counter()
            outcome = await self._bring(ref)
            if outcome.status != "done":
                self.failed.add(ref.file_id)
            await self._write.settle([outcome])
            for probe in self._probes:
                probe.file(outcome, time.perf_counter() - began)
        finally:
            del self._moving[ref.file_id]
            done.set_result(None)

    def _known(self, ref: MediaRef, file_id: int) -> Settled | None:
        stored = self._ledger.stored(file_id)
        return stored and Settled(ref, "done", stored.sha256, stored.size, stored.path)

    async def _bring(self, ref: MediaRef) -> Settled:
        name = self._place(ref)
        final = self._folder / name
        beside = final.with_name(final.name + ".part")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            sink = HashingSink(await self._disk.open(beside, ref.size), beside, ref.size)
            try:
                got = await self._fetch(ref, sink, ())
            finally:
                await sink.close()
            if isinstance(got, Same):
                same = self._known(ref, got.file_id)
                if same is None:
                    raise ArchiveError(f"file {got.file_id}, named as equal to {ref.file_id}, is not in the archive")
                return same
            digest = await sink.digest()
            if sink.hashed != got.size:
                raise LostError(f"file {ref.file_id}: {sink.hashed} bytes were kept where {got.size} were due")
            beside.replace(final)
        except RpcError as error:
            again = error.is_server_fault or error.name in STALE  # another day may have better news
            return Settled(ref, "failed" if again else "missing", reason=str(error))
        except UnreachableError:
            raise  # every other file from there would fail the same way, each after its retries
        except LostError as error:
            return Settled(ref, "failed", reason=str(error))
        except OSError as error:
            raise disk_error(error, final) from error
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        return Settled(ref, "done", digest, got.size, name)


class HashingSink:
    """Passes bytes on and hashes them in order, whatever order they come in; much at once in a thread."""

    def __init__(self, sink: Sink, path: Path, size: int) -> None:
        self._sink = sink
        self._path = path
        self._size = size
        self._hash = hashlib.sha256()
        self._at = 0
        self._given = 0
        self._hashing: asyncio.Future[None] | None = None
        self._ahead: dict[int, bytes] = {}
        self._held = 0

    async def write(self, offset: int, data: bytes) -> None:
        """Write and hash; a part written again replaces the first and starts the hash anew."""
        await self._sink.write(offset, data)
        while True:
            if offset < self._given:
                await self._idle()
                self._begin_anew()
            elif self._hashing is not None and self._held + len(data) > AHEAD:
                await asyncio.wait([self._hashing])
            else:
                break
        self._held -= len(self._ahead.pop(offset, b""))
        if offset == self._given or self._held + len(data) <= AHEAD:
            self._ahead[offset] = data
            self._held += len(data)
            self._go_on()

    def _begin_anew(self) -> None:
        self._hash = hashlib.sha256()
        self._at = self._given = self._held = 0
        self._ahead.clear()

    def _go_on(self) -> None:
        """Hash what follows; what comes meanwhile is hashed when this is done."""
        if self._hashing is not None:
            return
        pieces = []
        while (piece := self._ahead.pop(self._given, None)) is not None:
            pieces.append(piece)
            self._given += len(piece)
        if self._given - self._at >= SMALL:
            self._hashing = asyncio.get_running_loop().run_in_executor(None, self._update, pieces)
            self._hashing.add_done_callback(self._done)
        elif pieces:
            self._update(pieces)
            self._done()

    def _update(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._hash.update(piece)

    def _done(self, hashing: asyncio.Future[None] | None = None) -> None:
        self._held -= self._given - self._at
        self._at = self._given
        if hashing is not None:
            self._hashing = None
            self._go_on()

    async def _idle(self) -> None:
        while self._hashing is not None:
            await asyncio.wait([self._hashing])

    @property
    def hashed(self) -> int:
        """Bytes that the digest covers."""
        return self._at

    async def close(self) -> None:
        """Close the sink below, while the last bytes are hashed; they are safe on disk after it."""
        try:
            await self._sink.close()
        finally:
            await self._idle()
            self._ahead.clear()

    async def digest(self) -> str:
        """SHA-256 of the whole file, in hexadecimal; what was not hashed on the way is read back."""
        if self._at < self._size:
            await asyncio.to_thread(self._read_back)
        return self._hash.hexdigest()

    def _read_back(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._at)
            while data := file.read(CHUNK):
                self._hash.update(data)
                self._at += len(data)


class PlainDisk:
    """Writes as it comes and syncs once, when the file is closed."""

    async def open(self, path: Path, size: int) -> PlainSink:  # noqa: ARG002 - the port
        """Make the file, empty."""
        return PlainSink(path)


class PlainSink:
    """One open file. Much at once is written in a thread, so that a slow disk holds up nothing else."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._turn = threading.Lock()
        """A write that was cancelled may still be under way in its thread: nothing may move or close the file then."""

    async def write(self, offset: int, data: bytes) -> None:
        """Write at a place; every byte or an error."""
        if len(data) < SMALL and self._turn.acquire(blocking=False):
            try:
                self._put(offset, data)
            finally:
                self._turn.release()
        else:
            await asyncio.get_running_loop().run_in_executor(None, self._put_in_turn, offset, data)

    def _put_in_turn(self, offset: int, data: bytes) -> None:
        with self._turn:
            self._put(offset, data)

    def _put(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    async def close(self) -> None:
        """Sync, so that a name in the archive never stands for bytes that a power cut can take; then close."""
        closing = asyncio.get_running_loop().run_in_executor(None, self._close)
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing
            raise

    def _close(self) -> None:
        with self._turn:
            if not self._file.closed:
                try:
                    os.fsync(self._file.fileno())
                finally:
                    self._file.close()


def disk_error(error: OSError, path: Path) -> ArchiveError:
    """An error of the file system in words, with what to do about it."""
    return ArchiveError(
        f"cannot write {path.name}: {error.strerror or error}",
        hint="Free some space or mend the folder, then run the same command again: it goes on where it stopped.",
    )
