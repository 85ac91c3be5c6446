"""Soak the lab: clients of every kind for half an hour, while the server's memory, CPU and sockets are watched.

A lab with limits and faults (soak.toml) is asked without a pause by plain Telethon, plain kurigram, TOBS itself and
a client that hammers, each in processes that start again whenever they end. The verdict is "flat" when the median
memory of the last third of the samples exceeds that of the middle third by at most 5 % or 5 MB, whichever is more,
and when no socket is left once all clients are gone.

    python experiments/soak.py [--minutes 30] [-o experiments/results/soak.json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tobs.lab.child import Child, spawn
from tobs.lab.command import use
from tobs.lab.run import environment

HERE = Path(__file__).parent
EVERY = 10.0
"""Seconds between samples."""

PATIENCE = 120.0
"""Seconds that one run of a client may take; plain clients may wait for ever for a lost reply."""

REST = 5.0
"""Seconds at the end in which the lab has nobody."""

GROWTH, LEAST = 1.05, 5_000_000

TOBS = "import os, sys; from tobs.cli.main import run; sys.argv[1:] = ['export', os.environ['TOBS_LAB_CHAT'], '-o', "
CLIENTS = {
    "telethon": [sys.executable, str(HERE / "clients" / "plain_telethon.py")],
    "kurigram": [sys.executable, str(HERE / "clients" / "plain_kurigram.py")],
    "tobs": [sys.executable, "-c", TOBS + "os.environ['TOBS_LAB_FOLDER'] + '/archive']; run()"],
    "hammer": [sys.executable, str(HERE / "clients" / "hammer.py"), "10"],
}


@dataclass(slots=True)
class Runs:
    """How often a client ran: to its end, to a failure, or until it was stopped for taking too long."""

    ended: int = 0
    failed: int = 0
    stopped: int = 0


@dataclass(slots=True)
class Soak:
    """The clients at work; `until` is the monotonic time at which none starts any more and all are stopped."""

    lab: Child
    root: Path
    until: float
    runs: dict[str, Runs] = field(default_factory=lambda: {name: Runs() for name in CLIENTS})

    def work(self, name: str) -> None:
        """Run one client again and again."""
        server = self.lab.server
        count, runs = 0, self.runs[name]
        while (left := self.until - time.monotonic()) > 0:
            folder = self.root / f"{name}-{count}"
            folder.mkdir()
            told = environment(self.lab.server_file, server["chat"], [server["chat_id"]], folder)
            told |= {"TOBS_STATE": str(folder / "state"), "TOBS_CONFIG_DIR": str(folder / "config")}
            used = use(CLIENTS[name], told, min(PATIENCE, left), quiet=True)
            if used.timed_out:
                runs.stopped += 1
            elif used.exit_code:
                runs.failed += 1
            else:
                runs.ended += 1
            shutil.rmtree(folder, ignore_errors=True)
            count += 1


def sample(lab: Child, began: float) -> dict[str, Any]:
    """What the lab's process holds now, and what it has served so far."""
    proc = Path("/proc", str(lab.pid))
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
    sockets = 0
    for handle in (proc / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            sockets += str(handle.readlink()).startswith("socket:")
    counters = lab.counters()
    return {
        "seconds": round(time.monotonic() - began, 1),
        "rss": int(status["VmRSS"].split()[0]) * 1024,
        "threads": int(status["Threads"]),
        "sockets": sockets,
        "connections": counters["connections_opened"] - counters["connections_closed"],
        "cpu_seconds": round(counters["cpu_seconds"], 2),
        "requests": sum(counters["requests"].values()),
        "floods": counters["floods"],
    }


def is_flat(rss: list[int]) -> bool:
    """Whether memory stopped growing."""
    third = len(rss) // 3
    if not third:
        return False
    middle, last = (statistics.median(part) for part in (rss[third:-third], rss[-third:]))
    return last <= max(middle * GROWTH, middle + LEAST)


def soak(minutes: float) -> dict[str, Any]:
    """Soak a lab of its own; the result as plain values."""
    with (
        tempfile.TemporaryDirectory(prefix="tobs-soak-") as folder,
        spawn(HERE / "soak.toml", Path(folder, "lab")) as lab,
    ):
        began = time.monotonic()
        before = sample(lab, began)
        work = Soak(lab, Path(folder), began + minutes * 60)
        threads = [threading.Thread(target=work.work, args=(name,), daemon=True) for name in CLIENTS]
        for thread in threads:
            thread.start()
        samples: list[dict[str, Any]] = []
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(max(0.0, EVERY * (len(samples) + 1) - (time.monotonic() - began)))
            if time.monotonic() < work.until:
                samples.append(sample(lab, began))
                print(json.dumps(samples[-1]), file=sys.stderr)
        time.sleep(REST)
        after = sample(lab, began)
        counters = lab.counters()
    flat = is_flat([one["rss"] for one in samples])
    return {
        "ok": flat and after["sockets"] <= before["sockets"] and after["connections"] == 0,
        "flat": flat,
        "minutes": minutes,
        "before": before,
        "after": after,
        "runs": {name: {"ended": r.ended, "failed": r.failed, "stopped": r.stopped} for name, r in work.runs.items()},
        "counters": {key: value for key, value in counters.items() if key not in {"first_accept", "last_activity"}},
        "samples": samples,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "soak.json")
    given = parser.parse_args()
    result = soak(given.minutes)
    given.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "samples"}, indent=1))
    sys.exit(0 if result["ok"] else 1)
