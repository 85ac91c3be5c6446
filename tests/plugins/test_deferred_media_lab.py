"""deferred_media on the lab: media flow while history waits, another day costs few requests, and failures are clear."""

# ruff: noqa: ARG002 - a probe takes what it is told

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.changing import running
from tests.export.labs import main_chat, world_of
from tobs.archive.archive import Archive
from tobs.archive.verify import verify
from tobs.engine.export import Wish
from tobs.errors import ArchiveError
from tobs.host import run, settings
from tobs.lab.faults import Faults
from tobs.lab.scenario import Bucket
from tobs.lab.truth import truth
from tobs.telegram import account
from tobs.testing.exports import planned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tobs.lab.world import World
    from tobs.ports import Probe

DEFERRED = "baseline +deferred_media"
LIFE = 3_600.0


class Events:
    """A probe that keeps what happened, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def batch(self, page: Any, batch: Any, seconds: float) -> None:
        self.seen.append("batch")

    def file(self, outcome: Any, seconds: float) -> None:
        self.seen.append("file")

    def attempt(self, attempt: Any) -> None: ...

    def flood(self, method: str, seconds: float) -> None:
        self.seen.append(f"flood {method}")


async def export(
    world: World, server: Path, folder: Path, arm: str, wish: Wish | None = None, probes: Sequence[Probe] = ()
) -> run.Report:
    asked = run.Request([str(main_chat(world))], folder / "archive", wish or Wish(), state=folder / "state")
    return await run.export(account.load(server), settings.of_arm(arm), asked, probes, planned(arm))


async def test_media_flow_while_history_waits_for_a_flood(tmp_path: Path) -> None:
    world = world_of("many")
    bucket = Bucket(burst=1, refill=1.0, wait=(1, 1))
    limits = replace(world.scenario.limits, history=bucket)
    world = replace(world, scenario=replace(world.scenario, limits=limits))
    events = Events()
    async with running(world, tmp_path / "lab") as (lab, server):
        report = await export(world, server, tmp_path, DEFERRED, probes=[events])
        assert lab.counters()["requests_during_flood"] == 0
    assert report.digest == truth(world, main_chat(world)).digest
    waiting = events.seen[events.seen.index("flood messages.getHistory") :]
    assert "file" in waiting[: waiting.index("batch")]


@pytest.mark.parametrize("arm", ["baseline", DEFERRED])
async def test_another_day_references_are_read_again_by_the_hundred(tmp_path: Path, arm: str) -> None:
    world = world_of("small")
    world = replace(world, scenario=replace(world.scenario, faults=Faults(reference_life=LIFE)))
    today = 1_800_000_000.0
    async with running(world, tmp_path / "lab") as (lab, server):
        lab._service.references._clock = lambda: today
        await export(world, server, tmp_path, arm, Wish(media=False))
        with Archive.open(tmp_path / "archive") as archive:
            pending = list(archive.pending(main_chat(world)))
        today += 3 * LIFE
        lab.reset()
        report = await export(world, server, tmp_path, arm, Wish(history=False))
        counted = lab.counters()
    assert report.digest == truth(world, main_chat(world)).digest
    assert verify(tmp_path / "archive").pending == 0
    assert "messages.getHistory" not in counted["requests"]
    files = len({ref.file_id for ref in pending})
    asked = counted["requests"]["channels.getMessages"]
    refused = report.tally.refusals.get("FILE_REFERENCE_EXPIRED", 0)
    assert (asked, refused) == ((files, files) if arm == "baseline" else (ceil(len(pending) / 100), 0))


async def test_a_backlog_that_holds_little_loses_nothing_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    world = world_of("small")
    async with running(world, tmp_path / "lab") as (lab, server):
        report = await export(world, server, tmp_path, f"{DEFERRED} deferred_media.backlog=3")
        counted = lab.counters()
    assert report.digest == truth(world, main_chat(world)).digest
    assert counted["duplicate_parts"] == 0
    assert "channels.getMessages" not in counted["requests"], "what this run let go is known to be fresh"


@pytest.mark.parametrize("more", ["", "+async_pipeline +parallel_media parallel_media.backlog=1"])
async def test_a_full_disk_stops_the_run_while_history_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    async def full(*_: object) -> None:
        raise ArchiveError("full", hint="Make room.")

    monkeypatch.setattr("tobs.engine.store.PlainDisk.open", full)
    world = world_of("many")
    bucket = Bucket(burst=1, refill=1.0, wait=(60, 60))
    limits = replace(world.scenario.limits, history=bucket)
    world = replace(world, scenario=replace(world.scenario, limits=limits))
    async with running(world, tmp_path / "lab") as (_, server):
        async with asyncio.timeout(30):
            with pytest.raises(ArchiveError, match="full"):
                await export(world, server, tmp_path, f"{DEFERRED} {more}")
        assert not [task for task in asyncio.all_tasks() if "Backlog" in repr(task.get_coro())]
    found = verify(tmp_path / "archive")
    assert found.ok
    assert found.pending > 0
