"""disk_io's disk: every byte where it belongs, nothing named or settled before it is safe, and nothing left over."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import threading
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.fakes import FakeBooks, content, ref
from tobs.engine.store import Store
from tobs.errors import ArchiveError, LostError
from tobs.meters import Meters
from tobs.values import Bytes, Same, Settled
from tobs_disk_io import manifest, system
from tobs_disk_io.disk import GatheringDisk, Sizes
from tobs_disk_io.file import joined

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tobs.ports import Sink
    from tobs.values import MediaRef, Part

KB = 1024
LINUX = pytest.mark.skipif(not system.DIRECT, reason="Linux alone has these calls")


def disk_of(meters: Meters | None = None, *, threads: int = 4, group: int = 3, **sizes: int) -> GatheringDisk:
    chosen = {"gather": 64 * KB, "buffer": 1024 * KB, **sizes}
    return GatheringDisk(meters or Meters(), Sizes(**chosen), threads=threads, group=group)


@pytest.fixture
async def disk() -> AsyncIterator[GatheringDisk]:
    made = disk_of()
    yield made
    await made.close()
    at_rest(made)


def at_rest(disk: GatheringDisk) -> None:
    """Nothing is in memory, nothing runs."""
    assert (disk.held, disk.ending, disk._syncing, len(disk._open)) == (0, 0, 0, 0)
    assert len(asyncio.all_tasks()) == 1
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("tobs-disk")] == []


async def until(true: Callable[[], bool]) -> None:
    """Let the loop go on until something holds."""
    while not true():  # noqa: ASYNC110 - nobody would set an event
        await asyncio.sleep(0)


def left(folder: Path) -> list[str]:
    """Names of the files there are."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("direct", [0, 1])
async def test_a_file_that_is_kept_has_its_bytes_and_takes_more(
    disk: GatheringDisk, tmp_path: Path, direct: int
) -> None:
    whole = content(1, 300 * KB)
    disk.sizes = Sizes(gather=64 * KB, buffer=1024 * KB, preallocate=1, direct=direct)
    path = tmp_path / "file"
    path.write_bytes(whole[: 128 * KB])
    sink = await disk.open(path, len(whole), keep=True)
    await sink.write(256 * KB, whole[256 * KB :])
    await sink.close()
    assert path.read_bytes() == whole[: 128 * KB] + bytes(128 * KB) + whole[256 * KB :]
    sink = await disk.open(path, len(whole), keep=True)
    await sink.write(128 * KB, whole[128 * KB : 256 * KB])
    await sink.close()
    assert path.read_bytes() == whole
    sink = await disk.open(path, len(whole))
    await sink.write(0, b"anew")
    await sink.close()
    assert path.read_bytes() == b"anew"


async def test_what_was_written_is_on_the_disk_after_a_sync(
    disk: GatheringDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    path, sync = tmp_path / "file", os.fsync

    def watched(fd: int) -> None:
        seen.append(path.read_bytes())
        sync(fd)

    monkeypatch.setattr(os, "fsync", watched)
    whole = content(1, 200 * KB)
    sink = await disk.open(path, len(whole))
    await sink.sync()
    assert seen == [], "nothing was written"
    for offset in range(0, len(whole), 10 * KB):
        await sink.write(offset, whole[offset : offset + 10 * KB])
        if offset % (50 * KB) == 0:
            await sink.sync()
            assert seen[-1] == whole[: offset + 10 * KB]
    await sink.close()
    assert path.read_bytes() == whole


async def test_a_sync_tells_that_a_write_has_failed_and_so_does_the_close(disk: GatheringDisk, tmp_path: Path) -> None:
    sink = await disk.open(tmp_path / "no folder" / "file", 100)
    await sink.write(0, b"bytes")
    with pytest.raises(FileNotFoundError):
        await sink.sync()
    with pytest.raises(FileNotFoundError):  # whoever synced need not be whoever writes
        await sink.close()


@dataclass
class Watched:
    """Calls to the system, in order, as the plugin's threads make them."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    paths: dict[int, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Records opens, writes, syncs and renames, and lets them happen."""
    seen = Watched()
    lock = threading.Lock()
    real_open = os.open

    def opened(path: Any, flags: int, mode: int = 0o777) -> int:
        fd = real_open(path, flags, mode)
        with lock:
            seen.paths[fd] = Path(path).name
        return fd

    def note(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(fd: int, *rest: Any) -> Any:
            result = real(fd, *rest)
            with lock:
                seen.calls.append((name, seen.paths.get(fd, fd)))
            return result

        return call

    real_replace = os.replace

    def replaced(source: Any, target: Any) -> None:
        real_replace(source, target)
        with lock:
            seen.calls.append(("rename", Path(source).name))

    monkeypatch.setattr("tobs_disk_io.file.os.open", opened)
    for name in ("fsync", "pwritev", "pwrite"):
        monkeypatch.setattr(f"tobs_disk_io.file.os.{name}", note(name, getattr(os, name)))
    monkeypatch.setattr("tobs_disk_io.system.sync_filesystem", note("syncfs", system.sync_filesystem))
    monkeypatch.setattr("pathlib.os.replace", replaced)
    return seen


# ---------------------------------------------------------------- one file


async def put(disk: GatheringDisk, path: Path, size: int, chunks: Sequence[tuple[int, bytes]]) -> None:
    sink = await disk.open(path, size)
    try:
        for offset, data in chunks:
            await sink.write(offset, data)
    finally:
        await sink.close()


def parts(data: bytes, step: int) -> list[tuple[int, bytes]]:
    return [(at, data[at : at + step]) for at in range(0, len(data), step)]


@given(
    size=st.integers(0, 300_000),
    step=st.sampled_from([1000, 4096, 16_384, 100_000]),
    gather=st.sampled_from([4, 16, 64]),
    direct=st.booleans(),
    again=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_parts_in_any_order_and_some_twice_make_the_file(
    tmp_path: Path, size: int, step: int, gather: int, direct: bool, again: int, seed: int
) -> None:
    data = content(seed, size)
    chunks = parts(data, step)
    draw = random.Random(seed)
    wrong = [(at, bytes(len(one))) for at, one in draw.sample(chunks, min(again, len(chunks)))]
    draw.shuffle(chunks)

    async def main() -> None:
        disk = disk_of(gather=gather * KB, direct=int(direct), preallocate=int(direct))
        await put(disk, tmp_path / "file", size, [*wrong, *chunks])
        await disk.close()
        at_rest(disk)

    asyncio.run(main())
    assert (tmp_path / "file").read_bytes() == data


async def test_a_small_file_is_one_write_and_one_sync(disk: GatheringDisk, tmp_path: Path, watched: Watched) -> None:
    data = content(1, 60 * KB)
    await put(disk, tmp_path / "one", len(data), parts(data, 16 * KB)[::-1])
    assert watched.names() == ["pwritev", "fsync"]
    assert (tmp_path / "one").read_bytes() == data


async def test_a_large_file_is_written_in_gathered_pieces(tmp_path: Path, watched: Watched) -> None:
    meters = Meters()
    disk = disk_of(meters)
    data = content(1, 1000 * KB)
    await put(disk, tmp_path / "one", len(data), parts(data, 4 * KB))
    await disk.close()
    assert watched.names().count("fsync") == meters.stages["disk_sync"].items == 1
    assert watched.names().count("pwritev") == meters.stages["disk_write"].items <= 1000 / 64 + 2
    assert (tmp_path / "one").read_bytes() == data


@pytest.mark.parametrize("preallocate", [0, 1])
async def test_an_empty_file_is_made_and_a_file_of_which_nothing_came_is_not(tmp_path: Path, preallocate: int) -> None:
    disk = disk_of(preallocate=preallocate)
    await put(disk, tmp_path / "empty", 0, [])
    await put(disk, tmp_path / "same", 500, [])
    assert (tmp_path / "empty").stat().st_size == 0
    assert not (tmp_path / "same").exists() or preallocate
    await disk.close()
    at_rest(disk)


async def test_closing_twice_is_closing_once(disk: GatheringDisk, tmp_path: Path, watched: Watched) -> None:
    sink = await disk.open(tmp_path / "one", 3)
    await sink.write(0, b"one")
    await sink.close()
    await sink.close()
    assert watched.names() == ["pwritev", "fsync"]


def test_adjacent_chunks_are_joined_and_overlapping_ones_keep_their_order() -> None:
    def runs(*chunks: tuple[int, bytes]) -> list[tuple[int, bytes]]:
        return [(offset, b"".join(pieces)) for offset, pieces in joined(chunks)]

    assert runs((4, b"ef"), (0, b"abcd"), (8, b"i")) == [(0, b"abcdef"), (8, b"i")]
    assert runs((4, b"ef"), (0, b"abcd"), (4, b"XY")) == [(4, b"ef"), (0, b"abcd"), (4, b"XY")]
    assert runs((2, b""), (0, b"ab")) == [(0, b"ab")]
    assert runs() == []


async def test_a_file_that_the_system_writes_piecemeal_is_whole(
    disk: GatheringDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwritev
    monkeypatch.setattr(
        "tobs_disk_io.file.os.pwritev", lambda fd, pieces, at: real(fd, [memoryview(pieces[0])[:1000]], at)
    )
    data = content(3, 50 * KB)
    await put(disk, tmp_path / "one", len(data), parts(data, 7000))
    assert (tmp_path / "one").read_bytes() == data


async def test_without_vectored_writes_a_file_is_whole(
    disk: GatheringDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("tobs_disk_io.file.os.pwritev")
    monkeypatch.setattr("tobs_disk_io.system._libc", lambda: None)
    data = content(3, 150 * KB)
    await put(disk, tmp_path / "one", len(data), parts(data, 7000))
    assert (tmp_path / "one").read_bytes() == data


# ---------------------------------------------------------------- memory


async def test_no_more_bytes_wait_than_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = disk_of(gather=1000 * KB, buffer=100 * KB)
    most = 0
    release = disk.release

    def released(size: int) -> None:
        nonlocal most
        most = max(most, disk.held)
        release(size)

    monkeypatch.setattr(disk, "release", released)
    files = {number: content(number, 90 * KB) for number in range(12)}
    async with asyncio.TaskGroup() as group:
        for number, data in files.items():
            group.create_task(put(disk, tmp_path / str(number), len(data), parts(data, 10 * KB)))
    await disk.close()
    assert 0 < most <= 100 * KB
    for number, data in files.items():
        assert (tmp_path / str(number)).read_bytes() == data
    at_rest(disk)


async def test_a_part_larger_than_all_that_may_wait_passes_alone(tmp_path: Path) -> None:
    disk = disk_of(buffer=10 * KB)
    data = content(1, 200 * KB)
    await put(disk, tmp_path / "one", len(data), parts(data, 50 * KB))
    assert (tmp_path / "one").read_bytes() == data
    await disk.close()
    at_rest(disk)


async def test_the_loop_goes_on_while_the_disk_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: GatheringDisk
) -> None:
    gate, real = threading.Event(), os.fsync

    def slow(fd: int) -> None:
        assert gate.wait(30)
        real(fd)

    monkeypatch.setattr("tobs_disk_io.file.os.fsync", slow)
    closing = asyncio.ensure_future(put(disk, tmp_path / "one", 3, [(0, b"one")]))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not closing.done()
    gate.set()
    await closing


# ---------------------------------------------------------------- files that end together


async def held_back(disk: GatheringDisk, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Keep the first group from being synced until the event is set, so that others gather behind it."""
    gate = threading.Event()
    finisher = disk._finisher

    def finish(endings: Any) -> int:
        assert gate.wait(30)
        return finisher(endings)

    monkeypatch.setattr(disk, "_finisher", finish)
    return gate


@LINUX
@pytest.mark.parametrize(("group", "syncs"), [(3, ["fsync", "syncfs"]), (0, ["fsync"] * 10), (10, ["fsync"] * 10)])
async def test_files_that_end_together_are_synced_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: Watched, group: int, syncs: list[str]
) -> None:
    meters = Meters()
    disk = disk_of(meters, threads=1, group=group)
    gate = await held_back(disk, monkeypatch)
    files = [asyncio.ensure_future(put(disk, tmp_path / f"{number}", 4, [(0, b"data")])) for number in range(10)]
    await until(lambda: disk.ending == 10)
    gate.set()
    await asyncio.gather(*files)
    await disk.close()
    assert [name for name in watched.names() if "sync" in name] == syncs
    assert meters.stages["disk_sync"].items == len(syncs)
    assert watched.names().count("pwritev") == 10
    at_rest(disk)


@LINUX
async def test_a_file_begun_before_is_synced_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: Watched
) -> None:
    disk = disk_of(threads=1)
    gate = await held_back(disk, monkeypatch)
    first = asyncio.ensure_future(put(disk, tmp_path / "first", 4, [(0, b"data")]))
    large = await disk.open(tmp_path / "large", 200 * KB)
    await large.write(0, bytes(100 * KB))
    files = [asyncio.ensure_future(put(disk, tmp_path / f"{number}", 4, [(0, b"data")])) for number in range(5)]
    files += [first, asyncio.ensure_future(large.close())]
    await until(lambda: disk.ending == 7)
    gate.set()
    await asyncio.gather(*files)
    await disk.close()
    assert [call for call in watched.calls if "sync" in call[0]] == [
        ("fsync", "first"),
        ("syncfs", "0"),
        ("fsync", "large"),
    ]


@LINUX
@pytest.mark.parametrize("fault", ["raised", "slow", "missing"])
async def test_where_one_sync_cannot_do_for_all_each_file_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: Watched, fault: str
) -> None:
    disk = disk_of(threads=1)
    times = count(0, 2 if fault == "slow" else 0)
    monkeypatch.setattr(disk._finisher, "_clock", lambda: next(times))
    asked: list[int] = []

    def whole(fd: int) -> bool:
        asked.append(fd)
        if fault == "raised":
            raise OSError(errno.EIO, "lost")
        return fault == "slow"

    monkeypatch.setattr("tobs_disk_io.system.sync_filesystem", whole)
    for turn in range(2 if fault == "slow" else 1):
        gate = await held_back(disk, monkeypatch) if not turn else threading.Event()
        files = [asyncio.ensure_future(put(disk, tmp_path / f"{turn}-{n}", 4, [(0, b"data")])) for n in range(4)]
        await until(lambda: disk.ending == 4)
        gate.set()
        await asyncio.gather(*files)
    await disk.close()
    assert len(asked) == 1
    assert watched.names().count("fsync") == {"slow": 5, "raised": 4, "missing": 4}[fault]


# ---------------------------------------------------------------- in a store


@dataclass
class Fetcher:
    """Writes files in parts, each after a turn of the loop."""

    hold: asyncio.Event | None = None
    error: Exception | None = None

    async def __call__(self, one: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
        assert not have
        for offset, data in parts(content(one.file_id, one.size), 30 * KB):
            await asyncio.sleep(0)
            await sink.write(offset, data)
            if self.hold is not None:
                await self.hold.wait()
        if self.error is not None:
            raise self.error
        return Bytes(one.size)


class Books(FakeBooks):
    """Books that note, among the calls to the system, when something is settled."""

    watched: Watched

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        await super().settle(outcomes)
        self.watched.calls += [("settle", f"{one.ref.file_id}.bin.part") for one in outcomes]


def store_of(folder: Path, disk: GatheringDisk, books: FakeBooks, fetch: Any) -> Store:
    return Store(folder, lambda one: f"media/{one.file_id}.bin", fetch, disk, books, books, [])


async def test_no_name_before_its_sync_and_nothing_settled_before_its_name(tmp_path: Path, watched: Watched) -> None:
    disk, books = disk_of(), Books()
    books.watched = watched
    refs = [ref(number, size) for number, size in enumerate([10, 20_000, 0, 500_000, 70_000] * 8, 1)]
    store = store_of(tmp_path, disk, books, Fetcher())
    async with asyncio.TaskGroup() as group:
        for one in refs:
            group.create_task(store(one))
    await disk.close()
    assert len(books.settled) == len(refs)
    wholes = [number for number, (name, _) in enumerate(watched.calls) if name == "syncfs"]
    for one in refs:
        name = f"{one.file_id}.bin.part"
        at = {call: number for number, call in enumerate(watched.calls) if call[1] == name}
        written = max([number for (call, _), number in at.items() if call.startswith("pwrite")], default=-1)
        renamed = at["rename", name]
        synced = [number for number in [at.get(("fsync", name), -1), *wholes] if written < number < renamed]
        assert synced, f"{name} got its name before it was synced"
        assert renamed < at["settle", name]
    for outcome in books.settled:
        data = content(outcome.ref.file_id, outcome.ref.size)
        assert outcome.sha256 == hashlib.sha256(data).hexdigest()
        assert (tmp_path / str(outcome.path)).read_bytes() == data
    at_rest(disk)


async def several(store: Store, refs: Sequence[MediaRef]) -> None:
    """One after the other."""
    for one in refs:
        await store(one)


@pytest.mark.parametrize("call", ["pwritev", "fsync", "open", "close"])
async def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    disk, books = disk_of(), FakeBooks()
    real, whole = getattr(os, call), [2]

    def full(*given: Any) -> Any:
        if threading.current_thread().name.startswith("tobs-disk"):
            whole[0] -= 1
            if whole[0] <= 0:
                if call == "close":
                    real(*given)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*given)

    monkeypatch.setattr(f"tobs_disk_io.file.os.{call}", full)
    monkeypatch.setattr("tobs_disk_io.system.sync_filesystem", lambda _: False)
    store = store_of(tmp_path, disk, books, Fetcher())
    with pytest.raises(ArchiveError, match="No space left"):
        await several(store, [ref(number, 300_000) for number in range(1, 5)])
    assert len(books.settled) <= 1
    assert left(tmp_path) == [f"{one.ref.file_id}.bin" for one in books.settled]
    await disk.close()
    at_rest(disk)


@LINUX
async def test_space_that_is_not_to_be_had_is_told_before_a_byte_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: int, size: int) -> bool:
        raise OSError(errno.ENOSPC, f"{size} bytes")

    monkeypatch.setattr("tobs_disk_io.system.allocate", refused)
    disk, books = disk_of(preallocate=1), FakeBooks()
    fetch = Fetcher(error=AssertionError("a part was asked for"))
    with pytest.raises(ArchiveError, match="1000 bytes"):
        await store_of(tmp_path, disk, books, fetch)(ref(1, 1000))
    assert left(tmp_path) == []
    await disk.close()
    at_rest(disk)


@pytest.mark.parametrize("size", [1000, 300_000])
async def test_what_fails_or_is_cancelled_leaves_nothing(tmp_path: Path, size: int) -> None:
    disk, books = disk_of(), FakeBooks()
    await store_of(tmp_path, disk, books, Fetcher(error=LostError("gone")))(ref(1, size))
    assert [one.status for one in books.settled] == ["failed"]
    store = store_of(tmp_path, disk, books, Fetcher(hold=asyncio.Event()))
    moving = asyncio.ensure_future(store(ref(2, size)))
    await until(lambda: disk.held > 0)
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert left(tmp_path) == []
    await disk.close()
    at_rest(disk)


async def test_a_cancelled_close_ends_when_the_disk_is_done_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, books = disk_of(), FakeBooks()
    gate = await held_back(disk, monkeypatch)
    moving = asyncio.ensure_future(store_of(tmp_path, disk, books, Fetcher())(ref(1, 1000)))
    await until(lambda: disk.ending == 1)
    for _ in range(3):
        moving.cancel()
        await asyncio.sleep(0)
    assert not moving.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert books.settled == []
    assert left(tmp_path) == []
    await disk.close()
    at_rest(disk)


async def test_after_the_run_files_are_still_finished(tmp_path: Path) -> None:
    disk = disk_of()
    sink = await disk.open(tmp_path / "late", 200 * KB)
    await sink.write(0, b"late")
    await disk.close()
    await sink.write(4, bytes(200 * KB - 4))
    await sink.close()
    assert (tmp_path / "late").read_bytes() == b"late" + bytes(200 * KB - 4)
    at_rest(disk)


# ---------------------------------------------------------------- past the page cache


@LINUX
async def test_a_file_system_that_refuses_gets_the_file_the_other_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> int:
        raise OSError(errno.EINVAL, "no such way")

    monkeypatch.setattr("tobs_disk_io.file.os.pwrite", refused)
    meters = Meters()
    disk = disk_of(meters, direct=100 * KB, preallocate=100 * KB)
    caplog.set_level("INFO", logger="tobs_disk_io")
    for number in range(3):
        data = content(number, 200_001)
        await put(disk, tmp_path / str(number), len(data), parts(data, 16 * KB))
        assert (tmp_path / str(number)).read_bytes() == data
    await disk.close()
    assert meters.stages["disk_fallback"].items == 3
    assert len(caplog.records) == 1
    assert "through the page cache" in caplog.text


@LINUX
async def test_a_file_system_that_does_not_open_that_way_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def opened(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & system.DIRECT:
            raise OSError(errno.EINVAL, "no such way")
        return real(path, flags, mode)

    monkeypatch.setattr("tobs_disk_io.file.os.open", opened)
    meters = Meters()
    disk = disk_of(meters, direct=1)
    await put(disk, tmp_path / "one", 100_000, parts(bytes(100_000), 4096))
    await put(disk, tmp_path / "two", 100_000, parts(bytes(100_000), 4096))
    await disk.close()
    assert meters.stages["disk_fallback"].items == 2
    assert (tmp_path / "two").read_bytes() == bytes(100_000)


@LINUX
async def test_whole_blocks_go_past_the_cache_and_the_rest_through_it(tmp_path: Path, watched: Watched) -> None:
    meters = Meters()
    disk = disk_of(meters, direct=1, gather=16 * KB)
    data = content(1, 40 * KB + 5)
    sink = await disk.open(tmp_path / "one", len(data))
    await sink.write(0, data)
    await sink.close()
    await disk.close()
    if "disk_fallback" in meters.stages:
        pytest.skip("this file system does not write past the page cache")
    assert watched.names() == ["pwrite", "pwrite", "pwrite", "pwritev", "fsync"]
    assert (tmp_path / "one").read_bytes() == data


@LINUX
async def test_space_that_was_taken_and_not_needed_is_given_back(tmp_path: Path) -> None:
    disk = disk_of(preallocate=1)
    await put(disk, tmp_path / "short", 4_000_000, [(0, b"short")])
    await disk.close()
    found = (tmp_path / "short").stat()
    assert found.st_size == 5
    assert found.st_blocks * 512 < 1_000_000


def test_the_defaults_are_of_a_size_that_direct_writes_take() -> None:
    knobs = {knob.name: knob.default for knob in manifest.knobs}
    assert int(knobs["gather_kb"]) * KB < int(knobs["buffer_mb"]) * KB * KB
