"""The hashes of a file's blocks, as a server names them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from tests.engine.fakes import Seen, ref
from tests.export.changing import running
from tests.export.labs import world_of
from tobs.engine.graph import CoreSettings, bare_line
from tobs.engine.media import HomeLanes
from tobs.engine.state import MemoryState
from tobs.telegram.account import load
from tobs.telegram.service import HASHES_SIZE, TelegramService

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 131_072


async def test_hashes_come_eight_at_a_time_from_where_the_file_lives(tmp_path: Path) -> None:
    world = world_of("small")
    spec = max((one for one in world.shelf.specs.values() if one.dc == 4), key=lambda one: one.size)
    wanted = ref(spec.id, spec.size, dc=4)._replace(access_hash=spec.access_hash, reference=spec.file_reference)
    seen = Seen()
    async with running(world, tmp_path) as (_, server):
        line = bare_line(TelegramService(load(server)), MemoryState(), CoreSettings(), [seen])
        line.lanes = HomeLanes()
        try:
            first = await line.file_hashes(wanted, 0)
            rest = await line.file_hashes(wanted, 8 * BLOCK, 4)
        finally:
            await line.close()
    assert len(first) == 8
    assert [one.offset for one in [*first, *rest]] == list(range(0, spec.size, BLOCK))
    for one in [*first, *rest]:
        data = spec.read(one.offset, one.limit)
        assert len(data) == one.limit
        assert sha256(data).digest() == one.sha256
    asked = [(one.dc, one.outcome) for one in seen.attempts if one.method == "upload.getFileHashes"]
    assert asked == [(2, "FILE_MIGRATE"), (4, "ok"), (4, "ok")]
    sizes = [one.size for one in seen.attempts if one.method == "upload.getFileHashes" and one.outcome == "ok"]
    assert 8 * 44 < sizes[0] <= HASHES_SIZE
