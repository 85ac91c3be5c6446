"""A command run to its end, and what it used: time, CPU, memory. It gets a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAUSE = 0.02
"""Seconds between two looks at a running command; also how exact its time is."""

GRACE = 5.0
"""Seconds in which an interrupted command may end by itself."""

STDERR = 2


@dataclass(frozen=True, slots=True)
class Use:
    """What a command used until it ended.

    `exit_code` is negative for the signal that ended it; `timed_out` says that it was stopped for taking too
    long. `cpu_seconds` is that of the command and of the children that it waited for; `peak_rss` is the largest
    sum, in bytes, of the peaks of its processes that were alive together. Both are None where the system does
    not tell (CPU: Windows; memory: all but Linux).
    """

    exit_code: int
    timed_out: bool
    seconds: float
    cpu_seconds: float | None
    peak_rss: int | None


def use(
    command: Sequence[str], environment: Mapping[str, str], timeout: float | None = None, *, quiet: bool = False
) -> Use:
    """Run a command to its end and measure it. What it prints goes to standard error, or nowhere if `quiet`.

    An interrupt (KeyboardInterrupt) is passed on to the command, and raised again when that has ended. Nothing
    of its process group is left running. Raises `UsageError` when it cannot be started.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603  running what the user names is what this is for
            list(command),
            env=dict(environment),
            stdout=subprocess.DEVNULL if quiet else STDERR,
            stderr=subprocess.DEVNULL if quiet else None,
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(
            f"cannot run {command[0]!r}: {error.strerror}", hint="Give a program of this machine after `--`."
        ) from error
    timed_out, peak, cpu = False, 0, None
    try:
        while process.returncode is None:
            peak = max(peak, _memory(process.pid))
            if timeout is not None and time.monotonic() - started > timeout:
                timed_out = True
                cpu = _end(process)
                break
            time.sleep(PAUSE)
            cpu = _reap(process)
    except BaseException:
        if process.returncode is None:
            _end(process)
        raise
    finally:
        _signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    return Use(process.returncode or 0, timed_out, time.monotonic() - started, cpu, peak or None)


def _reap(process: subprocess.Popen[bytes]) -> float | None:
    """Take note of the command's end, if it has ended: its CPU seconds, where they can be known."""
    if not hasattr(os, "wait4"):
        process.poll()
        return None
    # Not RUSAGE_CHILDREN: that would count every child this process ever had.
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if pid == 0:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _end(process: subprocess.Popen[bytes]) -> float | None:
    """Have the command end, gently first; its CPU seconds, where they can be known."""
    _signal_group(process, signal.SIGINT)
    late = time.monotonic() + GRACE
    cpu = _reap(process)
    while process.returncode is None:
        time.sleep(PAUSE)
        cpu = _reap(process)
        if time.monotonic() > late:
            _signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    return cpu


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:  # Windows
            process.terminate()


def _memory(pid: int) -> int:
    """The peaks of a process and its descendants together, in bytes; 0 where the system does not tell.

    `ru_maxrss` would begin at the size of the process that started the command; VmHWM begins anew with each
    program.
    """
    total, waiting = 0, [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        try:
            status = (folder / "status").read_text()
            children = (folder / "task" / folder.name / "children").read_text()
        except OSError:  # ended meanwhile, or no Linux
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
        waiting += map(int, children.split())
    return total * 1024
