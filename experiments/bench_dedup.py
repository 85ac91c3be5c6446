"""Measure the bytes that hash_dedup spares, of those that could be spared, printed as JSON.

`duplicates_home` as it is shipped, and `twins`: the same share of duplicates among files of which as many again have
the size, the beginning and the end of another one. Both by each arm into an empty archive. `spared` is what the server
sent less than to the same arm without the plugin. `possible` is it at most where the server has hashes of every file;
`possible_with_hashes` with those that it has, in the best of orders, and `possible_in_order` in that of the messages,
newest first, which is the baseline's. Every stored file is held against its own bytes: `wrong` are those that differ.

    python experiments/bench_dedup.py [--scale F] [--only duplicates_home|twins]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.archive.archive import Archive
from tobs.archive.schema import connect_reading
from tobs.host import run, settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.lab.child import Child, spawn
from tobs.lab.draws import Draws
from tobs.lab.scenario import load
from tobs.lab.world import build
from tobs.telegram import account

if TYPE_CHECKING:
    from tobs.lab.world import World

PLUGIN = "hash_dedup"
TWINS = """
name = "twins"
seed = 41

[dataset]
title = "Twins"
username = "tobs_twins"
messages = 220
side_messages = 0
files = { 2 = 50, 4 = 50 }
duplicates = 0.3
lookalikes = 0.3
photos = { count = 60, median_kb = 150, sigma = 0.6, total_mb = 9 }
documents = { count = 30, median_kb = 500, sigma = 0.8, total_mb = 20, largest_mb = 4 }
videos = { count = 10, median_kb = 1200, sigma = 0.7, total_mb = 13, largest_mb = 4 }

[network]
home = 2
dc = [{ id = 2 }, { id = 4 }]
"""
PAIRS = (("baseline", f"baseline +{PLUGIN}"), (f"default -{PLUGIN}", "default"))


async def export(lab: Child, chat: int, folder: Path, arm: str) -> dict[str, Any]:
    """One export by an arm into an empty folder; what the server counted."""
    found = discover()
    wanted = settings.load(environment={}, arm=arm, check=False)
    plan = resolve(found.manifests, wanted.wanted, found.broken).require()
    shutil.rmtree(folder, ignore_errors=True)
    lab.reset()
    asked = run.Request([str(chat)], folder, state=folder.parent / "state")
    report = await run.export(account.load(lab.server_file), wanted, asked, (), plan)
    counters = lab.counters()
    return {
        "arm": arm,
        "seconds": round(report.seconds, 2),
        "file_bytes": counters["file_bytes"],
        "hash_requests": counters["requests"].get("upload.getFileHashes", 0),
        "file_requests": counters["requests"].get("upload.getFile", 0),
        "bytes_out": counters["bytes_out"],
        "duplicate_parts": counters["duplicate_parts"],
        "requests_during_flood": counters["requests_during_flood"],
        "equal_to_truth": report.digest == lab.truth(chat)["digest"],
    }


def possible(world: World, folder: Path) -> dict[str, int]:
    """Bytes of the chat's files, and what of them could be spared."""
    contents = {spec.id: sha256(spec.read(0, spec.size)).digest() for spec in world.shelf.specs.values()}
    sizes = {spec.id: spec.size for spec in world.shelf.specs.values()}
    scenario = world.scenario
    db = connect_reading(folder)
    order = dict.fromkeys(file for (file,) in db.execute("SELECT file_id FROM media ORDER BY message_id DESC"))
    db.close()
    first: dict[bytes, int] = {}
    again = [file for file in order if first.setdefault(contents[file], file) != file]
    has = {file: Draws(scenario.seed, "file hashes", file).chance(scenario.limits.file_hashes) for file in order}
    alike: dict[bytes, list[int]] = {}
    for file in order:
        alike.setdefault(contents[file], []).append(file)
    best = [file for same in alike.values() for file in sorted(same, key=has.__getitem__)[1:] if has[file]]
    return {
        "files": len(order),
        "bytes": sum(sizes[file] for file in order),
        "duplicates": len(again),
        "possible": sum(sizes[file] for file in again),
        "possible_with_hashes": sum(sizes[file] for file in best),
        "possible_in_order": sum(sizes[file] for file in again if has[file]),
    }


def stored(world: World, folder: Path) -> dict[str, int]:
    """What lies in the archive, and how many of its files have other bytes than the server's."""
    db = connect_reading(folder)
    rows = db.execute("SELECT id, path FROM files").fetchall()
    db.close()
    specs = world.shelf.specs
    wrong = sum((folder / path).read_bytes() != specs[file].read(0, specs[file].size) for file, path in rows)
    with Archive.open(folder) as archive:
        files = archive.totals().all.files
    return {"files": files, "paths": len({path for _, path in rows}), "wrong": wrong}


def measure(source: str | Path, scale: float, folder: Path) -> dict[str, Any]:
    """All arms on one scenario."""
    world = build(load(source, scale=scale))
    chat = max(world.histories, key=lambda number: world.histories[number].count)
    told: dict[str, Any] = {}
    with spawn(source, folder / "lab", scale=scale) as lab:
        for without, with_it in PAIRS:
            one, other = (
                asyncio.run(export(lab, chat, folder / "archive", arm)) | {"archive": stored(world, folder / "archive")}
                for arm in (without, with_it)
            )
            told.setdefault("possible", possible(world, folder / "archive"))
            spared = one["file_bytes"] - other["file_bytes"]
            told[with_it] = {
                "without": one,
                "with": other,
                "spared": spared,
                "share_of_possible": round(spared / told["possible"]["possible"], 4),
                "share_of_possible_with_hashes": round(spared / told["possible"]["possible_with_hashes"], 4),
                "share_of_possible_in_order": round(spared / told["possible"]["possible_in_order"], 4),
                "all_bytes_out_down": round(1 - other["bytes_out"] / one["bytes_out"], 4),
            }
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=("duplicates_home", "twins"))
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if given.only in {None, "duplicates_home"}:
            results["duplicates_home"] = measure("duplicates_home", given.scale, place / "home")
        if given.only in {None, "twins"}:
            file = place / "twins.toml"
            file.write_text(TWINS)
            results["twins"] = measure(file, given.scale, place / "twins")
    print(json.dumps(results, indent=1))
