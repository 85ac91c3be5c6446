"""Measure what the lab can serve with no delay and no limit, printed as JSON.

History: an unmodified client asks raw pages; messages/s, and microseconds of CPU a message on either side. Plain and
rich texts; *packed* ones, as on any line with a rate (one that never binds here), where each page is packed when it is
asked for the first time; and *kept* ones, in a chat so big that it is read from disk.
Files: 512 KB parts of one big document with 4 and 8 in flight; MB/s and the server's share of CPU.

    python experiments/bench_lab.py [--messages N] [--megabytes N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telethon.network import ConnectionTcpAbridged, ConnectionTcpFull
from telethon.tl import functions, types

from raw_client import connect
from tobs.lab.child import Child, spawned
from tobs.lab.world import KEPT_FROM

if TYPE_CHECKING:
    from telethon import TelegramClient

SCENARIO = """
name = "bench_lab"
seed = 1

[dataset]
title = "Bench"
username = "tobs_bench"
messages = {messages}
rich = {rich}
videos = {{ count = 1, median_kb = 1000, total_mb = {megabytes} }}

[network]
dc = [{{ id = 2 }}]
{network}
"""
CHATS: dict[str, tuple[float, int, str]] = {
    "plain": (0.0, 1, ""),
    "rich": (1.0, 1, ""),
    "packed": (0.3, 1, 'throttle = "connection"\nconnection_mb_per_s = 1000'),
    "kept": (0.3, KEPT_FROM, ""),
}
"""Share of rich texts, least number of messages, and further keys of the network."""

PART = 512 * 1024


def server_cpu(lab: Child) -> float:
    """CPU seconds the lab's process used so far."""
    return float(lab.counters()["cpu_seconds"])


async def history(client: TelegramClient, lab: Child, in_flight: int) -> dict[str, float]:
    """Fetch the biggest chat in pages of 100, `in_flight` at once at known offsets."""
    peer = (await client.get_dialogs())[0].input_entity
    first = await client(functions.messages.GetHistoryRequest(peer, 0, None, 0, 100, 0, 0, 0))
    offsets = iter(range(100, first.count, 100))
    done = len(first.messages)

    async def work() -> None:
        nonlocal done
        for add in offsets:
            page = await client(functions.messages.GetHistoryRequest(peer, 0, None, add, 100, 0, 0, 0))
            done += len(page.messages)

    served, own, began = server_cpu(lab), time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    seconds, own, served = time.perf_counter() - began, time.process_time() - own, server_cpu(lab) - served
    done -= len(first.messages)
    return {
        "messages": done,
        "messages_per_second": round(done / seconds),
        "client_cpu_us_per_message": round(own / done * 1e6, 2),
        "server_cpu_us_per_message": round(served / done * 1e6, 2),
        "server_over_client": round(served / own, 3),
    }


async def file(client: TelegramClient, lab: Child, in_flight: int) -> dict[str, float]:
    """Fetch the one document, `in_flight` parts at once."""
    peer = (await client.get_dialogs())[0].input_entity
    messages = [m async for m in client.iter_messages(peer, wait_time=0)]
    found = next(m.media.document for m in messages if isinstance(m.media, types.MessageMediaDocument))
    where = types.InputDocumentFileLocation(found.id, found.access_hash, found.file_reference, "")
    offsets = iter(range(0, found.size, PART))
    size = 0

    async def work() -> None:
        nonlocal size
        for offset in offsets:
            part = await client(functions.upload.GetFileRequest(where, offset, PART))
            size += len(part.bytes)

    served, own, began = server_cpu(lab), time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    seconds, own, served = time.perf_counter() - began, time.process_time() - own, server_cpu(lab) - served
    assert size == found.size, (size, found.size)
    return {
        "megabytes": round(size / 1e6, 1),
        "mb_per_second": round(size / seconds / 1e6, 1),
        "client_cpu_ms_per_mb": round(own / size * 1e9, 2),
        "server_cpu_ms_per_mb": round(served / size * 1e9, 2),
    }


async def measure(messages: int, megabytes: int) -> dict[str, Any]:
    """All measurements, in one run."""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TOBS_CACHE"] = folder
        for kind, (rich, least, network) in CHATS.items():
            scenario = Path(folder) / f"{kind}.toml"
            count = max(messages, least)
            scenario.write_text(SCENARIO.format(messages=count, rich=rich, megabytes=megabytes, network=network))
            async with spawned(scenario, Path(folder) / kind) as lab:
                client = await connect(lab, ConnectionTcpFull)
                if kind != "packed":  # a page is packed once, so only the first to ask sees what that costs
                    result[f"history_{kind}_1"] = await history(client, lab, 1)
                result[f"history_{kind}_4"] = await history(client, lab, 4)
                await client.disconnect()
                if kind != "plain":
                    continue
                for name, connection in (("full", ConnectionTcpFull), ("abridged", ConnectionTcpAbridged)):
                    for in_flight in (4, 8):
                        client = await connect(lab, connection)
                        result[f"file_{name}_{in_flight}"] = await file(client, lab, in_flight)
                        await client.disconnect()
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=200)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.messages, given.megabytes)), indent=1))
