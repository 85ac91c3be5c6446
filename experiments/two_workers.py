"""How long two workers on one PostgreSQL take for a study that one finishes alone.

    python experiments/two_workers.py [--trials 16] [--scale 0.4] [--bar 0.6] [--json FILE]

The study is bound by latency (`tune/latency.toml`) and its knobs change nothing, so that every run takes the same and
what is measured is the sharing: starts, controls and what the coordination costs. Each time a fresh database, and
`tobs tune --worker` as anybody would start it; the clock runs from the first start to the last end. The confirmation
is no part of it. Exit code 1 if the share is above `--bar`, or a trial was lost or failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from postgres import cluster, missing
from tobs.experiment import surroundings
from tobs.tuning.definition import Wanted, define
from tobs.tuning.journal import CONTROL, OK
from tobs.tuning.shared import DEFINITION, as_kept, taking_part
from tobs.tuning.told import tell

SCENARIO = Path(__file__).parent / "tune" / "latency.toml"


def measure(workers: int, wanted: Wanted) -> dict[str, Any]:
    """A study by so many workers: seconds, and what each of them ran."""
    definition = define(wanted)
    with cluster() as server, tempfile.TemporaryDirectory(prefix="tobs-two-workers-") as place:
        with taking_part(definition, server.url, "nobody") as journal:
            journal.note(DEFINITION, as_kept(definition))
        environment = {**os.environ, "TOBS_STORAGE": server.url, "TOBS_STATE": place}
        command = [sys.executable, "-m", "tobs", "tune", "--worker", "--json"]
        began = time.monotonic()
        started = [
            subprocess.Popen(
                [*command, "-o", str(Path(place, str(number)))], env=environment, stdout=subprocess.PIPE, text=True
            )
            for number in range(workers)
        ]
        told = [json.loads(one.communicate()[0]) for one in started]
        seconds = time.monotonic() - began
        study = tell(definition.name, server.url)
    return {
        "workers": workers,
        "seconds": round(seconds, 2),
        "trials": sum(one.kind != CONTROL for one in study.trials),
        "runs": len(study.trials),
        "failed": sum(one.outcome != OK for one in study.trials) + study.given_back,
        "median_run_seconds": sorted(one.seconds for one in study.trials)[len(study.trials) // 2],
        "each": [{name: one[name] for name in ("trials", "machine_factor", "stopped")} for one in told],
    }


def main() -> int:
    """Measure and print one JSON value."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--scale", type=float, default=0.4)
    parser.add_argument("--bar", type=float, default=0.6)
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    if why := missing():
        sys.stderr.write(f"{why}\n")
        return 1
    wanted = Wanted(
        scenario=str(SCENARIO),
        arm="baseline",
        knobs=("connections", "in_flight"),
        scale=words.scale,
        trials=words.trials,
        stall=words.trials,
    )
    one, two = measure(1, wanted), measure(2, wanted)
    share = two["seconds"] / one["seconds"]
    whole = all(found["trials"] == words.trials and not found["failed"] for found in (one, two))
    result = {
        "command": f"python experiments/two_workers.py --trials {words.trials} --scale {words.scale:g}",
        "share": round(share, 4),
        "bar": words.bar,
        "kept": share < words.bar and whole,
        "measured": [one, two],
        "machine": surroundings.machine(),
        "load": os.getloadavg(),
        "versions": surroundings.versions(),
        "code": surroundings.fingerprint(),
    }
    text = json.dumps(result, indent=1)
    sys.stdout.write(text + "\n")
    if words.json is not None:
        words.json.write_text(text + "\n", encoding="utf-8")
    return 0 if result["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
