"""A command is measured by itself, and gone when its measurement is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tobs.errors import UsageError
from tobs.lab.command import use

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_what_a_command_used() -> None:
    spin = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nraise SystemExit(7)"
    used = use(python(spin), os.environ)
    assert (used.exit_code, used.timed_out) == (7, False)
    assert used.cpu_seconds is not None
    assert 0.3 <= used.cpu_seconds <= used.seconds + 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_its_memory_is_its_own_and_its_childrens() -> None:
    held = bytearray(80_000_000)
    small = use(python("import time; time.sleep(0.1)"), os.environ).peak_rss
    fill = "import time; b = bytearray(60_000_000); time.sleep(0.2)"
    big = use(python(f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {fill!r}])"), os.environ)
    assert small is not None
    assert big.peak_rss is not None
    assert small < 40_000_000 < len(held)
    assert big.peak_rss > small + 60_000_000


def test_a_command_that_takes_too_long_is_stopped() -> None:
    used = use(python("import time; time.sleep(60)"), os.environ, timeout=0.2)
    assert used.timed_out
    assert used.exit_code != 0
    assert used.seconds < 30


def test_the_signal_that_ended_it_is_told() -> None:
    assert use(python("import os; os.kill(os.getpid(), 9)"), os.environ).exit_code == -signal.SIGKILL


def test_what_cannot_be_started_is_said() -> None:
    with pytest.raises(UsageError, match="cannot run 'no-such-program'"):
        use(["no-such-program"], os.environ)


def living(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in {"", "Z"}


CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
open(sys.argv[1], "w").write(f"{child.pid} ")
"""


def child_of(place: Path) -> int:
    while not place.exists() or not place.read_text().endswith(" "):
        time.sleep(0.01)
    return int(place.read_text())


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_nothing_of_it_is_left_running(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    assert use([*python(CHILD), str(place)], os.environ).exit_code == 0
    child = child_of(place)
    while living(child):
        time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_an_interrupt_ends_it_and_is_raised_again(tmp_path: Path) -> None:
    place = tmp_path / "pid"

    def interrupt() -> None:
        child_of(place)
        os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        use([*python(CHILD + "\ntime.sleep(60)"), str(place)], os.environ)
    waiting.join()
    child = child_of(place)
    while living(child):
        time.sleep(0.01)
