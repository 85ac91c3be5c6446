"""A server that asks to wait is obeyed: not one request is sent during a wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.export.checker import differences
from tests.export.labs import Served, export

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_floods_are_waited_for_and_learned_from(serve: Callable[[str], Served], tmp_path: Path) -> None:
    lab = serve("floods")
    report = await export(lab.server, tmp_path / "archive", [lab.chat])
    counted = lab.child.counters()
    assert counted["floods"] > 0
    assert counted["requests_during_flood"] == 0
    assert report.tally.floods == counted["floods"], "every refusal is seen, and none is taken for two"
    assert report.tally.flood_seconds >= report.tally.floods
    assert report.warnings == []
    assert report.digest == lab.child.truth(lab.chat)["digest"]
    assert differences(tmp_path / "archive", lab.world, [lab.chat]) == []
    assert counted["duplicate_parts"] == 0
