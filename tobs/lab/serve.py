"""A lab in a process of its own: `python -m tobs.lab.serve --scenario demo --state DIR`.

It prints one line of JSON when it listens (`server_file`, `control`, `ports`, `pid`) and ends on SIGTERM,
SIGINT or the command `quit`; with `--with-parent` when its standard input ends, and not on SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.lab import scenario as scenarios
from tobs.lab import world as worlds
from tobs.lab.control import CONTROL_FILE, open_control
from tobs.lab.keys import write_private
from tobs.lab.server import SERVER_FILE, start

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOPBACK = "127.0.0.1"


async def serve(
    source: str | Path,
    state: Path,
    *,
    seed: int | None = None,
    scale: float = 1.0,
    host: str = LOOPBACK,
    with_parent: bool = False,
) -> None:
    """Serve a scenario (path or shipped name) from a state folder until told to end.

    Prints the ready line on standard output. Raises `TobsError` for a scenario, a state or a port that cannot
    be used.
    """
    if with_parent:
        # Ctrl+C reaches the whole process group, but the parent decides when it needs its lab no longer.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    world = worlds.build(scenarios.load(source, scale=scale, seed=seed))
    gc.collect()
    gc.freeze()  # the world never becomes garbage, so no collection needs to look at it
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    if with_parent:
        threading.Thread(target=_watch_parent, args=(loop, ended), daemon=True).start()
    _end_on_signals(loop, ended, [signal.SIGTERM] if with_parent else [signal.SIGTERM, signal.SIGINT])
    lab = await start(world, state=state, host=host)
    control, port = await open_control(lab, ended.set, LOOPBACK)
    write_private(state / CONTROL_FILE, {"host": LOOPBACK, "port": port, "pid": os.getpid()})
    ready: dict[str, Any] = {
        "server_file": str(state / SERVER_FILE),
        "control": port,
        "ports": lab.ports,
        "pid": os.getpid(),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    try:
        await ended.wait()
    finally:
        control.close()
        await lab.close()
        (state / CONTROL_FILE).unlink(missing_ok=True)


def _end_on_signals(loop: asyncio.AbstractEventLoop, ended: asyncio.Event, numbers: list[signal.Signals]) -> None:
    for number in numbers:
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))


def _watch_parent(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Standard input is a pipe that only the parent holds: it ends when the parent does, however it dies."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself meanwhile
        loop.call_soon_threadsafe(ended.set)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a lab from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tobs.lab.serve", description="Serve a local Telegram.")
    parser.add_argument("--scenario", required=True, help="path of a scenario, or the name of a shipped one")
    parser.add_argument("--state", required=True, type=Path, help="folder for server.json and the lab's keys")
    parser.add_argument("--seed", type=int, help="another seed than the scenario's")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies messages and files")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    given = parser.parse_args(argv)
    try:
        asyncio.run(
            serve(
                given.scenario,
                given.state,
                seed=given.seed,
                scale=given.scale,
                host=given.host,
                with_parent=given.with_parent,
            )
        )
    except TobsError as error:
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
