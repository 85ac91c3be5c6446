"""log_rate_limit: however the process ends, what was kept reaches the log, if anything of Python still runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tobs_log_rate_limit.keeper import MORTAL, Keeper
from tobs_log_rate_limit.sites import Sites

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = """
import asyncio, logging, os, signal, sys, threading
from tobs.host.logs import logged_through
from tobs_log_rate_limit.plugin import LogRateLimit

knobs = {{"rate": 0.01, "burst": 2, "flush": 3600, "batch": 1000, "sites": 10, **{knobs}}}
inner = logging.FileHandler({file!r})
logging.getLogger().addHandler(inner)
logging.getLogger().setLevel(logging.DEBUG)
logging.getLogger("asyncio").setLevel(logging.INFO)
layer = LogRateLimit(knobs).tobs_log(None)

def speak(records=5):
    for number in range(records):
        logging.debug("kept %d", number)

def wait():
    print("ready", flush=True)
    sys.stdin.read()
"""
SPOKEN = ["kept 0", "kept 1", "3 more records suppressed of: kept %d"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals end a process otherwise there")


def child(tmp_path: Path, program: str, **knobs: float) -> subprocess.Popen[str]:
    """A program that logs through the plugin into `tmp_path / "log"`."""
    code = BEGIN.format(file=str(tmp_path / "log"), knobs=knobs) + program
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def ended(process: subprocess.Popen[str]) -> int:
    """Its exit code, when it ends by itself."""
    _, said = process.communicate(timeout=60)
    assert "log_rate_limit/" not in said, said
    return process.returncode


def killed(process: subprocess.Popen[str], number: int) -> int:
    """Its exit code after a signal, sent when it says that it is ready."""
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    process.send_signal(number)
    return ended(process)


def lines(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().splitlines()


@pytest.mark.parametrize("where", ["in a run", "outside of one"])
@pytest.mark.parametrize(
    ("end", "code"),
    [("pass", 0), ("raise RuntimeError('crash')", 1), ("sys.exit(3)", 3), ("raise KeyboardInterrupt", None)],
    ids=["falls off", "raises", "exits", "is interrupted"],
)
def test_nothing_kept_is_lost_when_the_interpreter_ends(tmp_path: Path, where: str, end: str, code: int | None) -> None:
    if where == "in a run":
        program = f"with logged_through([layer]):\n    speak()\n    {end}\n"
    else:
        program = f"logging.getLogger().handlers[:] = [layer(inner)]\nspeak()\n{end}\n"
    left = ended(child(tmp_path, program))
    assert lines(tmp_path) == SPOKEN
    assert left == code if code is not None else left != 0


@posix
@pytest.mark.parametrize("number", [int(number) for number in MORTAL])
def test_a_signal_that_ends_the_process_still_does_and_nothing_kept_is_lost(tmp_path: Path, number: int) -> None:
    process = child(tmp_path, "with logged_through([layer]):\n    speak()\n    wait()\n")
    assert killed(process, number) == -number
    assert lines(tmp_path) == SPOKEN


@posix
def test_so_it_does_while_an_event_loop_runs(tmp_path: Path) -> None:
    program = """
async def work():
    speak()
    print("ready", flush=True)
    await asyncio.Event().wait()
with logged_through([layer]):
    asyncio.run(work())
"""
    assert killed(child(tmp_path, program), signal.SIGTERM) == -signal.SIGTERM
    assert lines(tmp_path) == SPOKEN


@posix
def test_a_signal_in_the_midst_of_a_write_waits_for_its_end(tmp_path: Path) -> None:
    program = """
class Stream:
    def write(self, text):
        middle = len(text) // 2
        inner.stream.write(text[:middle])
        os.kill(os.getpid(), signal.SIGTERM)
        inner.stream.write(text[middle:])
    def flush(self):
        inner.flush()
with logged_through([layer]):
    limited = logging.getLogger().handlers[0]
    slow = layer(logging.StreamHandler(Stream()))
    slow.handle(logging.makeLogRecord({"msg": "slow", "levelno": 10, "lineno": 1}))
    speak()
    slow.flush()
    logging.debug("never said")
"""
    assert ended(child(tmp_path, program)) == -signal.SIGTERM
    assert lines(tmp_path) == ["slow", *SPOKEN]


@posix
def test_a_second_signal_waits_for_nothing(tmp_path: Path) -> None:
    program = """
class Stuck:
    def write(self, text):
        os.kill(os.getpid(), signal.SIGTERM)
        wait()
    def flush(self):
        pass
with logged_through([layer]):
    speak()
    stuck = layer(logging.StreamHandler(Stuck()))
    stuck.handle(logging.makeLogRecord({"msg": "stuck", "levelno": 10, "lineno": 1}))
    stuck.flush()
"""
    assert killed(child(tmp_path, program), signal.SIGTERM) == -signal.SIGTERM


@posix
def test_a_signal_that_somebody_else_looks_at_is_left_to_him(tmp_path: Path) -> None:
    program = """
def mine(number, frame):
    logging.debug("mine")
    sys.exit(7)
signal.signal(signal.SIGTERM, mine)
with logged_through([layer]):
    speak()
    assert signal.getsignal(signal.SIGTERM) is mine
    wait()
"""
    assert killed(child(tmp_path, program), signal.SIGTERM) == 7
    assert lines(tmp_path) == ["kept 0", "kept 1", "mine", SPOKEN[-1]]


@posix
def test_after_the_run_signals_stand_as_before(tmp_path: Path) -> None:
    program = """
before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
with logged_through([layer]):
    during = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] != during
"""
    assert ended(child(tmp_path, program)) == 0


@posix
def test_a_run_in_another_thread_leaves_signals_alone(tmp_path: Path) -> None:
    program = """
def run():
    with logged_through([layer]):
        speak()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
    assert ended(child(tmp_path, program)) == 0
    assert lines(tmp_path) == SPOKEN


@posix
def test_sigkill_loses_what_was_kept_and_no_more(tmp_path: Path) -> None:
    process = child(tmp_path, "with logged_through([layer]):\n    speak(4)\n    wait()\n", batch=3, burst=100)
    assert killed(process, signal.SIGKILL) == -signal.SIGKILL
    assert lines(tmp_path) == ["kept 0", "kept 1", "kept 2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_does_not_write_its_parents_records(tmp_path: Path) -> None:
    program = """
with logged_through([layer]):
    for number in range(5):
        logging.info("parent %d", number)
    if not os.fork():
        logging.info("child")
        sys.exit()
    os.wait()
"""
    assert ended(child(tmp_path, program)) == 0
    assert lines(tmp_path) == ["child", "parent 0", "parent 1", "3 more records suppressed of: parent %d"]


def test_the_thread_ends_with_the_last_handler() -> None:
    class Kept:
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

        def occupied(self) -> bool:
            return False

    keeper = Keeper(3600, Sites(1, 1, 1))
    first, last = Kept(), Kept()
    keeper.take(first)
    keeper.take(last)
    keeper.arm()
    timer = keeper._timer
    assert timer is not None
    keeper.leave(first)
    keeper.flush()
    assert (first.flushed, last.flushed) == (0, 1)
    keeper.leave(last)
    keeper.leave(last)
    timer.join(30)
    alive = timer.is_alive()
    assert not alive
