"""Measure what an export makes of one large file beside raw requests for it, printed as JSON: no delay, no limit.

One lab serves one document. Every arm is a process of its own; the arms take turns, `--rounds` times, and medians
count. Raw: getFile with 1, 4 and 8 requests in flight on one connection of an unmodified Telethon client (abridged
transport), parts of 512 KB and of 1 MB, data dropped; timed from the first request to the last answer. Export: a whole
`tobs export` into an empty archive; timed from its first getFile request to the commit that says that the file is here,
so writing, hashing and syncing count, while starting, history and the archive's digest do not (`whole_seconds` has
them from the first connection). `share` is an export's bytes a second over those of the best raw loop.

    python experiments/bench_file.py [--megabytes N] [--rounds N] [--arm ARM]... [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telethon.network import ConnectionTcpAbridged
from telethon.tl import functions, types

from clock import Clock
from raw_client import connect
from tobs.experiment.surroundings import machine, versions
from tobs.host import run, settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.lab.child import spawn
from tobs.telegram.account import load

if TYPE_CHECKING:
    from tobs.lab.child import Child

SCENARIO = """
name = "bench_file"
seed = 41

[dataset]
title = "Bench"
username = "tobs_bench"
messages = 10
side_messages = 0
documents = {{ count = 1, median_kb = 1000, total_mb = {megabytes} }}

[network]
dc = [{{ id = 2 }}]
"""
RAW = tuple((in_flight, part_kb) for part_kb in (512, 1024) for in_flight in (1, 4, 8))
ARMS = ("baseline", "baseline +parallel_media", "all")


# ---------------------------------------------------------------- one arm, in its own process


async def export(server: Path, folder: Path, arm: str) -> dict[str, Any]:
    """One export by an arm into an empty folder."""
    found = discover()
    wanted = settings.load(environment={}, arm=arm, check=False)
    plan = resolve(found.manifests, wanted.wanted, found.broken).require()
    clock = Clock("upload.getFile")
    asked = run.Request(["@tobs_bench"], folder, state=folder.parent / "state")
    report = await run.export(load(server), wanted, asked, [clock], plan)
    return {
        "bytes": clock.size,
        "seconds": clock.settled - clock.first,
        "cpu_seconds": clock.cpu_settled - clock.cpu_first,
        "whole_seconds": report.seconds,
        "most_in_flight": clock.most,
        "connections": len(clock.connections),
        "digest": report.digest,
    }


async def raw(server: dict[str, Any], in_flight: int, part_kb: int) -> dict[str, Any]:
    """Ask for the one document, `in_flight` parts at once, and drop it."""
    client = await connect(server, ConnectionTcpAbridged)
    peer = (await client.get_dialogs())[0].input_entity
    messages = await client.get_messages(peer, limit=100)
    found = next(m.media.document for m in messages if isinstance(m.media, types.MessageMediaDocument))
    where = types.InputDocumentFileLocation(found.id, found.access_hash, found.file_reference, "")
    part = part_kb * 1024
    offsets = iter(range(0, found.size, part))
    size = 0

    async def work() -> None:
        nonlocal size
        for offset in offsets:
            answer = await client(functions.upload.GetFileRequest(where, offset, part, precise=True))
            size += len(answer.bytes)

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    await client.disconnect()
    assert size == found.size, (size, found.size)
    return {"bytes": size, "seconds": seconds, "cpu_seconds": cpu}


# ---------------------------------------------------------------- all arms, in turns


def child(lab: Child, folder: Path, name: str, order: dict[str, Any]) -> dict[str, Any]:
    """Run one arm in a process of its own; what it measured, and what the lab counted and spent meanwhile."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lab.reset()
    served = float(lab.counters()["cpu_seconds"])
    command = [sys.executable, __file__, "--child", json.dumps({**order, "server": str(lab.server_file)})]
    done = subprocess.run([*command, "--folder", str(folder)], check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout)
    counted = lab.counters()
    return told | {
        "arm": name,
        "lab_cpu_seconds": float(counted["cpu_seconds"]) - served,
        "requests": counted["requests"].get("upload.getFile", 0),
        "duplicate_parts": counted["duplicate_parts"],
        "load": os.getloadavg()[0],
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of one arm's rounds."""
    rates = [one["bytes"] / one["seconds"] / 1e6 for one in runs]
    told = {
        "mb_per_second": round(statistics.median(rates), 1),
        "rounds": [round(rate, 1) for rate in rates],
        "cpu_ms_per_mb": round(statistics.median(one["cpu_seconds"] / one["bytes"] * 1e9 for one in runs), 2),
        "lab_cpu_ms_per_mb": round(statistics.median(one["lab_cpu_seconds"] / one["bytes"] * 1e9 for one in runs), 2),
        "requests": runs[0]["requests"],
        "duplicate_parts": max(one["duplicate_parts"] for one in runs),
    }
    if "whole_seconds" in runs[0]:
        told |= {
            "whole_seconds": round(statistics.median(one["whole_seconds"] for one in runs), 2),
            "connections": runs[0]["connections"],
            "most_in_flight": runs[0]["most_in_flight"],
        }
    return told


def measure(megabytes: int, rounds: int, arms: list[str]) -> dict[str, Any]:
    """Every arm, `rounds` times, in turns; each round begins one arm further on."""
    orders: dict[str, dict[str, Any]] = {
        f"raw {in_flight} x {part_kb} KB": {"in_flight": in_flight, "part_kb": part_kb} for in_flight, part_kb in RAW
    }
    orders |= {arm: {"arm": arm} for arm in arms}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in orders}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario = folder / "file.toml"
        scenario.write_text(SCENARIO.format(megabytes=megabytes))
        with spawn(scenario, folder / "lab") as lab:
            lab.allow_takeout()  # `all` asks for one
            truth = lab.truth()["digest"]
            chats = {str(lab.truth(int(chat))["digest"]) for chat in lab.truth()["chats"]} | {truth}
            for number in range(rounds):
                names = list(orders)
                turn = number * 4 % len(names)  # neither group always comes first
                for each in names[turn:] + names[:turn]:
                    runs[each].append(child(lab, folder / "run", each, orders[each]))
    best = max((name for name in orders if name not in arms), key=lambda name: summary(runs[name])["mb_per_second"])
    top = summary(runs[best])["mb_per_second"]
    exports = {
        arm: {
            **summary(runs[arm]),
            "share": round(summary(runs[arm])["mb_per_second"] / top, 3),
            "equal_to_truth": all(one["digest"] in chats for one in runs[arm]),
        }
        for arm in arms
    }
    return {
        "megabytes": round(runs[best][0]["bytes"] / 1e6, 1),
        "rounds": rounds,
        "load": round(statistics.median(one["load"] for each in runs.values() for one in each), 1),
        "best_raw": best,
        "raw": {name: summary(runs[name]) for name in orders if name not in arms},
        "export": exports,
        "machine": machine(),
        "versions": versions(),
    }


def work(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a child does."""
    server = Path(order["server"])
    if "arm" in order:
        return asyncio.run(export(server, folder / "archive", order["arm"]))
    return asyncio.run(raw(json.loads(server.read_text()), order["in_flight"], order["part_kb"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--arm", action="append", help="instead of the three that stand for themselves")
    parser.add_argument("--json", type=Path, help="keep the result in this file too")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(work(given.child, given.folder)))
    else:
        text = json.dumps(measure(given.megabytes, given.rounds, given.arm or list(ARMS)), indent=1)
        if given.json:
            given.json.write_text(text + "\n", encoding="utf-8")
        print(text)
