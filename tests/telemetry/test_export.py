"""What an export's metrics tell is what the lab counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.export.labs import Served, export, serve, small
from tobs.meters import Meters
from tobs.telemetry import Telemetry, names, read

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["serve", "small"]


async def test_the_client_s_story_is_the_server_s(small: Served, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    telemetry = Telemetry.start(meters=Meters(), resource={}, file=file)
    report = await export(small.server, tmp_path / "archive", [small.chat], probes=telemetry.probes)
    telemetry.close(complete=True)
    metrics, counted = read(file), small.child.counters()

    introductions = {"help.getConfig", "auth.importAuthorization"}
    assert metrics.by(names.REQUESTS, names.METHOD) == {
        method: count for method, count in counted["requests"].items() if method not in introductions
    }
    assert metrics.total(names.PAGES) == counted["history_pages"]
    assert metrics.histogram(names.PART_DURATION).count == counted["file_parts"]
    assert metrics.by(names.REQUESTS, names.OUTCOME)["FILE_MIGRATE"] == counted["migrations"]
    assert metrics.total(names.MESSAGES) == report.tally.messages
    assert metrics.total(names.IO, {names.STAGE: "store"}) >= report.tally.size
    assert metrics.total(names.IO, {names.STAGE: "history"}) > 100 * report.tally.messages, "some bytes a message"
    assert metrics.total(names.ERRORS) == 0
    assert metrics.histogram(names.RPC_DURATION).sum <= metrics.seconds, "the baseline asks one thing at a time"
