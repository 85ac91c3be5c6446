"""The child processes that derive files: started when there is work, ended and replaced when a file is too much."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tobs.archive.transform.recipes import BY_NAME
from tobs.errors import TransformError

if TYPE_CHECKING:
    from tobs.values import Job

STARTS_WITHIN = 60.0
ENDS_WITHIN = 5.0
OURS = frozenset({"SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"})
"""Signals by which somebody, or a system short of memory, ends a process: no fault of the file."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`workers` children at most, each with so many megabytes of address space and so many seconds a job."""

    workers: int
    megabytes: int
    seconds: int


class Children:
    """Implements the port `Transform` and makes each job in a child. Close it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free = asyncio.Semaphore(limits.workers)
        self._idle: list[_Child] = []
        self._alive: set[_Child] = set()
        self._broken: TransformError | None = None

    async def __call__(self, job: Job) -> None:
        """See `tobs.ports.Transform`."""
        async with self._free:
            child = self._idle.pop() if self._idle else await self._start()
            try:
                await child.make(job)
            except BaseException:
                if child.usable:
                    self._idle.append(child)
                else:
                    await self._end(child)
                raise
            self._idle.append(child)

    @property
    def pids(self) -> list[int]:
        """The children that are alive, for whoever watches them."""
        return sorted(child.pid for child in self._alive)

    async def close(self) -> None:
        """End all children; returns when none is left."""
        await asyncio.gather(*(self._end(child) for child in list(self._alive)))
        self._idle.clear()

    async def _start(self) -> _Child:
        """Start a child. Where one does not start no other will: all further jobs are refused at once."""
        if self._broken is not None:
            raise TransformError(str(self._broken))
        try:
            child = await _Child.start(self._limits)
            self._alive.add(child)
            try:
                await child.greet()
            except BaseException:
                await self._end(child)
                raise
        except TransformError as error:
            self._broken = error
            raise
        return child

    async def _end(self, child: _Child) -> None:
        await child.end()
        self._alive.discard(child)


class _Child:
    """One process. `usable` says whether it can take another job."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self.usable = True

    @classmethod
    async def start(cls, limits: Limits) -> _Child:
        """Start the process. Raises `TransformError` where the system does not let it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOBS_")}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tobs.archive.transform.worker",
                str(limits.megabytes),
                str(limits.seconds),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=kept,
                start_new_session=True,  # Ctrl+C is for the export, which ends its children itself
            )
        except OSError as error:
            raise TransformError(f"no process can be started: {error.strerror or error}") from error
        return cls(process, limits)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def greet(self) -> None:
        """Wait until it is ready. Raises `TransformError` if it does not come so far."""
        self.usable = False
        try:
            await self._answer(STARTS_WITHIN, f"it said nothing for {STARTS_WITHIN:g} s")
        except TransformError as error:
            raise TransformError(f"the process that derives files does not start: {error}") from error
        self.usable = True

    async def make(self, job: Job) -> None:
        """Have it make a job. Raises `TransformError`."""
        asked = {
            "made_by": BY_NAME[job.transform].made_by,
            "source": str(job.source.absolute()),
            "target": str(job.target.absolute()),
            "settings": job.settings,
        }
        self.usable = False
        assert self._process.stdin is not None
        with suppress(ConnectionError):  # it is gone: reading says how
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            await self._process.stdin.drain()
        answer = await self._answer(self._limits.seconds, f"took longer than {self._limits.seconds} s")
        self.usable = not answer.get("ends")
        if "error" in answer:
            raise TransformError(answer["error"], lasting=bool(answer.get("lasting")))

    async def end(self) -> None:
        """End it and wait until it has ended: by the end of its input if it waits for work, else at once."""
        process = self._process
        assert process.stdin is not None
        process.stdin.close()
        if not self.usable:
            self._kill()
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                await process.wait()
        except TimeoutError:
            self._kill()
            await process.wait()
        except asyncio.CancelledError:
            self._kill()
            raise
        with suppress(OSError):
            await process.stdin.wait_closed()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _answer(self, seconds: float, late: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):  # wait_for can lose a cancellation (Python 3.11)
                line = await self._process.stdout.readline()
        except TimeoutError:
            self._kill()
            raise TransformError(late, lasting=True) from None
        if not line.endswith(b"\n"):
            raise self._ended(await self._process.wait())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self, code: int) -> TransformError:
        """Why it ended in mid-job."""
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if name == "SIGXCPU":
            return TransformError(f"took more than {self._limits.seconds} s of processor time", lasting=True)
        return TransformError(f"its process ended by {name}", lasting=name not in OURS)
