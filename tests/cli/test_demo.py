"""`tobs demo` on a small lab: what it tells people and machines, and the archive that it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.export.checker import differences
from tests.export.labs import SCENARIOS, main_chat, surroundings, tobs, world_of
from tobs.cli import demo

if sys.platform != "win32":
    import pty

if TYPE_CHECKING:
    from pathlib import Path

SMALL = str(SCENARIOS / "small.toml")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SCENARIO", SMALL)


def test_for_machines(tmp_path: Path) -> None:
    world, folder = world_of("small"), tmp_path / "demo"
    done = tobs("demo", "-o", folder, "--json")
    assert (done.code, done.err) == (0, ""), done
    told = done.value
    assert told["ok"] is told["digests_equal"] is True
    assert told["messages"] == world.histories[main_chat(world)].count
    assert told["messages_per_second"] > 0
    assert told["bytes_per_second"] > 0
    assert 0 <= told["efficiency"] <= 1
    assert told["requests_during_flood"] == 0
    assert told["speedup"] > 0
    assert told["archive"] == str(folder / "archive")
    assert differences(folder / "archive", world, [main_chat(world)]) == []

    again = tobs("demo", "-o", folder, "--json")
    assert (again.code, again.value["digest"]) == (0, told["digest"]), "an earlier demo is replaced"
    found = tobs("search", folder / "archive", "the", "--json")
    assert found.code == 0
    assert tobs("verify", folder / "archive").code == 0


def test_for_people(tmp_path: Path) -> None:
    done = tobs("demo", "-o", tmp_path / "demo")
    assert done.code == 0, done
    for word in (
        "messages a second",
        "files",
        "requests",
        "time",
        "efficiency",
        "No client can be faster",
        "Both digests equal the lab's truth",
    ):
        assert word in done.out
    assert str((tmp_path / "demo" / "archive").resolve()) in done.out
    assert "plugins" in done.err


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = tobs("demo", "-o", tmp_path)
    assert done.code == 2
    assert "not a demo's" in done.err
    assert "-o" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_there_are_bars(tmp_path: Path) -> None:
    script = f"from tobs.cli import demo; demo.SCENARIO = {SMALL!r}\nfrom tobs.cli.main import run; run()"
    main, side = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", script, "demo", "-o", str(tmp_path / "demo")],
        stdin=side,
        stdout=side,
        stderr=side,
        env=surroundings(TERM="xterm-256color"),
    )
    os.close(side)
    shown = b""
    while True:
        try:
            shown += os.read(main, 65536)
        except OSError:  # the other side is closed
            break
    os.close(main)
    assert child.wait() == 0, shown
    assert b"420 of 420 messages" in shown
    assert b"Both digests equal the lab's truth" in shown
    assert b"Traceback" not in shown
