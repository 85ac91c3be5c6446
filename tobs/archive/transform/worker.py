"""A child that derives files, one job at a time: `python -m tobs.archive.transform.worker MEGABYTES SECONDS`.

Jobs come as lines of JSON on standard input, answers go to standard output. It ends with its input. What a hostile file
can do is bounded: memory, processor time and the size of what is written are limited by the system where it can
(Linux; on macOS not the memory, on Windows only the parent's clock).
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST = 256 * 1024 * 1024
"""Bytes that a derived file may have."""
WORDS = 300
"""Characters of a reason at most."""
TRANSIENT = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOENT,
        errno.EIO,
    }
)
"""Troubles of the machine, not of the file: another day may be better."""


def main(arguments: Sequence[str]) -> None:
    """Answer jobs until there are no more."""
    megabytes, seconds = (int(argument) for argument in arguments)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not answer
    _limit(megabytes)
    _say(answers, {"ready": True})
    for line in sys.stdin.buffer:
        _limit_time(seconds)
        answer = _work(json.loads(line), megabytes)
        _say(answers, answer)
        if answer.get("ends"):
            return


def _work(job: dict[str, Any], megabytes: int) -> dict[str, Any]:
    """The answer to a job; with `ends` this process is not fit for another."""
    source = job["source"]
    short = {"error": f"needs more than {megabytes} MB of memory", "lasting": True, "ends": True}
    try:
        module, _, function = job["made_by"].partition(":")
        make = getattr(importlib.import_module(module), function)
        make(Path(source), Path(job["target"]), json.loads(job["settings"]))
    except MemoryError:
        return short
    except Exception as error:  # noqa: BLE001 - whatever a decoder makes of a hostile file
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.ENOMEM:
            return short
        lasting = number not in TRANSIENT and not isinstance(error, ImportError)
        said = f"{error}".replace(f"file:{source}", "it").replace(source, "it")
        return {"error": f"{type(error).__name__}: {said}"[:WORDS], "lasting": lasting}
    return {"ok": True}


def _say(answers: Any, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if sys.platform == "win32":

    def _limit(megabytes: int) -> None:
        """There is nothing to limit it with."""

    def _limit_time(seconds: int) -> None:
        """There is nothing to limit it with."""

else:
    import resource

    def _limit(megabytes: int) -> None:
        for what, value in (
            (resource.RLIMIT_AS, megabytes * 1024 * 1024),
            (resource.RLIMIT_FSIZE, LARGEST),
            (resource.RLIMIT_CORE, 0),
        ):
            _, most = resource.getrlimit(what)
            if most != resource.RLIM_INFINITY:
                value = min(value, most)  # noqa: PLW2901
            try:
                resource.setrlimit(what, (value, most))
            except (OSError, ValueError):
                continue  # macOS takes no limit of the address space

    def _limit_time(seconds: int) -> None:
        """So much processor time from here on; the system ends the process then."""
        spent = resource.getrusage(resource.RUSAGE_SELF)
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        until = int(spent.ru_utime + spent.ru_stime) + seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (until if most == resource.RLIM_INFINITY else min(until, most), most))


if __name__ == "__main__":
    main(sys.argv[1:])
