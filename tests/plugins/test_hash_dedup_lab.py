"""hash_dedup on the lab: the same archive for fewer bytes, counted by the server; nothing wrongly merged."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.changing import running
from tests.export.labs import main_chat
from tobs.archive.archive import Archive
from tobs.archive.result import render_json
from tobs.archive.verify import verify
from tobs.engine.export import Wish
from tobs.host import run, settings
from tobs.lab.faults import Faults
from tobs.lab.scenario import load
from tobs.lab.truth import truth
from tobs.lab.world import build
from tobs.telegram import account
from tobs.testing.exports import planned

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.lab.world import World

SCENARIO = """
name = "dedup"
seed = 17

[dataset]
title = "Dedup"
username = "tobs_dedup"
messages = 140
side_messages = 0
repeats = 0.1
files = { 2 = 50, 4 = 50 }
duplicates = 0.3
lookalikes = 0.3
photos = { count = 14, median_kb = 60, sigma = 0.5 }
documents = { count = 8, median_kb = 500, sigma = 0.6 }
videos = { count = 8, median_kb = 1300, sigma = 0.4 }

[network]
home = 2
dc = [{ id = 2 }, { id = 4 }]
"""
DEDUP = "baseline +hash_dedup hash_dedup.min_kb=1"
TOGETHER = f"{DEDUP} hash_dedup.waiting=64 +async_pipeline +deferred_media +disk_io +parallel_media"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    file = tmp_path_factory.mktemp("scenario") / "dedup.toml"
    file.write_text(SCENARIO)
    return build(load(file))


def with_limits(world: World, **limits: Any) -> World:
    scenario = world.scenario
    return replace(world, scenario=replace(scenario, limits=replace(scenario.limits, **limits)))


@cache
def contents(seed: int, shelf: Any) -> dict[int, bytes]:  # noqa: ARG001 - the key of the cache
    """SHA-256 of each file, computed from its bytes."""
    return {spec.id: sha256(spec.read(0, spec.size)).digest() for spec in shelf.specs.values()}


def posted(world: World, folder: Path) -> list[int]:
    """Files that the chat carries, newest first, each once: the order in which the baseline fetches them."""
    with Archive.open(folder) as archive:
        rows = archive._db.execute(
            "SELECT file_id FROM media WHERE chat_id = ? ORDER BY message_id DESC", (main_chat(world),)
        )
        return list(dict.fromkeys(file_id for (file_id,) in rows))


async def export(world: World, server: Path, folder: Path, arm: str, wish: Wish | None = None) -> run.Report:
    asked = run.Request([str(main_chat(world))], folder / "archive", wish or Wish(), state=folder / "state")
    return await run.export(account.load(server), settings.of_arm(arm), asked, (), planned(arm))


def rendered(folder: Path) -> Any:
    """result.json, with what is in a file in the place of its path."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: told(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [told(inner) for inner in value]
        if isinstance(value, str) and value.startswith("media/"):
            return f"sha256 {sha256((folder / value).read_bytes()).hexdigest()}"
        return value

    (written,) = render_json(folder)
    return told(json.loads(written.read_text(encoding="utf-8")))


def right(world: World, folder: Path) -> None:
    """Every file in the archive has the bytes that the truth says, and nothing lies beside them."""
    by_content = contents(world.scenario.seed, world.shelf)
    with Archive.open(folder) as archive:
        rows = archive._db.execute("SELECT id, path FROM files").fetchall()
    for file_id, path in rows:
        assert sha256((folder / path).read_bytes()).digest() == by_content[file_id]
    found = verify(folder)
    assert (found.ok, found.foreign, found.pending) == (True, (), 0)


async def test_all_duplicates_that_have_hashes_are_spared_and_twins_are_not(world: World, tmp_path: Path) -> None:
    by_content = contents(world.scenario.seed, world.shelf)
    served = {}
    async with running(world, tmp_path / "lab") as (lab, server):
        for arm in ("baseline", DEDUP):
            lab.reset()
            folder = tmp_path / arm.replace(" ", "_")
            report = await export(world, server, folder, arm)
            assert report.digest == truth(world, main_chat(world)).digest
            right(world, folder / "archive")
            served[arm] = json.loads(json.dumps(lab.counters()))
            order = posted(world, folder / "archive")
    sizes = {spec.id: spec.size for spec in world.shelf.specs.values()}
    first: dict[bytes, int] = {}
    again = [file_id for file_id in order if first.setdefault(by_content[file_id], file_id) != file_id]
    spared = sum(sizes[file_id] for file_id in again)
    assert len(again) >= 5
    assert served["baseline"]["file_bytes"] - served[DEDUP]["file_bytes"] == spared
    assert served[DEDUP]["duplicate_parts"] == 0
    with Archive.open(tmp_path / DEDUP.replace(" ", "_") / "archive") as archive:
        (paths,) = archive._db.execute("SELECT count(DISTINCT path) FROM files").fetchone()
    assert paths == len(first)
    sized = [sizes[file_id] for file_id in first.values()]
    assert len(sized) - len(set(sized)) >= 2, "the scenario has twins of one size"
    one, other = (rendered(tmp_path / arm.replace(" ", "_") / "archive") for arm in ("baseline", DEDUP))
    assert json.dumps(one).count("sha256 ") >= len(order)
    assert one == other, "each message names a file of the same bytes"


@pytest.mark.parametrize("share", [0.0, 0.5])
async def test_absent_hashes_mean_that_a_file_is_fetched(world: World, tmp_path: Path, share: float) -> None:
    world = with_limits(world, file_hashes=share)
    by_content = contents(world.scenario.seed, world.shelf)
    async with running(world, tmp_path / "lab") as (lab, server):
        report = await export(world, server, tmp_path, DEDUP)
        asked = json.loads(json.dumps(lab.counters()))
        order = posted(world, tmp_path / "archive")
        known = {file_id for file_id in order if lab._service.has_hashes(file_id)}
    assert report.digest == truth(world, main_chat(world)).digest
    right(world, tmp_path / "archive")
    sizes = {spec.id: spec.size for spec in world.shelf.specs.values()}
    first: set[bytes] = set()
    fetched = []
    for file_id in order:
        if by_content[file_id] not in first or file_id not in known:
            fetched.append(file_id)
        first.add(by_content[file_id])
    assert asked["file_bytes"] == sum(sizes[file_id] for file_id in fetched)
    assert bool(share) == (len(fetched) < len(order))


async def test_together_with_others_the_archive_is_the_same(world: World, tmp_path: Path) -> None:
    async with running(world, tmp_path / "lab") as (lab, server):
        report = await export(world, server, tmp_path, TOGETHER)
        counted = json.loads(json.dumps(lab.counters()))
    assert report.digest == truth(world, main_chat(world)).digest
    right(world, tmp_path / "archive")
    assert counted["duplicate_parts"] == 0
    assert counted["requests_during_flood"] == 0
    order = posted(world, tmp_path / "archive")
    distinct = {contents(world.scenario.seed, world.shelf)[file_id] for file_id in order}
    with Archive.open(tmp_path / "archive") as archive:
        (paths,) = archive._db.execute("SELECT count(DISTINCT path) FROM files").fetchone()
    assert paths == len(distinct), "equal files that are wanted at once are fetched once too"


async def test_files_of_an_earlier_run_are_candidates(world: World, tmp_path: Path) -> None:
    by_content = contents(world.scenario.seed, world.shelf)
    async with running(world, tmp_path / "lab") as (lab, server):
        await export(world, server, tmp_path, "baseline", Wish(max_size=500_000))
        lab.reset()
        with Archive.open(tmp_path / "archive") as archive:
            had = {file_id for (file_id,) in archive._db.execute("SELECT id FROM files")}
        await export(world, server, tmp_path, DEDUP, Wish(history=False))
        counted = json.loads(json.dumps(lab.counters()))
    right(world, tmp_path / "archive")
    sizes = {spec.id: spec.size for spec in world.shelf.specs.values()}
    order = posted(world, tmp_path / "archive")
    rest = [file_id for file_id in order if file_id not in had]
    kept = {by_content[file_id] for file_id in had}
    once = {by_content[file_id]: sizes[file_id] for file_id in rest if by_content[file_id] not in kept}
    assert counted["file_bytes"] == sum(once.values())


async def test_another_day_an_expired_reference_is_renewed_once(world: World, tmp_path: Path) -> None:
    life = 3_600.0
    world = replace(world, scenario=replace(world.scenario, faults=Faults(reference_life=life)))
    today = 1_800_000_000.0
    async with running(world, tmp_path / "lab") as (lab, server):
        lab._service.references._clock = lambda: today
        await export(world, server, tmp_path, DEDUP, Wish(media=False))
        today += 3 * life
        lab.reset()
        report = await export(world, server, tmp_path, DEDUP, Wish(history=False))
        counted = json.loads(json.dumps(lab.counters()))
        files = len(posted(world, tmp_path / "archive"))
    assert report.digest == truth(world, main_chat(world)).digest
    right(world, tmp_path / "archive")
    assert counted["requests"]["channels.getMessages"] == files


async def test_wrong_hashes_merge_nothing_and_lose_nothing(world: World, tmp_path: Path) -> None:
    async with running(world, tmp_path / "lab") as (lab, server):
        known = lab._service.block_hashes
        for spec in world.shelf.specs.values():
            for block in range(-(-spec.size // 131_072)):
                known[spec.id, block] = sha256(f"{spec.id}{block}".encode()).digest()
        report = await export(world, server, tmp_path, DEDUP)
    assert report.digest == truth(world, main_chat(world)).digest
    right(world, tmp_path / "archive")
    with Archive.open(tmp_path / "archive") as archive:
        (paths, files) = archive._db.execute("SELECT count(DISTINCT path), count(*) FROM files").fetchone()
    assert paths == files
