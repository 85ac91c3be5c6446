"""Measure how fast a long history is read at 100 ms a round trip, printed as JSON.

`text_far` with 100,000 messages: latency and processors are all there is. Lab, exporter and yardstick are a process
each. In every round, in an order that turns, the yardstick and each arm read the same history from the same lab.

The yardstick is plain Telethon with 16 requests in flight at known positions: it fetches, parses and forgets. An arm is
a whole export with its telemetry on; its time runs from the first history request to the last commit, `run_seconds`
is the run's own account, from before the first connection. The stages are the run's own books: seconds that each was
busy, waited for input and could not hand on.

    python experiments/bench_history.py [--scale F] [--rounds N] [--bar RATE] [ARM ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clock import Clock
from tobs.api import PAGE
from tobs.lab.child import Child, spawn

if TYPE_CHECKING:
    from collections.abc import Callable


SCENARIO = "text_far"
METHOD = "messages.getHistory"
IN_FLIGHT = 16
ARMS = ("baseline +async_pipeline", "default", "all")
YARDSTICK = "fetch and parse"
STAGES = ("fetch", "normalise", "commit", "submit")


@dataclass(frozen=True)
class Served:
    """What the plain client looks at of a lab."""

    server: dict[str, Any]


def export(server: str, folder: str, arm: str) -> dict[str, Any]:
    """One export by an arm into an empty folder. Runs in a process of its own."""
    from tobs.host import run, settings  # noqa: PLC0415 - what the parent does not need
    from tobs.host.plugins import discover  # noqa: PLC0415
    from tobs.host.resolve import resolve  # noqa: PLC0415
    from tobs.telegram.account import load  # noqa: PLC0415
    from tobs.telemetry import names, read  # noqa: PLC0415

    found = discover()
    wanted = settings.load(environment={}, arm=arm, check=False)
    plan = resolve(found.manifests, wanted.wanted, found.broken).require()
    kept = Path(folder)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    clock = Clock(METHOD)
    asked = run.Request(["@tobs_text_far"], kept / "archive", state=kept / "state")
    record = run.Record(kept / "metrics.jsonl")
    report = asyncio.run(run.export(load(Path(server)), wanted, asked, [clock], plan, record=record))
    metrics = read(kept / "metrics.jsonl")
    books = {
        what: metrics.by(name, names.STAGE)
        for what, name in (("busy", names.BUSY), ("waited", names.WAIT_GET), ("blocked", names.BLOCKED_PUT))
    }
    seconds = clock.kept - clock.first
    return {
        "messages": clock.messages,
        "seconds": round(seconds, 2),
        "messages_per_second": round(clock.messages / seconds),
        "run_seconds": round(metrics.seconds, 2),
        "cpu_us_per_message": round((clock.cpu_kept - clock.cpu_first) / clock.messages * 1e6, 1),
        "page_seconds": round(clock.asking / clock.requests, 4),
        "stages": {
            stage: {what: round(book[stage], 2) for what, book in books.items()}
            for stage in STAGES
            if stage in books["busy"]
        },
        "digest": report.digest,
    }


def fetch(server: str, count: int) -> dict[str, Any]:
    """The yardstick: every page once, by its position. Runs in a process of its own."""
    return asyncio.run(_fetch(Served(json.loads(Path(server).read_text())), count))


async def _fetch(server: Served, count: int) -> dict[str, Any]:
    from telethon.tl.functions.messages import GetHistoryRequest  # noqa: PLC0415

    from raw_client import connect  # noqa: PLC0415 - Telethon is not for the parent

    client = await connect(server)
    try:
        peer = await client.get_input_entity("tobs_text_far")
        positions = iter(range(0, count, PAGE))
        got = 0

        async def cursor() -> None:
            nonlocal got
            for position in positions:
                answer = await client(GetHistoryRequest(peer, 0, None, position, PAGE, 0, 0, 0))
                got += len(answer.messages)

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(cursor() for _ in range(IN_FLIGHT)))
        seconds = time.perf_counter() - began
        return {
            "messages": got,
            "seconds": round(seconds, 2),
            "messages_per_second": round(got / seconds),
            "cpu_us_per_message": round((time.process_time() - cpu) / got * 1e6, 1),
        }
    finally:
        await client.disconnect()


def alone(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """Run `work` in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *given).result()


def one(lab: Child, task: str, folder: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """One measurement, and what the lab counted meanwhile."""
    lab.reset()
    served = float(lab.counters()["cpu_seconds"])
    if task == YARDSTICK:
        told = alone(fetch, str(lab.server_file), truth["messages"])
        told["complete"] = told["messages"] == truth["messages"]
    else:
        told = alone(export, str(lab.server_file), str(folder / "export"), task)
        told["complete"] = told.pop("digest") == truth["digest"]
    counters = lab.counters()
    return told | {
        "requests": counters["requests"].get(METHOD, 0),
        "lab_cpu_seconds": round(counters["cpu_seconds"] - served, 2),
        "load": round(os.getloadavg()[0], 1),
    }


def measure(arms: list[str], scale: float, rounds: int) -> dict[str, Any]:
    """All rounds; rates are messages a second, `ratio` is the median of the rounds' rates against the yardstick's."""
    tasks = [YARDSTICK, *arms]
    told: dict[str, list[dict[str, Any]]] = {task: [] for task in tasks}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with spawn(SCENARIO, folder / "lab", scale=scale) as lab:
            number, chat = max(lab.truth()["chats"].items(), key=lambda item: int(item[1]["messages"]))
            truth = {"messages": chat["messages"], "digest": lab.truth(int(number))["digest"]}
            for turn in range(rounds):
                at = turn % len(tasks)
                for task in tasks[at:] + tasks[:at]:
                    told[task].append(one(lab, task, folder, truth))
                    sys.stderr.write(f"{turn + 1}/{rounds} {task}: {told[task][-1]['messages_per_second']}/s\n")
    bare = [each["messages_per_second"] for each in told[YARDSTICK]]
    rates = {task: [each["messages_per_second"] for each in rounds_of] for task, rounds_of in told.items()}
    return {
        "scenario": SCENARIO,
        "scale": scale,
        "messages": truth["messages"],
        "pages": ceil(truth["messages"] / PAGE),
        "measured": {
            task: {
                "best": max(rates[task]),
                "median": round(statistics.median(rates[task])),
                "ratio": round(statistics.median(mine / its for mine, its in zip(rates[task], bare, strict=True)), 3),
                "rounds": rounds_of,
            }
            for task, rounds_of in told.items()
        },
    }


def main() -> int:
    """Print the figures; 1 if an arm's best round misses the bar or anything is incomplete."""
    parser = argparse.ArgumentParser(description="A long history at 100 ms a round trip.")
    parser.add_argument("arms", nargs="*", default=ARMS, metavar="ARM")
    parser.add_argument("--scale", type=float, default=5.0, help="times 20,000 messages")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--bar", type=int, default=12_000, help="messages a second that each arm must reach once")
    given = parser.parse_args()
    figures = measure(list(given.arms), given.scale, given.rounds)
    figures["bar"] = given.bar
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    measured = figures["measured"]
    complete = all(each["complete"] for task in measured.values() for each in task["rounds"])
    return 0 if complete and all(measured[arm]["best"] >= given.bar for arm in given.arms) else 1


if __name__ == "__main__":
    sys.exit(main())
