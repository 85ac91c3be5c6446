"""The bars of scale, on the largest scenario: a million messages and 100 GB of files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEGABYTES = 300
STARTS_WITHIN = 5.0
SHARE_OF_CLIENT = 1 / 3


@pytest.mark.campaign
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_million_messages_and_100_gb_are_served_from_little_memory_soon_and_cheaply() -> None:
    bench = [sys.executable, str(ROOT / "experiments" / "bench_scale.py")]
    told = json.loads(subprocess.run(bench, capture_output=True, check=True, timeout=880).stdout)
    assert told["history"]["messages"] == 1_000_000
    peaks = [told[part]["memory_mb"]["peak"] for part in ("cold", "cached", "history", "files")]
    assert max(peaks) < MEGABYTES, peaks
    assert told["cached"]["start_seconds"] < STARTS_WITHIN
    assert told["history"]["server_over_client"] < SHARE_OF_CLIENT
