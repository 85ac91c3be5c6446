"""Workers as processes of their own, on the synthetic search."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.tuning.synthetic import Runs, wanted
from tobs.tuning import journal as journals
from tobs.tuning.beats import beating
from tobs.tuning.journal import Journal
from tobs.tuning.search import search
from tobs.tuning.storage import connected

if TYPE_CHECKING:
    from tobs.tuning.journal import Asked
    from tobs.tuning.rounds import Told

ROOT = Path(__file__).parents[2]
STUDY = "synthetic"


@dataclass
class Held(Runs):
    """Says so before run number `at`, and waits for a line before it goes on."""

    at: int = 0

    def __call__(self, asked: Asked, cut: float | None) -> Told:
        if len(self.asked) == self.at:
            sys.stdout.write(f"{asked.number}\n")
            sys.stdout.flush()
            sys.stdin.readline()
        return super().__call__(asked, cut)


def main(storage: str, worker: str, trials: str, at: str) -> None:
    """A worker's process: held before its run number `at`; in the end it tells how many runs it made."""
    journals.REST = 0.02
    runs = Held(at=int(at))
    with connected(storage) as opened:
        journal = Journal(opened, STUDY, 1, worker=worker)
        with beating(journal.beat, 0.05):
            search(wanted(trials=int(trials), stall=int(trials)), journal, runs, lambda _: None)
    sys.stdout.write(json.dumps(len(runs.asked)) + "\n")


class Process:
    """A worker in a process of its own that is held before its run number `at`."""

    def __init__(self, storage: str, worker: str, trials: int, at: int = 0) -> None:
        code = "import sys; from tests.tuning.working import main; main(*sys.argv[1:])"
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.child = subprocess.Popen(
            [sys.executable, "-c", code, storage, worker, str(trials), str(at)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def number(self) -> int:
        """Of the trial that it is held in, once it is."""
        assert self.child.stdout is not None
        return int(self.child.stdout.readline())

    def go_on(self) -> None:
        """Let it run."""
        assert self.child.stdin is not None
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def ended(self) -> int:
        """How many runs it made, once it has ended well."""
        told, _ = self.child.communicate(timeout=100)
        assert self.child.returncode == 0
        return int(told)

    def kill(self) -> None:
        """End it as nothing can be ended more suddenly."""
        self.child.kill()
        self.child.communicate()
