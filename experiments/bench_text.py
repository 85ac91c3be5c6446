"""Measure a text export against the mere fetching and parsing of the same history, printed as JSON.

A lab without delay serves 20,000 messages. In each round the same client first only asks for the pages, one request
in flight through the exporter's own sender (from the first request to the last parsed answer), and then exports the
chat with the baseline (from connect to the last commit). The order alternates.

    python experiments/bench_text.py [--scenario S] [--rounds N] [--bar RATIO] [--profile FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telethon.tl.functions.help import GetConfigRequest
from telethon.tl.functions.messages import GetHistoryRequest

from tobs.host import run, settings
from tobs.lab.child import spawned
from tobs.telegram.account import load
from tobs.telegram.chats import dialogs
from tobs.telegram.sender import open_sender
from tobs.telegram.service import TelegramService

if TYPE_CHECKING:
    from tobs.lab.child import Child
    from tobs.telegram.account import Account

PAGE = 100


async def fetch(account: Account, peer: Any) -> float:
    """Messages a second of fetching and parsing alone."""
    sender, _ = await open_sender(account, account.dc, (account.host, account.port), account.key, GetConfigRequest())
    try:
        count = offset = 0
        began = time.perf_counter()
        while True:
            request = GetHistoryRequest(peer, offset, None, 0, PAGE, 0, 0, 0)
            messages = (await sender.send(request)).messages
            if not messages:
                break
            count += len(messages)
            offset = messages[-1].id
            if len(messages) < PAGE or offset <= 1:
                break
        return float(count / (time.perf_counter() - began))
    finally:
        await sender.close()


async def export(lab: Child, chat: int, folder: Path) -> tuple[float, str]:
    """Messages a second of a whole export, and its digest."""
    asked = run.Request([str(chat)], folder / "archive", state=folder / "state")
    report = await run.export(load(lab.server_file), settings.load(environment={}), asked)
    return report.tally.messages / report.seconds, report.digest


async def measure(scenario: str, rounds: int, profile: str | None) -> dict[str, Any]:
    """All rounds; rates are messages a second."""
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        async with spawned(scenario, folder / "lab") as lab:
            account = load(lab.server_file)
            biggest = max(lab.truth()["chats"].items(), key=lambda item: item[1]["messages"])
            chat, truth = int(biggest[0]), lab.truth(int(biggest[0]))["digest"]
            async with run.open_line(
                TelegramService(account), settings.load(environment={}), state=folder / "state"
            ) as line:
                peer = next(found.peer for found in await dialogs(line.invoke) if found.id == chat)
            await fetch(account, peer)  # the first time warms caches on either side
            fetched: list[float] = []
            exported: list[float] = []
            equal = True
            for number in range(rounds):
                for task in ("fetch", "export") if number % 2 == 0 else ("export", "fetch"):
                    if task == "fetch":
                        fetched.append(await fetch(account, peer))
                        continue
                    profiler = cProfile.Profile() if profile else None
                    if profiler:
                        profiler.enable()
                    rate, digest = await export(lab, chat, folder / f"round-{number}")
                    if profiler and profile:
                        profiler.disable()
                        profiler.dump_stats(profile)
                    exported.append(rate)
                    equal = equal and digest == truth
    pairs = [mine / bare for mine, bare in zip(exported, fetched, strict=True)]
    return {
        "scenario": scenario,
        "messages": biggest[1]["messages"],
        "rounds": rounds,
        "fetch_messages_per_second": round(statistics.median(fetched)),
        "export_messages_per_second": round(statistics.median(exported)),
        "ratio": round(statistics.median(pairs), 3),
        "ratios": [round(pair, 3) for pair in pairs],
        "digests_equal": equal,
    }


def main() -> int:
    """Print the figures; 1 if the ratio misses the bar or a digest differs from the truth."""
    parser = argparse.ArgumentParser(description="Text export against mere fetching.")
    parser.add_argument("--scenario", default="text_loopback")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bar", type=float, default=0.4, help="smallest ratio that is good")
    parser.add_argument("--profile", help="write a profile of the last export here (which slows it down)")
    given = parser.parse_args()
    figures = asyncio.run(measure(given.scenario, given.rounds, given.profile))
    figures["bar"] = given.bar
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0 if figures["digests_equal"] and figures["ratio"] >= given.bar else 1


if __name__ == "__main__":
    sys.exit(main())
