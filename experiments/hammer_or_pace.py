"""Does it pay to send on while the server asks to wait? Three clients on each profile with buckets, printed as JSON.

All fetch the same, history pages or parts of a file, a bucket's burst and some seconds of its refill: one keeps to the
bucket's rate, one waits for what it is told and sends at full speed again, one ignores what it is told. A client that
is not done after `--patience` times the seconds of the first is stopped. Exit code 1 if one of them was faster.

    python experiments/hammer_or_pace.py [--seconds N] [--patience F] [--profiles NAME ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telethon.errors import FloodError
from telethon.network import ConnectionTcpAbridged
from telethon.tl import functions, types

from raw_client import connect
from tobs.lab.child import Child, spawned
from tobs.lab.scenario import Bucket, load

if TYPE_CHECKING:
    from telethon import TelegramClient

SCENARIO = """
name = "hammer_or_pace"
seed = 3
profile = "{profile}"
faults = false

[dataset]
title = "Hammer or pace"
username = "tobs_hammer"
messages = 800
side_messages = 0
videos = {{ count = 1, median_kb = 4000, total_mb = 4 }}
"""
PROFILES = ("home_broadband", "multi_dc", "flood_prone", "flaky")
KINDS = ("history", "file")
IN_FLIGHT = 8
BELOW = 0.97
"""The share of the refill that pacing keeps to: requests arrive with jitter."""

PART = 4096
Ask = Callable[[int], Awaitable[Any]]


async def asking(client: TelegramClient, lab: Child, kind: str) -> Ask:
    """How to ask for the n-th page of one message, or for the n-th small part of the video.

    The chat's messages are read by id, which no bucket counts. Telethon's client would wait by itself, so requests go
    to its connection.
    """
    send = client._sender.send  # noqa: SLF001
    peer = (await client.get_dialogs())[0].input_entity
    if kind == "history":
        return lambda number: send(functions.messages.GetHistoryRequest(peer, 0, None, number, 1, 0, 0, 0))
    for first in range(1, 2000, 100):
        for message in await client.get_messages(peer, ids=list(range(first, first + 100))):
            if message is not None and message.document is not None:
                found = message.document
                where = types.InputDocumentFileLocation(found.id, found.access_hash, found.file_reference, "")
                return lambda number: send(functions.upload.GetFileRequest(where, number * PART, PART))
    raise SystemExit(f"no video in {lab.server_file}")


class Client:
    """Fetches so many answers, `IN_FLIGHT` at once. `got` has how many there are, `asked` how many it took."""

    def __init__(self, ask: Ask, wanted: int) -> None:
        self._ask = ask
        self._left = iter(range(wanted))
        self._until = 0.0
        self.got = 0
        self.asked = 0

    async def paced(self, bucket: Bucket) -> None:
        """Send the burst at once, but for one that jitter may need, and then one request each 1 / refill seconds."""
        began = time.perf_counter()
        flying = set()
        for number in self._left:
            due = began + max(0, number + 2 - bucket.burst) / (BELOW * bucket.refill)
            await asyncio.sleep(due - time.perf_counter())
            flying.add(asyncio.ensure_future(self._one(number, heeds=True)))
        await asyncio.gather(*flying)

    async def rushed(self, *, heeds: bool) -> None:
        """Send as fast as answers come; `heeds`: but not before a wait is over that the server asked for."""

        async def work() -> None:
            for number in self._left:
                await self._one(number, heeds=heeds)

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))

    async def _one(self, number: int, *, heeds: bool) -> None:
        while True:
            left = self._until - time.perf_counter()
            if heeds and left > 0:
                await asyncio.sleep(left)
                continue
            self.asked += 1
            try:
                await self._ask(number)
            except FloodError as flood:
                self._until = max(self._until, time.perf_counter() + flood.seconds)
            else:
                self.got += 1
                return


async def run(scenario: Path, folder: Path, kind: str, how: str, seconds: float, patience: float) -> dict[str, Any]:
    """One client against a lab of its own; it is given `patience` seconds."""
    bucket: Bucket = getattr(load(scenario).limits, kind)
    wanted = bucket.burst + round(seconds * bucket.refill)
    async with spawned(scenario, folder / f"{kind}_{how}") as lab:
        connected = await connect(lab, ConnectionTcpAbridged)
        client = Client(await asking(connected, lab, kind), wanted)
        lab.reset()
        work = client.paced(bucket) if how == "pacing" else client.rushed(heeds=how == "waiting")
        began, done = time.perf_counter(), True
        try:
            async with asyncio.timeout(patience):
                await work
        except TimeoutError:
            done = False
        took = time.perf_counter() - began
        counters = lab.counters()
        await connected.disconnect()
    return {
        "seconds": round(took, 2) if done else None,
        "got": client.got,
        "wanted": wanted,
        "asked": client.asked,
        "floods": counters["floods"],
        "requests_during_flood": counters["requests_during_flood"],
    }


async def compare(scenario: Path, folder: Path, kind: str, seconds: float, patience: float) -> dict[str, Any]:
    """The three clients, one after the other."""
    pacing = await run(scenario, folder, kind, "pacing", seconds, 60 + 3 * seconds)
    found = {"pacing": pacing}
    for how in ("waiting", "hammering"):
        found[how] = await run(scenario, folder, kind, how, seconds, patience * (pacing["seconds"] or seconds))
    return found


async def measure(profiles: list[str], seconds: float, patience: float) -> dict[str, Any]:
    """All profiles; history and files have buckets of their own and are measured at once."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for profile in profiles:
            scenario = Path(folder) / f"{profile}.toml"
            scenario.write_text(SCENARIO.format(profile=profile))
            both = (compare(scenario, Path(folder) / profile, kind, seconds, patience) for kind in KINDS)
            results[profile] = dict(zip(KINDS, await asyncio.gather(*both), strict=True))
    return results


def slower(found: dict[str, Any]) -> bool:
    """Whether pacing had no wait and the clients that sent into floods were slower."""
    pacing, others = found["pacing"], (found["waiting"], found["hammering"])
    return pacing["floods"] == 0 and all(o["floods"] and (o["seconds"] or 1e9) > pacing["seconds"] for o in others)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=6.0, help="of refill that is fetched beyond the burst")
    parser.add_argument("--patience", type=float, default=1.5)
    parser.add_argument("--profiles", nargs="+", default=list(PROFILES))
    given = parser.parse_args()
    measured = asyncio.run(measure(given.profiles, given.seconds, given.patience))
    print(json.dumps(measured, indent=1))
    sys.exit(not all(slower(found) for kinds in measured.values() for found in kinds.values()))
