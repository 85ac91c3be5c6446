"""A scenario and a seed give the same bytes on any day, in any time zone, from disk or from memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

TOLD = """
import datetime, hashlib, json, sys, time

days, kept_from = int(sys.argv[1]), int(sys.argv[2])
now, now_ns = time.time, time.time_ns
time.time = lambda: now() + days * 86_400
time.time_ns = lambda: now_ns() + days * 86_400 * 10**9


class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


datetime.datetime = Shifted

from dataclasses import asdict
from tobs.lab.content import Content
from tobs.lab.scenario import load
from tobs.lab.truth import truth
from tobs.lab.world import build

told = {"day": str(datetime.datetime.now().date())}
for name in ("demo", "mixed_home"):
    world = build(load(name, scale=0.03), kept_from=kept_from)
    content = Content(world)
    pages = hashlib.sha256()
    for history in world.histories.values():
        for start in range(0, history.count, 70):
            page, _ = content.page(history, (0, 0, start, 100, 0, 0))
            pages.update(b"".join(page))
    told[name] = [pages.hexdigest(), asdict(truth(world))]
json.dump(told, sys.stdout)
"""


def told(cache: Path, *, days: int, zone: str, hash_seed: str, kept_from: int) -> dict[str, Any]:
    """What a process of its own tells of two worlds, so many days from now."""
    environment = os.environ | {
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": str(ROOT),
        "TOBS_CACHE": str(cache),
        "TZ": zone,
    }
    command = [sys.executable, "-c", TOLD, str(days), str(kept_from)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=100)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_two_processes_on_two_days_serve_the_same_pages_and_tell_the_same_truth(tmp_path: Path) -> None:
    one = told(tmp_path / "one", days=0, zone="Pacific/Kiritimati", hash_seed="1", kept_from=10**9)
    two = told(tmp_path / "two", days=413, zone="America/Adak", hash_seed="2", kept_from=1)
    assert one.pop("day") != two.pop("day")
    assert one == two
    assert told(tmp_path / "two", days=9_000, zone="UTC", hash_seed="3", kept_from=1)["demo"] == one["demo"]
