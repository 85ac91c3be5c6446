"""Measure what writing files costs with the core's disk and with disk_io's, printed as JSON.

Files have the sizes that files_loopback has: 1900 small ones of about 30 kB and 24 videos of about 30 MB, or `--share`
of each. Parts of 512 kB are made ahead and come at once, `--files` files are in motion, and each is synced, renamed and
settled in a real archive. Both disks take turns on the same folder. For each, the medians of the repeats: seconds,
processor seconds, calls that write (`syscw` of Linux) and syncs; `best` is the seconds of the one disturbed least.

    python experiments/bench_disk.py [--share S] [--files N] [--repeats N] [--folder DIR] [--set KNOB=VALUE …]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.archive import Archive
from tobs.engine import store as core
from tobs.engine.store import PlainDisk, Store
from tobs.meters import Meters
from tobs.telemetry.instruments import io_calls
from tobs.values import Batch, Bytes, Chat, MediaRef, MessageRow, Span
from tobs_disk_io import manifest
from tobs_disk_io.plugin import DiskIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.ports import Disk, Sink, Write
    from tobs.values import Part

CHAT = Chat(-1_000_000_000_123, "channel", "Files")
PART = 512 * 1024
SMALL = 1900, 27_000, 0.7
LARGE = 24, 30_000_000, 0.4
KINDS = {"small": SMALL, "large": LARGE, "both": None}


def sizes(kind: str, share: float) -> list[int]:
    """Bytes of each file, the same for both disks."""
    draw = random.Random(27)
    found: list[int] = []
    for name, shape in KINDS.items():
        if shape is not None and kind in {name, "both"}:
            number, median, sigma = shape
            found += [round(median * draw.lognormvariate(0, sigma)) for _ in range(max(1, round(number * share)))]
    draw.shuffle(found)
    return found


def reference(number: int, size: int) -> MediaRef:
    """A document that message `number` carries."""
    file_id = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:7], "big")  # as scattered as real ones
    return MediaRef(
        CHAT.id, number, "file", file_id, 2, size, f"{number}.bin", "application/x", "2026-01-01T00:00:00+00:00",
        "document", 7, b"reference", "",
    )  # fmt: skip


def batch(refs: Sequence[MediaRef]) -> Batch:
    """The messages that carry them."""
    columns = [None] * 6
    rows = [
        MessageRow._make((CHAT.id, ref.message_id, ref.date, 55, "", "message", *columns, json.dumps(ref.name)))
        for ref in refs
    ]
    return Batch(CHAT.id, Span(1, len(refs)), rows, list(refs), [])


class Fetch:
    """Brings bytes that are in memory already, part by part."""

    def __init__(self) -> None:
        self._data = os.urandom(PART)

    async def __call__(self, ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes:  # noqa: ARG002 - the port
        """Write every part; each gives the loop away, as an answer from the network would."""
        for offset in range(0, ref.size, PART):
            await asyncio.sleep(0)
            await sink.write(offset, self._data[: min(PART, ref.size - offset)])
        return Bytes(ref.size)


class _Context:
    """What the plugin takes of core."""

    def __init__(self) -> None:
        self.meters = Meters()


async def run(folder: Path, found: Sequence[int], files: int, knobs: dict[str, Any] | None) -> dict[str, float]:
    """Bring all files in, with core's disk (None) or disk_io's."""
    refs = [reference(number, size) for number, size in enumerate(found, 1)]
    with Archive.create(folder, [CHAT]) as archive:
        disk: Disk = PlainDisk()
        write: Write = archive.write
        context: Any = _Context()
        plugin = DiskIO({**{knob.name: knob.default for knob in manifest.knobs}, **(knobs or {})})
        if knobs is not None:
            disk, write = plugin.tobs_disk(context), plugin.tobs_write(context, write)  # type: ignore[arg-type]
        await write.commit(batch(refs))
        store = Store(folder, lambda ref: f"media/{ref.name}", Fetch(), disk, archive, write, [])
        waiting = iter(refs)
        syncs, fsync = 0, os.fsync

        def counted(fd: int) -> None:
            nonlocal syncs
            syncs += 1
            fsync(fd)

        async def worker() -> None:
            for ref in waiting:
                await store(ref)

        core.os.fsync = counted if knobs is None else fsync  # type: ignore[attr-defined]
        before, began, spent = io_calls(), time.perf_counter(), time.process_time()
        try:
            async with plugin.tobs_lifespan(context), asyncio.TaskGroup() as workers:
                for _ in range(files):
                    workers.create_task(worker())
        finally:
            core.os.fsync = fsync  # type: ignore[attr-defined]
        after = io_calls()
        stages = context.meters.stages
        return {
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - spent,
            "writes": (after or {}).get("write", 0) - (before or {}).get("write", 0),
            "syncs": syncs if knobs is None else stages["disk_sync"].items,
        }


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--share", type=float, default=0.3)
    asked.add_argument("--files", type=int, default=12)
    asked.add_argument("--repeats", type=int, default=3)
    asked.add_argument("--kind", choices=list(KINDS), default="both")
    asked.add_argument("--folder", type=Path)
    asked.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="of disk_io")
    given = asked.parse_args()
    knobs = {knob.name: knob for knob in manifest.knobs}
    pairs = [one.partition("=") for one in given.set]
    chosen = {name: knobs[name].parse(value, where="--set") for name, _, value in pairs}
    found = sizes(given.kind, given.share)
    results: dict[str, list[dict[str, float]]] = {"core": [], "disk_io": []}
    for _ in range(given.repeats):
        for name, own in (("core", None), ("disk_io", chosen)):
            place = Path(tempfile.mkdtemp(prefix="bench-disk-", dir=given.folder))
            try:
                results[name].append(asyncio.run(run(place, found, given.files, own)))
            finally:
                shutil.rmtree(place)
                os.sync()
    told = {
        name: {key: round(statistics.median(one[key] for one in runs), 3) for key in runs[0]}
        | {"best": round(min(one["seconds"] for one in runs), 3)}
        for name, runs in results.items()
    }
    print(
        json.dumps(
            {"files": len(found), "bytes": sum(found), "in motion": given.files, "load": os.getloadavg(), **told}
        )
    )


if __name__ == "__main__":
    main()
