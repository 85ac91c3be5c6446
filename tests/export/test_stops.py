"""Stopped at any moment, by whatever: the archive opens, and the same command goes on to the same digest."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.export.checker import differences
from tests.export.labs import Ended, Served, command, surroundings, tobs
from tobs.archive.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOPS = 3
LOOK = 0.004
"""Seconds that a child may run before its archive is looked at again."""


def progress(folder: Path) -> int:
    """Messages and files that are committed."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'tobs.sqlite'}?mode=ro", uri=True)) as db:
            query = "SELECT (SELECT count(*) FROM messages) + 20 * (SELECT count(*) FROM files)"
            return int(db.execute(query).fetchone()[0])
    except sqlite3.Error:  # not there yet, or just being made
        return 0


def stopped(words: list[str], folder: Path, at: int, number: signal.Signals, environment: dict[str, str]) -> Ended:
    """Run a command and send it a signal once so much is committed."""
    child = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment
    )
    with child:
        while child.poll() is None:
            if progress(folder) >= at:
                child.send_signal(number)
                break
            try:
                child.wait(LOOK)
            except subprocess.TimeoutExpired:
                continue
        out, err = child.communicate(timeout=30)
    return Ended(child.returncode, out, err)


@pytest.mark.parametrize(
    ("number", "code", "arm"),
    [
        (signal.SIGINT, 130, "baseline"),
        (signal.SIGTERM, 130, "default"),
        (signal.SIGKILL, -signal.SIGKILL, "baseline"),
        (signal.SIGKILL, -signal.SIGKILL, "default"),
    ],
)
def test_stopped_again_and_again(
    serve: Callable[[str], Served], tmp_path: Path, number: signal.Signals, code: int, arm: str
) -> None:
    lab, folder = serve("steady"), tmp_path / "archive"
    lab.child.reset()
    words = ["export", "@tobs_steady", "-o", folder, "--server", lab.server, "--arm", arm, "--json"]
    history = lab.world.histories[lab.chat]
    whole = history.count + 20 * len(history.file_ids)
    draws = random.Random(f"stops {number} {arm}")
    moments = sorted(draws.sample(range(1, whole * 8 // 10), STOPS))
    reached: list[int] = []
    for at in moments:
        after = max(at, progress(folder) + 1)
        ended = stopped(command(*words), folder, after, number, surroundings(TOBS_STATE=str(tmp_path / "state")))
        assert ended.code == code, (at, ended)
        if number is not signal.SIGKILL:
            assert ended.value["error"] == "interrupted"
            assert "again" in ended.value["hint"]
        found = verify(folder)
        assert (found.ok, found.problems) == (True, ())
        reached.append(progress(folder))
    assert reached == sorted(set(reached)), "every run brings it further"
    done = tobs(*words)
    assert done.code == 0, done
    assert done.value["digest"] == lab.child.truth(lab.chat)["digest"]
    assert differences(folder, lab.world, [lab.chat]) == []
    counted = lab.child.counters()
    assert counted["floods"] == 0
    if arm == "baseline":  # a part is only asked for twice if its file was under way when the run was stopped
        assert counted["duplicate_parts"] <= len(moments) * 3


def test_people_are_told_how_to_go_on(serve: Callable[[str], Served], tmp_path: Path) -> None:
    lab, folder = serve("steady"), tmp_path / "archive"
    words = command("export", "@tobs_steady", "-o", folder, "--server", lab.server)
    ended = stopped(words, folder, 200, signal.SIGINT, surroundings(TOBS_STATE=str(tmp_path / "state")))
    assert ended.code == 130
    assert ended.out == ""
    assert ended.err.splitlines()[-2:] == [
        "tobs: interrupted",
        "What is committed stays. Run the same command again to go on.",
    ]
