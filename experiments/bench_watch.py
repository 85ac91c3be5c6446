"""Measure what looking at a run costs, printed as JSON: microseconds of CPU of each part, and shares of one processor.

python experiments/bench_watch.py [--times N]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live as Screen

from tobs.archive.space import free_space
from tobs.cli.watch import EVERY as DRAWN_EVERY
from tobs.cli.watch_view import View
from tobs.engine.tally import Tally
from tobs.host.watching import EVERY
from tobs.meters import Meters
from tobs.telemetry.alarms import Alarms
from tobs.telemetry.live import Live

if TYPE_CHECKING:
    from collections.abc import Callable

DATA_CENTRES, STAGES, QUEUES = 5, 10, 6


def spent(work: Callable[[], object], times: int) -> float:
    """Microseconds of CPU that one call takes."""
    began = time.process_time()
    for _ in range(times):
        work()
    return 1e6 * (time.process_time() - began) / times


def main() -> None:
    """Measure each part by itself, with as many stages, queues and data centres as a large run has."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=1000)
    times = parser.parse_args().times
    meters = Meters()
    for number in range(STAGES):
        meters.stage(f"stage {number}").busy = number
    for number in range(QUEUES):
        meters.queue(f"queue {number}", 10).change(number)
    for number in range(1, DATA_CENTRES + 1):
        meters.lane(number).wanted = 10**6

    def attempt() -> None:
        lane = meters.lane(2)
        lane.sent(1.0)
        lane.ended(2.0, 5, 1000, lost=False)

    live, alarms, view = Live(meters, Tally()), Alarms(), View()
    live.free = lambda: free_space(Path.cwd())
    look = spent(lambda: alarms.look(live.snapshot()), times)
    before = live.snapshot()
    with TemporaryFile("w", encoding="utf-8") as nowhere:
        console = Console(file=nowhere, force_terminal=True, width=80, height=24)
        screen = Screen(console=console, auto_refresh=False, transient=True, redirect_stdout=False)

        def draw() -> None:
            lines = view.lines(before, live.snapshot(), {}, 80, 23)
            screen.update(Group(*lines), refresh=True)

        with screen:
            picture = spent(draw, times)
    found = {
        "attempt_us": round(spent(attempt, 100 * times), 2),
        "look_us": round(look),
        "picture_us": round(picture),
        "share_of_a_processor": round(look / EVERY / 1e6, 5),
        "share_with_watch": round((look + picture) / DRAWN_EVERY / 1e6, 5),
    }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
