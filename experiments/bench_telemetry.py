"""Measure what telemetry costs a text export at zero latency, printed as JSON. The bar is 2 % of CPU.

Two ways, which should agree. `paired`: the same export from the lab with telemetry off and on, alternating, each in a
fresh process; CPU seconds of the whole process, interpreter's start included. `accounted`: the cost of each part by
itself (imports and start, one attempt, one batch, one line), times how often the export had it; other work on the
machine disturbs it less.

    python experiments/bench_telemetry.py [--scale F] [--blocks N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tobs.host import run, settings
from tobs.lab.child import spawn
from tobs.meters import Meters
from tobs.telegram.account import load
from tobs.telemetry import Telemetry, read
from tobs.values import Attempt, Batch, Chat, Page, Span, Traffic

SCENARIO = Path(__file__).parent / "scenarios" / "text_loopback.toml"
CHAT = "@tobs_text"
MANY = 20_000
LINES = 50
NEVER = 3600.0
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""As after an installation: the compiler's work, kept after the discarded runs, is no part of an export."""


def spent() -> float:
    """CPU seconds of this process so far, all threads."""
    times = os.times()
    return times.user + times.system


def export(server: Path, folder: Path, *, on: bool) -> dict[str, Any]:
    """One export in this process; its CPU seconds and what they were spent on."""
    before = time.process_time()
    file = folder / "metrics.jsonl"
    telemetry = (
        Telemetry.start(meters=Meters(), resource={"tobs.arm": "baseline"}, file=file) if on else Telemetry.off()
    )
    started = time.process_time() - before
    asked = run.Request([CHAT], folder / "archive", state=folder / "state")
    report = asyncio.run(run.export(load(server), settings.load(), asked, telemetry.probes))
    telemetry.close(complete=True)
    return {
        "cpu_seconds": spent(),
        "started_ms": 1e3 * started,
        "digest": report.digest,
        "messages": report.tally.messages,
        "attempts": sum(report.tally.requests.values()),
        "batches": report.tally.pages,
        "lines": read(file).exports if on else 0,
    }


def fresh(server: Path, *, on: bool) -> dict[str, Any]:
    """The same in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--export", str(server), folder, *(["--on"] if on else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=ENVIRONMENT)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def parts() -> dict[str, float]:
    """The cost of each part: microseconds of CPU of an attempt and a batch, milliseconds of a line."""
    seen = Attempt("messages.getHistory", Traffic.HISTORY, 2, 0.01, 60_000, "ok", 1)
    chat = Chat(1, "user", "Some")
    page = Page(chat, Span(1, 100), [], [], 100, ended=False, doubtful=False, size=1)
    batch = Batch(1, Span(1, 100), [], [], [])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "metrics.jsonl"
        telemetry = Telemetry.start(meters=Meters(), resource={}, file=file, interval=NEVER)
        probe = telemetry.probe
        assert probe is not None
        began = time.process_time()
        for number in range(MANY):
            probe.attempt(Attempt(seen.method, seen.traffic, 2, 0.001 * (1 + number % 50), 60_000, "ok", 1))
        attempt = (time.process_time() - began) / MANY
        began = time.process_time()
        for _ in range(MANY):
            probe.batch(page, batch, 0.001)
        commit = (time.process_time() - began) / MANY
        flush: Any = telemetry._output  # noqa: SLF001 - lines are asked for here, not awaited
        began = time.process_time()
        for _ in range(LINES):
            flush._readers[0].force_flush()  # noqa: SLF001
        line = (time.process_time() - began) / LINES
        telemetry.close(complete=True)
    return {
        "attempt_us": round(1e6 * attempt, 2),
        "batch_us": round(1e6 * commit, 2),
        "line_ms": round(1e3 * line, 3),
    }


def measure(scale: float, blocks: int) -> dict[str, Any]:
    """Both ways, in one run."""
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as state, spawn(SCENARIO, Path(state), scale=scale) as lab:
        for on in (False, True):
            fresh(lab.server_file, on=on)  # discarded: caches fill
        for block in range(blocks):
            order = (False, True) if block % 2 else (True, False)
            both = {on: fresh(lab.server_file, on=on) for on in order}
            assert both[False]["digest"] == both[True]["digest"]
            pairs.append((both[False], both[True]))
    off = statistics.median(one["cpu_seconds"] for one, _ in pairs)
    shares = sorted(other["cpu_seconds"] / one["cpu_seconds"] - 1 for one, other in pairs)
    sample, cost = pairs[0][1], parts()
    started = statistics.median(other["started_ms"] for _, other in pairs)
    accounted = (
        started * 1e-3
        + sample["attempts"] * cost["attempt_us"] * 1e-6
        + sample["batches"] * cost["batch_us"] * 1e-6
        + sample["lines"] * cost["line_ms"] * 1e-3
    )
    return {
        "messages": sample["messages"],
        "blocks": blocks,
        "off_cpu_seconds": round(off, 3),
        "on_cpu_seconds": round(statistics.median(other["cpu_seconds"] for _, other in pairs), 3),
        "paired": {
            "median_percent": round(100 * statistics.median(shares), 2),
            "lowest_percent": round(100 * shares[0], 2),
            "highest_percent": round(100 * shares[-1], 2),
        },
        "accounted": {
            "percent": round(100 * accounted / off, 2),
            "percent_after_start": round(100 * (accounted - started * 1e-3) / off, 2),
            "started_ms": round(started, 1),
            **cost,
            "attempts": sample["attempts"],
            "batches": sample["batches"],
            "lines": sample["lines"],
        },
    }


def main() -> None:
    """Measure, or be the measured process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--export", nargs=2, type=Path, metavar=("SERVER", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--on", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    result = export(*asked.export, on=asked.on) if asked.export else measure(asked.scale, asked.blocks)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
