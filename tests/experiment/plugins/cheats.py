"""Plugins that are fast or slow, and wrong: a package of its own in the processes that the tests start."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tobs.api import InvokeBand, Manifest, Part, hook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tobs.api import Batch, MediaRef, Settled, Sink, Write

SLOTS = frozenset({"write", "parts", "disk"})
NAMES = {
    "forgetful": "tobs_write",
    "flipping": "tobs_parts",
    "scribbling": "tobs_disk",
    "stopping": "tobs_write",
    "stuck": "tobs_write",
    "costly": "tobs_invoke",
}


def _manifest(name: str) -> Manifest:
    port = NAMES[name].removeprefix("tobs_")
    filled = (port,) if port in SLOTS else ()
    return Manifest(name, "Cheats.", f"cheats:{name.title()}", provides=filled, default=False)


forgetful, flipping, scribbling, stopping, stuck, costly = (_manifest(name) for name in NAMES)


class Kept:
    """Passes everything on."""

    def __init__(self, inner: Write) -> None:
        self.inner = inner

    async def commit(self, batch: Batch) -> None:
        await self.inner.commit(batch)

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        await self.inner.settle(outcomes)


class WithoutOne(Kept):
    async def commit(self, batch: Batch) -> None:
        await self.inner.commit(replace(batch, messages=batch.messages[:-1]))


class Forgetful:
    """Drops a message of each page."""

    def __init__(self, knobs: dict[str, Any]) -> None:
        """No knobs."""

    @hook
    def tobs_write(self, write: Write) -> Write:
        return WithoutOne(write)


class Flipping:
    """Flips a bit of each file before it is hashed."""

    def __init__(self, knobs: dict[str, Any]) -> None:
        """No knobs."""

    @hook
    def tobs_parts(self) -> Any:
        async def whole(
            ref: MediaRef,  # noqa: ARG001 - the port
            read: Any,
            sink: Sink,
            size: int,  # noqa: ARG001 - the port
            have: Sequence[Part] = (),  # noqa: ARG001 - the port
        ) -> int:
            data = await read(Part(0, 512 * 1024))
            await sink.write(0, bytes([data[0] ^ 1]) + data[1:])
            return len(data)

        return whole


class Scribbling:
    """Writes another byte than was hashed."""

    def __init__(self, knobs: dict[str, Any]) -> None:
        """No knobs."""

    @hook
    def tobs_disk(self) -> Any:
        return ScribbledDisk()


class ScribbledDisk:
    async def open(self, path: Path, size: int, *, keep: bool = False) -> Sink:  # noqa: ARG002 - the port
        return Scribbled(path)


class Scribbled:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")

    async def write(self, offset: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(bytes([data[0] ^ 1]) + data[1:])

    async def close(self) -> None:
        """Closed after each write."""


class Stops(Kept):
    async def settle(self, outcomes: Sequence[Settled]) -> None:  # noqa: ARG002 - the port
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()


class Stopping:
    """Is told to end in the middle of a run."""

    def __init__(self, knobs: dict[str, Any]) -> None:
        """No knobs."""

    @hook
    def tobs_write(self, write: Write) -> Write:
        return Stops(write)


class Hangs(Kept):
    async def commit(self, batch: Batch) -> None:  # noqa: ARG002 - the port
        await asyncio.Event().wait()


class Stuck:
    """Never ends."""

    def __init__(self, knobs: dict[str, Any]) -> None:
        """No knobs."""

    @hook
    def tobs_write(self, write: Write) -> Write:
        return Hangs(write)


class Costly:
    """Does all it should, and makes every request take a tenth longer."""

    def __init__(self, knobs: dict[str, Any]) -> None:
        """No knobs."""

    @hook
    def tobs_invoke(self) -> tuple[InvokeBand, Any]:
        def layer(inner: Any) -> Any:
            async def invoke(call: Any) -> Any:
                began = time.perf_counter()
                answer = await inner(call)
                await asyncio.sleep((time.perf_counter() - began) / 10)
                return answer

            return invoke

        return InvokeBand.DEADLINE, layer
