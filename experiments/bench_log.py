"""Measure what a DEBUG log to a file costs, plain and through log_rate_limit, printed as JSON.

`records`: ten records a page, as Telethon writes them for one request, from ten call sites, at the pace of an export in
the records' own time. `microseconds_per_record` is CPU of the whole process, timer included; `write_calls` are the
system's, Linux only. Beside the two: `record_only`, what is spent before any handler is called, and `disabled`, the
logger at INFO.

`export`: text_loopback from the lab with all loggers at DEBUG to a file, each run in a fresh process, in alternation:
the plugin off, on, and no log at all, which is the most that any limit could gain. `milliseconds_logging` is what the
threads that log spend in `debug` and `info`, CPU; the plugin's own thread, which formats once a second what passed, is
not in it. The least of all blocks is told: the machine's other work, which hides the difference in `cpu_seconds`, only
adds.

    python experiments/bench_log.py [--pages N] [--repeats N] [--scale F] [--blocks N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from tobs.host import run, settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.lab.child import spawn
from tobs.telegram.account import load
from tobs_log_rate_limit import manifest
from tobs_log_rate_limit.plugin import LogRateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCENARIO = Path(__file__).parent / "scenarios" / "text_loopback.toml"
ARMS = {
    "plain": ("baseline", logging.DEBUG),
    "limited": ("baseline +log_rate_limit", logging.DEBUG),
    "no_log": ("baseline", logging.CRITICAL),
}
RECORDS = 10
PAGES_PER_SECOND = 60
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
log = logging.getLogger("bench.network")


def page(number: int) -> None:
    """What Telethon 1.45 says of one request: ten call sites."""
    log.debug("Assembled message %d for %s", number, "GetHistoryRequest")
    log.debug("Encrypting %d message(s) in %d bytes for sending", 1, 120)
    log.debug("Encrypted messages put in a queue to be sent")
    log.debug("Waiting for messages to send...")
    log.debug("Receiving items from the network...")
    log.debug("Handling container")
    log.debug("Handling gzipped data")
    log.debug("Handling RPC result for message %d", number)
    log.debug("Handling acknowledge for %s", str([number]))
    log.debug("Got %d bytes for message %d", 60_000, number)


class Nothing(logging.Handler):
    """Takes records and does nothing with them."""

    def handle(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the interface
        """Forget it."""
        return True


def plain(file: Path) -> logging.Handler:
    """The handler as logging makes it."""
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter(FORMAT))
    return handler


def limited(file: Path) -> logging.Handler:
    """The same, wrapped by the plugin with its default knobs."""
    wrap: Any = LogRateLimit({knob.name: knob.default for knob in manifest.knobs}).tobs_log
    handler: logging.Handler = wrap(None)(plain(file))
    return handler


def nothing(_: Path) -> logging.Handler:
    """No handler's work at all."""
    return Nothing()


def write_calls() -> int:
    """Write calls of this process so far; 0 where the system does not count them."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("syscw:"))


def measure(make: Callable[[Path], logging.Handler], pages: int, level: int) -> dict[str, float]:
    """One measurement with a fresh file; records carry times `PAGES_PER_SECOND` pages apart."""
    with tempfile.TemporaryDirectory() as folder, paced():
        handler = make(Path(folder) / "log")
        log.handlers[:], log.propagate = [handler], False
        log.setLevel(level)
        calls, began = write_calls(), time.process_time()
        for number in range(pages):
            Clock.now += 1 / PAGES_PER_SECOND
            page(number)
        handler.flush()
        spent, calls = time.process_time() - began, write_calls() - calls
        handler.close()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return {
        "microseconds_per_record": round(1e6 * spent / pages / RECORDS, 3),
        "write_calls": calls,
        "bytes_written": size,
    }


class Clock:
    """The time that records are given, so that the pace is an export's and the measurement is short."""

    now = 1_700_000_000.0

    @classmethod
    def seconds(cls) -> float:
        """As `time.time`."""
        return cls.now

    @classmethod
    def nanoseconds(cls) -> int:
        """As `time.time_ns`."""
        return int(cls.now * 1e9)


@contextmanager
def paced() -> Iterator[None]:
    """Let records and limits see the pretended time, in all measurements alike."""
    with mock.patch("time.time", Clock.seconds), mock.patch("time.time_ns", Clock.nanoseconds):
        yield


class Spent:
    """CPU that calls of `debug` and `info` took."""

    nanoseconds = 0
    calls = 0

    def add(self, nanoseconds: int) -> None:
        """One call more."""
        self.nanoseconds += nanoseconds
        self.calls += 1


TIMED = """
def {name}(self, msg, *args, **kwargs):
    began = thread_time_ns()
    if self.isEnabledFor({level}):
        self._log({level}, msg, args, **kwargs)
    spent_by_log(thread_time_ns() - began)
"""


def timed() -> Spent:
    """Time both entries from inside, under their own name and file: how a record finds its caller stays as it is."""
    spent = Spent()
    vars(logging).update(thread_time_ns=time.thread_time_ns, spent_by_log=spent.add)
    for entry in (logging.Logger.debug, logging.Logger.info):
        name, made = entry.__name__, dict[str, Any]()
        exec(compile(TIMED.format(name=name, level=name.upper()), logging.__file__, "exec"), made)
        entry.__code__ = made[name].__code__
    return spent


def export(server: Path, folder: Path, name: str) -> dict[str, Any]:
    """One export in this process with its log in a file."""
    arm, level = ARMS[name]
    logging.basicConfig(filename=folder / "log", level=level, format=FORMAT)
    plan = resolve(discover().manifests, settings.load(arm=arm).wanted)
    asked = run.Request(["@tobs_text"], folder / "archive", state=folder / "state")
    spent = timed()
    report = asyncio.run(run.export(load(server), settings.load(arm=arm), asked, plan=plan))
    logging.shutdown()
    times = os.times()
    return {
        "cpu_seconds": times.user + times.system,
        "milliseconds_logging": spent.nanoseconds / 1e6,
        "calls": spent.calls,
        "write_calls": write_calls(),
        "log_lines": (folder / "log").read_bytes().count(b"\n"),
        "pages": report.tally.pages,
        "digest": report.digest,
    }


def exports(scale: float, blocks: int) -> dict[str, Any]:
    """Every arm in every block, each block in another order; medians, and the paired change against plain."""
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in ARMS}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as state, spawn(SCENARIO, Path(state), scale=scale) as lab:
        for block in range(-1, blocks):  # the first is discarded: caches fill
            names = list(ARMS)
            for name in names[block % 3 :] + names[: block % 3]:
                with tempfile.TemporaryDirectory() as folder:
                    command = [sys.executable, __file__, "--export", str(lab.server_file), folder, name]
                    done = subprocess.run(
                        command, capture_output=True, text=True, check=True, timeout=300, env=environment
                    )
                if block >= 0:
                    seen[name].append(json.loads(done.stdout))
    assert len({one["digest"] for runs in seen.values() for one in runs}) == 1
    told: dict[str, Any] = {}
    for name, runs in seen.items():
        changes = [
            one["cpu_seconds"] / plain["cpu_seconds"] - 1 for one, plain in zip(runs, seen["plain"], strict=True)
        ]
        told[name] = {
            "cpu_seconds": round(statistics.median(one["cpu_seconds"] for one in runs), 3),
            "change_percent": round(100 * statistics.median(changes), 2),
            "milliseconds_logging": round(min(one["milliseconds_logging"] for one in runs), 2),
            "calls": runs[0]["calls"],
            "log_lines": runs[0]["log_lines"],
            "log_lines_per_page": round(runs[0]["log_lines"] / runs[0]["pages"], 1),
            "write_calls": runs[0]["write_calls"],
        }
    return {"scale": scale, "blocks": blocks, **told}


def main() -> None:
    """Alternate the ways, and take the least of each figure: the machine's other work only ever adds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--export", nargs=3, metavar=("SERVER", "FOLDER", "ARM"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.export:
        server, folder, name = asked.export
        print(json.dumps(export(Path(server), Path(folder), name)))
        return
    ways: dict[str, tuple[Callable[[Path], logging.Handler], int]] = {
        "plain": (plain, logging.DEBUG),
        "limited": (limited, logging.DEBUG),
        "record_only": (nothing, logging.DEBUG),
        "disabled": (plain, logging.INFO),
    }
    rounds = [
        {name: measure(make, asked.pages, level) for name, (make, level) in ways.items()} for _ in range(asked.repeats)
    ]
    best = {name: {key: min(one[name][key] for one in rounds) for key in rounds[0][name]} for name in ways}
    cost = {name: figures["microseconds_per_record"] for name, figures in best.items()}
    records = {
        "pages": asked.pages,
        "repeats": asked.repeats,
        "pages_per_second": PAGES_PER_SECOND,
        **best,
        "limited_over_plain": round(cost["limited"] / cost["plain"], 3),
        "microseconds_saved_per_page": round(RECORDS * (cost["plain"] - cost["limited"]), 1),
    }
    print(json.dumps({"records": records, "export": exports(asked.scale, asked.blocks)}, indent=2))


if __name__ == "__main__":
    main()
