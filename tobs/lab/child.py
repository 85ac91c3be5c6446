"""A lab as a child process: started from Python, asked for its counters, and sure to be gone afterwards.

Nothing of the lab is imported here, so that a measured process does not carry it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tobs.errors import TobsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

LOG = "lab.log"
STARTS_WITHIN = 900.0
"""Seconds to build a world and listen: a million messages that nobody composed before take minutes."""

ENDS_WITHIN = 5.0
ANSWERS_WITHIN = 900.0
"""Seconds for a command; the truth of a big world takes longest."""


def ask(host: str, port: int, do: str, **arguments: Any) -> Any:
    """Ask a lab's side door for a value. Raises `TobsError` when nobody answers or the lab refuses."""
    try:
        with socket.create_connection((host, port), timeout=ANSWERS_WITHIN) as connected:
            connected.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            with connected.makefile("rb") as lines:
                reply = json.loads(lines.readline() or b"null")
    except (OSError, ValueError) as error:
        raise TobsError(f"the lab does not answer: {error}", hint="see whether it still runs") from error
    if not isinstance(reply, dict) or not reply.get("ok"):
        reason = reply.get("error") if isinstance(reply, dict) else "it went away"
        raise TobsError(f"the lab refused {do!r}: {reason}", hint="see whether it still runs")
    return reply["value"]


class Child:
    """A running lab in its own process; a context manager that stops it.

    `server_file` is the path of the server file. It ends by itself if this process dies.
    """

    def __init__(self, process: subprocess.Popen[bytes], ready: dict[str, Any]) -> None:
        self._process = process
        self._control = int(ready["control"])
        self.server_file = Path(ready["server_file"])
        self.ports: dict[int, int] = {int(dc): port for dc, port in ready["ports"].items()}
        self.pid = process.pid

    @property
    def server(self) -> dict[str, Any]:
        """What the server file says."""
        content: dict[str, Any] = json.loads(self.server_file.read_text())
        return content

    def counters(self) -> dict[str, Any]:
        """What the lab served since its start or the last reset."""
        counted: dict[str, Any] = ask("127.0.0.1", self._control, "counters")
        return counted

    def reset(self) -> None:
        """Have the lab count anew."""
        ask("127.0.0.1", self._control, "reset")

    def parts(self) -> list[dict[str, Any]]:
        """Parts of files that left since this was last asked, see `tobs.lab.parts`; the first time none is known."""
        left: list[dict[str, Any]] = ask("127.0.0.1", self._control, "parts")
        return left

    def allow_takeout(self) -> None:
        """Have the account allow a takeout on another device."""
        ask("127.0.0.1", self._control, "allow_takeout")

    def revoke_sessions(self) -> None:
        """Have the account end all its sessions on another device."""
        ask("127.0.0.1", self._control, "revoke_sessions")

    def truth(self, chat: int | None = None) -> dict[str, Any]:
        """What an archive of it must hold: `digest` and `chats` (by marked id as text)."""
        told: dict[str, Any] = ask("127.0.0.1", self._control, "truth", chat=chat)
        return told

    def stop(self) -> None:
        """End the lab and wait for it; nothing happens when it has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        """The running lab."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def spawn(scenario: str | Path, state: Path, *, scale: float = 1.0, seed: int | None = None) -> Child:
    """Start a lab and wait until it listens.

    What it logs goes to `lab.log` in the state folder. Raises `TobsError` with the lab's own words when it
    cannot start.
    """
    state.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tobs.lab.serve", "--with-parent", "--scenario", str(scenario)]
    command += ["--state", str(state), "--scale", repr(scale)]
    if seed is not None:
        command += ["--seed", str(seed)]
    with (state / LOG).open("wb") as log:
        # The command is this interpreter and a module of ours, so there is nothing to distrust in it.
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    late = threading.Timer(STARTS_WITHIN, process.kill)
    late.start()
    try:
        line = process.stdout.readline()
    finally:
        late.cancel()
    if not line:
        process.communicate()
        said = (state / LOG).read_text(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
        raise TobsError(f"the lab did not start: {said[0]}", hint=said[-1] if len(said) > 1 else f"see {state / LOG}")
    return Child(process, json.loads(line))


@asynccontextmanager
async def spawned(
    scenario: str | Path, state: Path, *, scale: float = 1.0, seed: int | None = None
) -> AsyncIterator[Child]:
    """`spawn` for coroutines: starts and stops without holding up the event loop."""
    child = await asyncio.to_thread(spawn, scenario, state, scale=scale, seed=seed)
    try:
        yield child
    finally:
        await asyncio.to_thread(child.stop)
