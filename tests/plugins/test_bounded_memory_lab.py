"""bounded_memory on the lab: the archive is the truth with the least of memory, and the run tells what it held."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING

import pytest

from tests.export.changing import running
from tests.export.labs import main_chat, world_of
from tobs.archive.verify import verify
from tobs.host import run, settings
from tobs.lab.truth import truth
from tobs.telegram import account
from tobs.telemetry import names, read
from tobs.testing.exports import planned
from tobs_bounded_memory.watch import MEGA

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.lab.world import World

LEAST = "bounded_memory.memory_mb=16 bounded_memory.database_mb=1"


async def export(world: World, server: Path, folder: Path, arm: str) -> run.Report:
    asked = run.Request([str(main_chat(world))], folder / "archive", state=folder / "state")
    record = run.Record(folder / "metrics.jsonl")
    return await run.export(account.load(server), settings.of_arm(arm), asked, plan=planned(arm), record=record)


@pytest.mark.parametrize("arm", [f"baseline +bounded_memory {LEAST}", f"all {LEAST}"])
async def test_with_the_least_memory_the_archive_is_the_truth(
    arm: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = world_of("small")
    with caplog.at_level(logging.INFO, "tobs_bounded_memory"):
        async with running(world, tmp_path / "lab") as (lab, server):
            report = await export(world, server, tmp_path, arm)
            assert lab.counters()["duplicate_parts"] == 0
    assert report.digest == truth(world, main_chat(world)).digest
    assert verify(report.archive).ok
    assert "MB at most of 16.0" in caplog.text
    assert gc.get_freeze_count() == 0


async def test_the_high_water_marks_are_among_the_run_s_metrics(tmp_path: Path) -> None:
    world = world_of("small")
    async with running(world, tmp_path / "lab") as (_, server):
        await export(world, server, tmp_path, "baseline +bounded_memory")
    metrics = read(tmp_path / "metrics.jsonl")
    held = {name: metrics.value(names.HELD, {names.STAGE: name}) for name in ("budget_history", "budget_media")}
    assert held == {"budget_history": 0, "budget_media": 0}
    for name in held:
        assert (metrics.value(names.HELD_PEAK, {names.STAGE: name}) or 0) > 0
    assert metrics.value(names.HELD_LIMIT, {names.STAGE: "memory"}) == 256 * MEGA
