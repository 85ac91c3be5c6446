"""Measure the lab at its largest: how soon it starts, what memory it holds, what it costs beside its client, as JSON.

The lab is started twice from an empty cache: the first start composes all messages and keeps them. Then a plain
client, of whose answers nothing is kept, reads the whole history in pages of 100 and the first part of files all over
the chat. Memory is the server's process's, as the system counts it (Linux), after the start, after the history, after
the files, and at its peak.

    python experiments/bench_scale.py [--scenario S] [--scale X] [--files N]
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

from telethon.tl import functions, types

from raw_client import connect
from tobs.lab.child import Child, spawned

if TYPE_CHECKING:
    from telethon import TelegramClient

PAGE = 100
PART = 512 * 1024
IN_FLIGHT = 4


def memory(lab: Child) -> dict[str, float]:
    """Resident memory of the lab's process in MB, now and at its peak."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{lab.pid}/status").read_text().splitlines())
    return {
        name: round(int(lines[key].split()[0]) * 1024 / 1e6, 1) for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))
    }


def place_of(file: Any, location: Any, size: str) -> Any:
    """Where a photo or document lies, as requests name it."""
    return location(file.id, file.access_hash, file.file_reference, size)


async def history(client: TelegramClient, lab: Child) -> tuple[dict[str, Any], list[Any]]:
    """Read the biggest chat whole; the figures, and where each of its files lies."""
    peer = (await client.get_dialogs())[0].input_entity
    first = await client(functions.messages.GetHistoryRequest(peer, 0, None, 0, 1, 0, 0, 0))
    offsets = iter(range(0, first.count, PAGE))
    done = 0
    found: dict[int, Any] = {}

    async def work() -> None:
        nonlocal done
        for add in offsets:
            page = await client(functions.messages.GetHistoryRequest(peer, 0, None, add, PAGE, 0, 0, 0))
            done += len(page.messages)
            for message in page.messages:
                media = getattr(message, "media", None)
                if isinstance(media, types.MessageMediaDocument):
                    found[media.document.id] = place_of(media.document, types.InputDocumentFileLocation, "")
                elif isinstance(media, types.MessageMediaPhoto):
                    size = media.photo.sizes[-1].type
                    found[media.photo.id] = place_of(media.photo, types.InputPhotoFileLocation, size)

    served, own, began = lab.counters()["cpu_seconds"], time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    seconds, own, served = (
        time.perf_counter() - began,
        time.process_time() - own,
        lab.counters()["cpu_seconds"] - served,
    )
    assert done == first.count, (done, first.count)
    figures = {
        "messages": done,
        "messages_per_second": round(done / seconds),
        "client_cpu_us_per_message": round(own / done * 1e6, 2),
        "server_cpu_us_per_message": round(served / done * 1e6, 2),
        "server_over_client": round(served / own, 3),
    }
    return figures, list(found.values())


async def files(client: TelegramClient, places: list[Any], count: int) -> dict[str, Any]:
    """Fetch the first part of `count` files."""
    size = 0
    for place in places[:: max(1, len(places) // count)][:count]:
        part = await client(functions.upload.GetFileRequest(place, 0, PART))
        size += len(part.bytes)
    return {"files": min(count, len(places)), "megabytes": round(size / 1e6, 1)}


async def measure(scenario: str, scale: float, count: int) -> dict[str, Any]:
    """All measurements, in one run."""
    result: dict[str, Any] = {"scenario": scenario, "scale": scale}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TOBS_CACHE"] = folder
        for start in ("cold", "cached"):
            began = time.perf_counter()
            async with spawned(scenario, Path(folder) / start, scale=scale) as lab:
                result[start] = {
                    "start_seconds": round(time.perf_counter() - began, 2),
                    "memory_mb": memory(lab),
                }
                if start == "cold":
                    continue
                client = await connect(lab)
                result["history"], places = await history(client, lab)
                result["history"]["memory_mb"] = memory(lab)
                result["files"] = await files(client, places, count)
                result["files"]["memory_mb"] = memory(lab)
                await client.disconnect()
        result["kept_mb"] = kept(Path(folder))
    return result


def kept(folder: Path) -> float:
    """MB of messages on disk."""
    return round(sum(path.stat().st_size for path in folder.rglob("*.pack")) / 1e6, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scenario", default=str(Path(__file__).parent / "scenarios" / "vast.toml"))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--files", type=int, default=500)
    given = parser.parse_args()
    told = asyncio.run(measure(given.scenario, given.scale, given.files))
    told["scenario"] = Path(told["scenario"]).stem
    print(json.dumps(told, indent=1))
