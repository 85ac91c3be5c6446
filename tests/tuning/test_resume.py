"""Broken off anywhere, a search goes on with what it had, and proposes what it would have proposed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tuning.combinations import ALL
from tests.tuning.synthetic import START, Runs, searched, wanted
from tobs.tuning.journal import PROPOSED, WINNER, Journal
from tobs.tuning.journal import START as FIRST
from tobs.tuning.search import search

if TYPE_CHECKING:
    from tobs.tuning.journal import Asked
    from tobs.tuning.rounds import Told

ROOT = Path(__file__).parents[2]


@dataclass
class Interrupted(Runs):
    """Ctrl+C after so many runs."""

    after: int = 5

    def __call__(self, asked: Asked, cut: float | None) -> Told:
        if len(self.asked) == self.after:
            raise KeyboardInterrupt
        return super().__call__(asked, cut)


def test_interrupted_it_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole", wanted(trials=16), Runs(noise=0.0))
    first = Interrupted(noise=0.0)
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "parts", wanted(trials=16), first)
    rest = Runs(noise=0.0)
    parts = searched(tmp_path / "parts", wanted(trials=16), rest)
    assert [one.values for one in parts.trials] == [one.values for one in whole.trials]
    assert [one.kind for one in parts.trials] == [one.kind for one in whole.trials]
    assert len(first.asked) + len(rest.asked) == len(whole.trials), "nothing is run twice"


def test_a_start_that_was_interrupted_still_comes_first(tmp_path: Path) -> None:
    what = wanted(trials=4, winner={**START, "b.order": "small", "b.together": True})
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, what, Interrupted(after=0))
    runs = Runs(noise=0.0, steep=4.0)
    found = searched(tmp_path, what, runs)
    assert [one.kind for one in found.trials[:3]] == [FIRST, WINNER, PROPOSED]
    assert runs.cuts[0] is None


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.tuning.combinations import ALL
from tests.tuning.synthetic import searched

what, runs = ALL[sys.argv[2]]()

def killed(asked, cut):
    if asked.number >= 3 and asked.part == what.scenarios - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return runs(asked, cut)

searched(Path(sys.argv[1]), what, killed)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize("combination", ALL)
def test_killed_it_takes_the_running_trial_up_again(tmp_path: Path, combination: str) -> None:
    what, runs = ALL[combination]()
    whole = searched(tmp_path / "whole", what, runs)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", KILLED, str(tmp_path / "parts"), combination]
    killed = subprocess.run(words, env=environment, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    what, runs = ALL[combination]()
    journal = Journal(tmp_path / "parts" / "study.journal", "synthetic", 1)
    assert journal.resumed == 1
    done = [one.number for one in journal.done()]
    under_way = len(done)
    assert done == list(range(under_way))
    assert under_way >= 3
    found = search(what, journal, runs, lambda _: None)
    numbers = [one.number for one in found.trials]
    assert numbers == [*done, *range(under_way + 1, len(numbers) + 1)], "it was told as failed, and run as the next"
    again = under_way + 1
    assert {(one.number, one.part) for one in runs.asked} >= {(again, part) for part in range(what.scenarios)}
    assert not any(one.number < again for one in runs.asked)
    assert [one.values for one in found.trials] == [one.values for one in whole.trials]
    assert [one.objective for one in found.trials] == [pytest.approx(one.objective) for one in whole.trials]


TORN = """
import os, sys
from pathlib import Path
from tobs.tuning.file_lock import JournalLock

JournalLock(Path(sys.argv[1])).acquire()
with open(sys.argv[1], "ab") as torn:
    torn.write(b'{"op_code": 4, "wor')
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no lock there that the system lets go of")
def test_half_a_line_and_a_lock_that_nobody_holds_are_in_nobodys_way(tmp_path: Path) -> None:
    searched(tmp_path, wanted(trials=3), Runs())
    file = tmp_path / "study.journal"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", TORN, str(file)], env=environment, check=True, timeout=60)
    assert (tmp_path / "study.journal.lock").exists()
    found = searched(tmp_path, wanted(trials=5), Runs())
    assert len(found.trials) == 5
    assert found.trials[0].values == START
    assert len(searched(tmp_path, wanted(trials=5), Runs()).trials) == 5, "what is finished is not run again"
