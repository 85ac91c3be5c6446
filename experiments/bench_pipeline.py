"""Measure what parallel_media reaches of what its link allows, and both it and async_pipeline under floods, as JSON.

File: one large file, 100 ms and 4 MB/s a connection, from the first request to the last
byte with connections that are open before; its share of connections x rate. Each is repeated, and all repeats are told
with the machine's load; `best` is the one that was disturbed least. Floods: both plugins against request limits, which
the file does not have. All say what the lab counted, and whether the archive equals its truth.

    python experiments/bench_pipeline.py [--megabytes N] [--repeats N] [--only file|floods]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clock import Clock
from tobs.api import PAGE, Manifest, hook
from tobs.host import run, settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.lab.child import Child, spawn
from tobs.telegram.account import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from tobs.api import Context

RTT_MS = 100
RATE = 4
"""MB/s of one connection."""
CONNECTIONS = 4
FILE = """
name = "bench_file"
seed = 32

[dataset]
title = "Bench"
username = "tobs_bench"
messages = 10
side_messages = 0
videos = {{ count = 1, median_kb = 1000, total_mb = {megabytes} }}

[network]
throttle = "connection"
connection_mb_per_s = {rate}
dc = [{{ id = 2, rtt_ms = {rtt} }}]
"""

FLOODS = """
name = "bench_floods"
seed = 33

[dataset]
title = "Bench"
username = "tobs_bench"
messages = 6000
side_messages = 0
photos = {{ count = 150, median_kb = 60 }}
videos = {{ count = 4, median_kb = 3000 }}

[network]
dc = [{{ id = 2, rtt_ms = {rtt} }}]

[limits.history]
burst = 10
per_second = 8
wait = [1, 3]

[limits.file]
burst = 40
per_second = 30
wait = [1, 3]
"""


class OpenedAhead:
    """A plugin of this benchmark alone: opens every connection before the clock starts."""

    def __init__(self, knobs: dict[str, Any]) -> None:
        """Nothing is tunable."""

    @hook
    def tobs_lifespan(self, ctx: Context) -> AbstractAsyncContextManager[None]:
        """Connections, then the export."""
        return self._opened(ctx)

    @asynccontextmanager
    async def _opened(self, ctx: Context) -> AsyncIterator[None]:
        await ctx.pool.warm(2, CONNECTIONS)
        yield


AHEAD = Manifest("opened_ahead", "Connections are open before the clock starts.", "__main__:OpenedAhead")


async def export(lab: Child, folder: Path, method: str, arm: str) -> tuple[Clock, dict[str, Any]]:
    """One export by an arm into an empty folder; what the clock saw and what the lab counted."""
    found = discover()
    wanted = settings.load(environment={}, arm=arm, sets=[f"connections={CONNECTIONS}"], check=False)
    plan = resolve({**found.manifests, AHEAD.name: AHEAD}, wanted.wanted, found.broken).require()
    shutil.rmtree(folder, ignore_errors=True)
    lab.reset()
    clock = Clock(method)
    asked = run.Request(["@tobs_bench"], folder, state=folder.parent / "state")
    served = float(lab.counters()["cpu_seconds"])
    report = await run.export(load(lab.server_file), wanted, asked, [clock], plan)
    counters = lab.counters()
    chat = max(lab.truth()["chats"].items(), key=lambda item: int(item[1]["messages"]))[0]
    return clock, {
        "arm": arm,
        "requests": counters["requests"].get(method, 0),
        "duplicate_parts": counters["duplicate_parts"],
        "floods": counters["floods"],
        "refused": counters["refused"],
        "requests_during_flood": counters["requests_during_flood"],
        "equal_to_truth": report.digest == lab.truth(int(chat))["digest"],
        "most_in_flight": clock.most,
        "lab_cpu_seconds": round(counters["cpu_seconds"] - served, 2),
        "load": round(os.getloadavg()[0], 1),
    }


def file(folder: Path, megabytes: int, arm: str, repeats: int) -> list[dict[str, Any]]:
    """Share of connections x rate that one file reaches."""
    scenario = folder / "file.toml"
    scenario.write_text(FILE.format(megabytes=megabytes, rtt=RTT_MS, rate=RATE))
    told = []
    with spawn(scenario, folder / "lab") as lab:
        for _ in range(repeats):
            clock, facts = asyncio.run(export(lab, folder / "archive", "upload.getFile", arm))
            seconds = clock.answered - clock.first
            facts |= {
                "megabytes": round(clock.size / 1e6, 1),
                "seconds": round(seconds, 2),
                "share": round(clock.size / seconds / (CONNECTIONS * RATE * 1e6), 3),
            }
            told.append(facts)
    return told


def floods(folder: Path) -> dict[str, Any]:
    """Both plugins against request limits: what is asked during a wait, and what is asked twice."""
    scenario = folder / "floods.toml"
    scenario.write_text(FLOODS.format(rtt=RTT_MS))
    with spawn(scenario, folder / "lab") as lab:
        arm = "baseline +async_pipeline +parallel_media"
        clock, facts = asyncio.run(export(lab, folder / "archive", "messages.getHistory", arm))
    return facts | {"messages": clock.messages, "pages_needed": ceil(clock.messages / PAGE)}


def best(told: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """All repeats, and the best of them."""
    return {"best": max(one[key] for one in told), "repeats": told}


def measure(megabytes: int, repeats: int, only: str | None) -> dict[str, Any]:
    """All measurements, in one run."""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if only in {None, "file"}:
            few = max(megabytes // 10, 1)
            result["file_baseline"] = best(file(folder, few, "baseline +opened_ahead", 1), "share")
            told = file(folder, megabytes, "baseline +opened_ahead +parallel_media", repeats)
            result["file_parallel_media"] = best(told, "share")
        if only in {None, "floods"}:
            result["floods"] = floods(folder)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("file", "floods"))
    given = parser.parse_args()
    print(json.dumps(measure(given.megabytes, given.repeats, given.only), indent=1))
