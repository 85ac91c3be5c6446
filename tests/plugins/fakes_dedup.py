"""Files under several ids, a server that names their blocks' hashes, and a real archive that they are brought into."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from tests.engine.fakes import CHAT, Dialler, ref
from tobs.archive.archive import Archive
from tobs.archive.naming import place
from tobs.engine.budget import ByteBudget
from tobs.engine.media import CoreFetch, HomeLanes, SerialParts
from tobs.engine.pool import CorePool, PoolLimits
from tobs.engine.state import MemoryState
from tobs.engine.store import PlainDisk, Store
from tobs.errors import RpcError
from tobs.values import Batch, BlockHash, Chat, MessageRow, Span
from tobs_hash_dedup import manifest
from tobs_hash_dedup.fetch import Spared
from tobs_hash_dedup.plugin import HashDedup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tobs.ports import Context
    from tobs.values import MediaRef, Part, Stored

KB = 1024
SIZE = 100 * KB
BLOCK = 4 * KB
"""Bytes that the fake server hashes at once: small, so that small files have many pages."""
PAGE = 8


@dataclass
class Server:
    """Serves files by id and counts. `named` may change a page of hashes, `sent` a part; both may raise."""

    files: dict[int, bytes]
    named: Callable[[int, int, list[BlockHash]], list[BlockHash]] = lambda _id, _offset, page: page
    sent: Callable[[int, int, bytes], bytes] = lambda _id, _offset, data: data
    gates: dict[int, asyncio.Event] = field(default_factory=dict)
    parts: Counter[int] = field(default_factory=Counter)
    pages: list[tuple[int, int]] = field(default_factory=list)
    asked_at: list[int | None] = field(default_factory=list)
    refreshed: list[int] = field(default_factory=list)
    at_once: int = 0
    most: int = 0

    async def part(self, wanted: MediaRef, part: Part, dc: int | None) -> bytes:  # noqa: ARG002 - the port
        self.parts[wanted.file_id] += 1
        await asyncio.sleep(0)
        if wanted.file_id in self.gates:
            await self.gates[wanted.file_id].wait()
        self._check(wanted, "upload.getFile")
        data = self.files[wanted.file_id][part.offset : part.offset + part.limit]
        return self.sent(wanted.file_id, part.offset, data)

    async def hashes(self, wanted: MediaRef, offset: int, dc: int | None) -> list[BlockHash]:
        self.pages.append((wanted.file_id, offset))
        self.asked_at.append(dc)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(0)
            self._check(wanted, "upload.getFileHashes")
            data = self.files[wanted.file_id]
            offsets = range(offset, len(data), BLOCK)[:PAGE]
            page = [BlockHash(at, len(data[at : at + BLOCK]), sha256(data[at : at + BLOCK]).digest()) for at in offsets]
            return self.named(wanted.file_id, offset, page)
        finally:
            self.at_once -= 1

    async def refresh(self, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        refs = list(refs)
        self.refreshed += [one.file_id for one in refs]
        return {(one.message_id, one.file_id): one._replace(reference=b"fresh") for one in refs}

    def _check(self, wanted: MediaRef, method: str) -> None:
        if wanted.reference != b"fresh":
            raise RpcError(400, "FILE_REFERENCE_EXPIRED", None, method)


@dataclass
class FakeContext:
    """What the plugin is given of core."""

    server: Server
    archive: Archive
    pool: Any
    memory: MemoryState

    async def file_hashes(self, wanted: MediaRef, offset: int, dc: int | None = None) -> list[BlockHash]:
        return await self.server.hashes(wanted, offset, dc)

    async def refresh(self, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        return await self.server.refresh(refs)

    def stored(self, size: int, most: int) -> list[Stored]:
        return self.archive.of_size(size, most)

    def state(self, scope: str) -> MemoryState:
        assert scope == "archive"
        return self.memory


@dataclass
class Bench:
    """An archive, a server and the plugin between them."""

    server: Server
    archive: Archive
    store: Store
    plugin: HashDedup
    layer: Spared

    def ref(self, file_id: int, **changed: Any) -> MediaRef:
        """The reference to a file; message and file have the same number."""
        return ref(file_id, len(self.server.files[file_id]), message_id=file_id)._replace(**changed)

    async def bring(self, *file_ids: int, **changed: Any) -> None:
        """Files into the archive, one after another."""
        for file_id in file_ids:
            await self.store(self.ref(file_id, **changed))

    def paths(self) -> dict[int, str]:
        """Where the archive has each file."""
        found = {file_id: self.archive.stored(file_id) for file_id in self.server.files}
        return {file_id: one.path for file_id, one in found.items() if one is not None and one.path}

    def fetched(self) -> set[int]:
        """Files of which some part was asked for."""
        return set(self.server.parts)

    def right(self) -> bool:
        """Whether every file that the archive has is the server's, byte by byte."""
        return all(
            (self.archive.folder / path).read_bytes() == self.server.files[id_] for id_, path in self.paths().items()
        )


@contextmanager
def bench(
    folder: Path, server: Server, *, memory: MemoryState | None = None, in_flight: int = 8, **knobs: int
) -> Iterator[Bench]:
    """The plugin over core's own fetch and store, in an archive that knows messages for all of the server's files."""
    pool = CorePool(Dialler(), PoolLimits(connections=1, in_flight=in_flight, part=32 * KB), 2)
    with Archive.create(folder / "archive", [Chat(CHAT.id, CHAT.kind, CHAT.title)]) as archive:
        context = FakeContext(server, archive, pool, memory or MemoryState())
        values = {knob.name: knob.default for knob in manifest.knobs} | {"min_kb": 1} | knobs
        plugin = HashDedup(values)
        _, layer = plugin.tobs_fetch(cast("Context", context))
        core = CoreFetch(server.part, server.refresh, HomeLanes(), SerialParts(pool, ByteBudget(10**8, 10**8)))
        fetch = layer(core)
        assert isinstance(fetch, Spared)
        probe = plugin.tobs_probe(cast("Context", context))
        store = Store(archive.folder, place, fetch, PlainDisk(), archive, archive.write, [probe])
        yield Bench(server, archive, store, plugin, fetch)


async def known(made: Bench) -> None:
    """Commit a message for every file."""
    ids = sorted(made.server.files)
    rows = [MessageRow(CHAT.id, n, "", None, "", "message", None, None, None, None, None, None, "{}") for n in ids]
    await made.archive.write.commit(Batch(CHAT.id, Span(min(ids), max(ids)), rows, [made.ref(n) for n in ids], []))
