"""A server that is gone ends the run once, not once a file."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.export.labs import SCENARIOS, command, surroundings
from tests.export.test_stops import LOOK
from tobs.lab.child import spawn

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("arm", "connections"), [("baseline", 4), ("default resilience.patience=5", 16)])
def test_files_that_wait_are_not_each_tried_in_vain(tmp_path: Path, arm: str, connections: int) -> None:
    """Whoever opens a connection tries six times; so many may be open at most, by the arms' knobs."""
    folder, state = tmp_path / "archive", tmp_path / "lab"
    with spawn(SCENARIOS / "many.toml", state) as lab:
        words = ["export", "@tobs_lab", "-o", folder, "--server", lab.server_file, "--arm", arm]
        words += ["--set", "retry_pause=0.2", "-v"]
        child = subprocess.Popen(
            command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings()
        )
        with child:
            while lab.counters()["requests"].get("upload.getFile", 0) < 4 and child.poll() is None:
                try:
                    child.wait(LOOK)
                except subprocess.TimeoutExpired:
                    continue
            os.kill(lab.pid, signal.SIGKILL)
            _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "cannot be reached" in err.splitlines()[-2]
    assert "run the same command again" in err.splitlines()[-1]
    tried = err.count("Attempt 1 at connecting failed")
    assert 0 < tried <= 6 * connections, "the tries of the requests under way, not of every file"
