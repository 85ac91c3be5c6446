"""A run that is killed at any moment leaves an archive that opens, agrees with itself and goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.archive.rows import CHANNEL, CHAT, batch, commit, message, query
from tobs.archive import Archive
from tobs.archive.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import asyncio, pathlib, sys
from tests.archive.rows import CHANNEL, CHAT, batch, message, photo, store_file, with_photo
from tobs.archive import Archive
from tobs.values import Span

async def main():
    archive = Archive.create(pathlib.Path(sys.argv[1]), [CHAT])
    archive.start_run({})
    for top in range(100_000, 0, -100):
        numbers = range(top, top - 100, -1)
        rows = [with_photo(n, n) for n in numbers]
        await archive.write.commit(batch(rows, [photo(n, n) for n in numbers], span=Span(top - 99, top)))
        print(top, flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("pages", [1, 7, 40])
def test_a_killed_run_leaves_spans_and_rows_that_agree(tmp_path: Path, pages: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER.replace("", ""), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    lines = [int(writer.stdout.readline()) for _ in range(pages)]
    writer.kill()
    lines += [int(line) for line in writer.stdout]
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    kept = query(tmp_path, "SELECT low, high FROM spans")
    assert len(kept) == 1
    low, high = kept[0]
    assert high == 100_000
    assert low <= min(lines) - 99
    with Archive.create(tmp_path, [CHAT]) as archive:
        assert archive.messages(CHANNEL) == high - low + 1
        assert [ref.message_id for ref in archive.pending(CHANNEL)] == list(range(low, high + 1))
        (gap,) = archive.gaps(CHANNEL, 100_000)
        assert gap.high == low - 1
        commit(archive, batch([message(gap.high)]))
        archive.index()
    found = verify(tmp_path)
    assert found.ok
    assert query(tmp_path, "SELECT outcome FROM runs") == [("interrupted",)]
