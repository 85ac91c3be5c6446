"""`--media-only`: no message is asked for, the files that an earlier run left are fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.export.labs import export, tobs
from tobs.archive.verify import verify
from tobs.engine.export import Wish
from tobs.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.labs import Served


async def test_what_a_run_without_media_left_is_fetched(small: Served, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    first = await export(small.server, archive, [small.chat], wish=Wish(media=False))
    small.child.reset()
    second = await export(small.server, archive, [small.chat], wish=Wish(history=False))
    requests = small.child.counters()["requests"]
    assert "messages.getHistory" not in requests
    assert second.tally.files
    assert second.new == 0
    assert second.warnings == []
    assert first.digest != second.digest == small.child.truth(small.chat)["digest"]
    assert verify(archive).ok


async def test_there_must_be_an_archive(small: Served, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no archive"):
        await export(small.server, tmp_path / "archive", [small.chat], wish=Wish(history=False))
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize("other", ["--no-media", "--rescan"])
def test_it_excludes_what_makes_no_sense_with_it(small: Served, tmp_path: Path, other: str) -> None:
    done = tobs("export", small.chat, "-o", tmp_path / "a", "--server", small.server, "--media-only", other)
    assert done.code == 2
    assert "exclude each other" in done.err
