"""One measured export in a process of its own: `python -m tobs.experiment.trial TRIAL.json`.

It leaves `run.json` and its metrics as OTLP JSON. SIGTERM, or the end of its parent, ends the run as cleanly as
Ctrl+C would: the metrics are flushed and say that they are not complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs import __version__
from tobs.engine.export import Wish
from tobs.errors import TobsError
from tobs.experiment.metrics import CPU_BEFORE
from tobs.host import run, settings
from tobs.host.arm import parse_arm
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.telegram.account import load as load_account
from tobs.telemetry.instruments import memory_peak

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.host.resolve import Plan

STOPPED = 130
ORPHANED = "TOBS_TRIAL_WITH_PARENT"
"""Set where standard input is a pipe that ends with the parent."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a trial's process is told. `arm` leads to the plan of `plan_hash`; `labels` go into the metrics' resource.

    `metrics` and `result` are the files it leaves; `log`, if given, takes everything logged at `log_level`. `rescan`
    asks for everything that the archive covers to be read again.
    """

    server: str
    chats: tuple[str, ...]
    archive: str
    arm: str
    plan_hash: str
    metrics: str
    result: str
    labels: dict[str, str | int]
    log: str = ""
    log_level: str = ""
    rescan: bool = False

    def write(self, file: Path) -> None:
        """Keep it for the process to read."""
        file.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Order:
        """What `write` kept."""
        given = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**given, "chats": tuple(given["chats"])})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial that the file describes; the exit code."""
    (file,) = sys.argv[1:] if argv is None else argv
    order = Order.read(Path(file))
    _log(order)
    facts: dict[str, Any] = {"tobs": __version__, "python": sys.version.split()[0], "arm": order.arm}
    try:
        code = _run(order, facts)
    except TobsError as error:
        facts |= {"error": str(error), "hint": error.hint}
        code = error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        facts["error"] = "it was stopped"
        code = STOPPED
    except Exception as error:  # noqa: BLE001 - whatever went wrong belongs into run.json
        traceback.print_exc()
        facts["error"] = f"{type(error).__name__}: {error}"
        code = 1
    spent = os.times()
    facts |= {"exit": code, "cpu": {"user": spent.user, "system": spent.system}, "peak_rss": memory_peak()}
    Path(order.result).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    return code


def _run(order: Order, facts: dict[str, Any]) -> int:
    found = discover()
    plan = resolve(found.manifests, parse_arm(order.arm), found.broken).require()
    if plan.hash != order.plan_hash:
        raise TobsError(
            f"the arm {order.arm!r} no longer leads to the plan {order.plan_hash[:12]} but to {plan.hash[:12]}",
            hint="Plugins were changed under the experiment: start it anew.",
        )
    facts["plan"] = plan.as_json()
    report = asyncio.run(_stoppable(lambda: _export(order, plan)))
    facts |= {**report.as_json(), "archive": Path(order.archive).name}
    return 0


async def _stoppable(work: Callable[[], Any]) -> run.Report:
    """Await what `work` makes; SIGTERM cancels it."""
    task = asyncio.ensure_future(work())
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows: the process just ends
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    if ORPHANED in os.environ:
        threading.Thread(target=_watch_parent, args=(loop, task), daemon=True).start()
    report: run.Report = await task
    return report


async def _export(order: Order, plan: Plan) -> run.Report:
    account = load_account(Path(order.server))
    request = run.Request(order.chats, Path(order.archive), Wish(rescan=order.rescan))
    spent = os.times()
    before = {CPU_BEFORE: round((spent.user + spent.system) * 1e6)}
    record = run.Record(Path(order.metrics), resource={**order.labels, **before})
    return await run.export(account, settings.load(environment={}), request, plan=plan, record=record)


def _watch_parent(loop: asyncio.AbstractEventLoop, task: asyncio.Future[Any]) -> None:
    """Standard input ends when the parent does, however it dies."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself meanwhile
        loop.call_soon_threadsafe(task.cancel)


def _log(order: Order) -> None:
    """Warnings to standard error; with `log`, everything at that level, every logger's, to a file."""
    to_stderr = logging.StreamHandler()
    to_stderr.setLevel(logging.WARNING)
    logging.basicConfig(level=order.log_level or logging.WARNING, handlers=[to_stderr])
    if not order.log:
        logging.getLogger("telethon").setLevel(logging.CRITICAL)
        return
    to_file = logging.FileHandler(order.log, encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(to_file)


if __name__ == "__main__":
    sys.exit(main())
