"""Faults of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.api import Disk, Fetch, FetchBand, Part, Parts, hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from tobs.api import Bytes, MediaRef, ReadPart, Same, Sink, Value


class Flips:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_fetch(self) -> tuple[FetchBand, Callable[[Fetch], Fetch]]:
        def layer(inner: Fetch) -> Fetch:
            async def fetch(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
                return await inner(ref, Flipping(sink), have)

            return fetch

        return FetchBand.REPAIR, layer


class Flipping:
    """Changes the first byte of what it passes on."""

    def __init__(self, inner: Sink) -> None:
        self._inner = inner

    async def write(self, offset: int, data: bytes) -> None:
        await self._inner.write(offset, bytes([data[0] ^ 1]) + data[1:])

    async def close(self) -> None:
        await self._inner.close()


class Misplaces:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_disk(self) -> Disk:
        return WrongDisk()


class WrongDisk:
    async def open(self, path: Path, size: int, *, keep: bool = False) -> Sink:  # noqa: ARG002 - the port
        with path.open("wb") as file:
            file.truncate(size)
        return WrongSink(path.open("r+b"))


class WrongSink:
    """Writes the bytes in another order; whoever hashes what it is given does not see that."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def write(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        self._file.write(data[::-1])

    async def close(self) -> None:
        self._file.close()


class Repeats:
    def __init__(self, knobs: Mapping[str, Value]) -> None: ...

    @hook
    def tobs_parts(self) -> Parts:
        return ask_twice


async def ask_twice(
    ref: MediaRef,  # noqa: ARG001 - the port
    read: ReadPart,
    sink: Sink,
    size: int,
    have: Sequence[Part] = (),  # noqa: ARG001 - the port
) -> int:
    """The right bytes, at twice the price."""
    step = 512 * 1024
    for offset in range(0, size, step):
        await read(Part(offset, step))
        await sink.write(offset, await read(Part(offset, step)))
    return size
