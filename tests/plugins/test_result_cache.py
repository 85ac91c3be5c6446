"""result_cache: what it keeps is found again by whoever makes the same of the same, and never in part."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import stat
import sys
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs.api import Context, Job, TransformError
from tobs.meters import Meters
from tobs_result_cache.cache import ABANDONED, HEAD, Cache, key_of
from tobs_result_cache.plugin import ResultCache

if TYPE_CHECKING:
    from pathlib import Path

ROOM = 1_000_000
CONTENT = b"a thumbnail " * 50


def keyed(number: int) -> str:
    return f"{number:064x}"


def keep(cache: Cache, folder: Path, key: str, content: bytes = CONTENT) -> None:
    source = folder / "source"
    source.write_bytes(content)
    cache.keep(key, source)


def fetched(cache: Cache, folder: Path, key: str) -> bytes | None:
    target = folder / "target"
    return target.read_bytes() if cache.fetch(key, target) else None


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def use(path: Path, number: int) -> None:
    """Make an entry's last use the one of that number."""
    os.utime(path, ns=(number * 10**9, number * 10**9))


# ---------------------------------------------------------------- keys


def job(folder: Path, **other: str) -> Job:
    made = Job("thumbnail", folder / "a.jpg", "c" * 64, "{}", "pillow 1.0", folder / "a.jpg.part")
    return replace(made, **other)  # type: ignore[arg-type]


def test_a_key_is_of_all_that_a_result_depends_on_and_of_nothing_else(tmp_path: Path) -> None:
    same = replace(job(tmp_path), source=tmp_path / "b.png", target=tmp_path / "elsewhere")
    others = [
        job(tmp_path, sha256="d" * 64),
        job(tmp_path, transform="webp"),
        job(tmp_path, settings='{"side": 1}'),
        job(tmp_path, library="pillow 1.1"),
    ]
    assert key_of(same) == key_of(job(tmp_path))
    assert len({key_of(each) for each in (same, *others)}) == 5


# ---------------------------------------------------------------- entries


@given(content=st.binary(max_size=2000))
def test_what_is_kept_comes_back(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("kept")
    keep(Cache(folder / "cache", ROOM), folder, keyed(1), content)
    other = Cache(folder / "cache", ROOM)  # another process's
    assert fetched(other, folder, keyed(1)) == content
    assert fetched(other, folder, keyed(2)) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_nobody_else_may_look(tmp_path: Path, place: Path) -> None:
    keep(Cache(place, ROOM), tmp_path, keyed(1))
    (entry,) = entries(place)
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_copy_shares_nothing_with_the_entry(tmp_path: Path, place: Path) -> None:
    cache = Cache(place, ROOM)
    keep(cache, tmp_path, keyed(1))
    assert fetched(cache, tmp_path, keyed(1))
    (tmp_path / "target").write_bytes(b"somebody painted over it")
    assert fetched(cache, tmp_path, keyed(1)) == CONTENT


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda whole: whole[: HEAD - 1],
        lambda whole: whole[:-1],
        lambda whole: whole + b"x",
        lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
        lambda whole: bytes([whole[0] ^ 1]) + whole[1:],
        lambda whole: bytes(len(whole)),
    ],
    ids=["empty", "head", "short", "long", "bit", "magic", "zeros"],
)
def test_a_damaged_entry_is_removed_and_can_be_kept_anew(tmp_path: Path, place: Path, damage: object) -> None:
    cache = Cache(place, ROOM)
    keep(cache, tmp_path, keyed(1))
    (entry,) = entries(place)
    entry.write_bytes(damage(entry.read_bytes()))  # type: ignore[operator]
    assert fetched(cache, tmp_path, keyed(1)) is None
    assert not (tmp_path / "target").exists()
    assert entries(place) == []
    keep(cache, tmp_path, keyed(1))
    assert fetched(cache, tmp_path, keyed(1)) == CONTENT


def killed_in_mid_write(place: Path, source: Path) -> None:
    """Die after half of an entry was written, with no clean-up."""
    write = os.write

    def half(*_: object, **__: object) -> None:
        (beside,) = entries(place)
        handle = os.open(beside, os.O_WRONLY)
        write(handle, b"half of an entry")
        os._exit(9)

    import pathlib  # noqa: PLC0415 - of the process that dies

    pathlib.Path.replace = half  # type: ignore[assignment,method-assign]
    Cache(place, ROOM).keep(keyed(1), source)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_kill_in_mid_write_leaves_no_entry(tmp_path: Path, place: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    process = multiprocessing.get_context("spawn").Process(target=killed_in_mid_write, args=(place, source))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    (left,) = entries(place)
    cache = Cache(place, ROOM)
    assert fetched(cache, tmp_path, keyed(1)) is None
    keep(cache, tmp_path, keyed(1))
    assert fetched(cache, tmp_path, keyed(1)) == CONTENT
    assert left.exists(), "somebody else may be writing it"
    os.utime(left, (0, left.stat().st_mtime - ABANDONED - 1))
    keep(Cache(place, ROOM), tmp_path, keyed(2))
    assert not left.exists()


def test_many_at_once(tmp_path: Path, place: Path) -> None:
    """Threads with caches of their own, as processes have, on few keys and with little room."""
    failures: list[str] = []

    def busy(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        cache = Cache(place, 20 * (HEAD + len(CONTENT)))
        for step in range(100):
            key = keyed((number * 7 + step) % 40)
            keep(cache, folder, key, CONTENT + key.encode())
            if fetched(cache, folder, key) not in (None, CONTENT + key.encode()):
                failures.append(key)

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(len(path.name) == 64 for path in entries(place))


# ---------------------------------------------------------------- its size


def test_what_was_used_longest_ago_makes_room(tmp_path: Path, place: Path) -> None:
    size = HEAD + len(CONTENT)
    cache = Cache(place, 10 * size)
    for number in range(10):
        keep(cache, tmp_path, keyed(number))
    for number, entry in enumerate(entries(place)):
        use(entry, number + 1)
    assert fetched(cache, tmp_path, keyed(0)), "which makes it the last one used"
    keep(cache, tmp_path, keyed(10))
    left = {int(path.name, 16) for path in entries(place)}
    assert left == {0, 10, *range(3, 10)}, "room is made to nine tenths"


def test_the_limit_holds_whoever_filled_the_folder(tmp_path: Path, place: Path) -> None:
    size = HEAD + len(CONTENT)
    for number in range(30):
        keep(Cache(place, ROOM), tmp_path, keyed(number))
    keep(Cache(place, 10 * size), tmp_path, keyed(99))
    assert sum(path.stat().st_size for path in entries(place)) <= 10 * size
    assert fetched(Cache(place, ROOM), tmp_path, keyed(99))


def test_what_is_larger_than_the_cache_is_not_kept_and_displaces_nothing(tmp_path: Path, place: Path) -> None:
    cache = Cache(place, 10_000)
    keep(cache, tmp_path, keyed(1))
    keep(cache, tmp_path, keyed(2), bytes(10_000))
    assert [int(path.name, 16) for path in entries(place)] == [1]


def test_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.write_text("in the way")
    cache = Cache(place, ROOM)
    for number in range(3):
        keep(cache, tmp_path, keyed(number))
        assert fetched(cache, tmp_path, keyed(number)) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(place) in caplog.text


# ---------------------------------------------------------------- the layer


@dataclass
class View:
    """What the plugin takes of core."""

    cache: Path
    meters: Meters = field(default_factory=Meters)


@dataclass
class Making:
    """Makes a result; `fault` is raised instead."""

    fault: Exception | None = None
    made: int = 0

    async def __call__(self, job: Job) -> None:
        await asyncio.sleep(0)
        self.made += 1
        job.target.write_bytes(b"half")
        if self.fault is not None:
            raise self.fault
        job.target.write_bytes(f"{job.transform} of {job.sha256}".encode())


async def run(view: View, inner: Making, asked: Job) -> bytes:
    layer = ResultCache({"limit_gb": 1.0}).tobs_transform(cast("Context", view))
    await layer(inner)(asked)
    return asked.target.read_bytes()


async def test_a_job_is_done_once_for_all_archives(tmp_path: Path, place: Path) -> None:
    inner, view = Making(), View(place)
    first = await run(view, inner, job(tmp_path))
    assert view.meters.stages["result_cache"].items == 0
    other = tmp_path / "other"
    other.mkdir()
    again = View(place)
    assert await run(again, inner, replace(job(tmp_path), target=other / "b.part")) == first
    assert inner.made == 1
    assert again.meters.stages["result_cache"].items == 1


@pytest.mark.parametrize("changed", [{"settings": "{ }"}, {"library": "pillow 2.0"}, {"sha256": "d" * 64}])
async def test_anything_else_is_made_anew(tmp_path: Path, place: Path, changed: dict[str, str]) -> None:
    inner, view = Making(), View(place)
    await run(view, inner, job(tmp_path))
    await run(view, inner, job(tmp_path, **changed))
    assert inner.made == 2


@pytest.mark.parametrize("fault", [TransformError("truncated", lasting=True), asyncio.CancelledError()])
async def test_what_was_not_made_is_not_kept(tmp_path: Path, place: Path, fault: Exception) -> None:
    with pytest.raises(type(fault)):
        await run(View(place), Making(fault), job(tmp_path))
    assert entries(place) == []
    inner = Making()
    await run(View(place), inner, job(tmp_path))
    assert inner.made == 1


async def test_without_a_folder_the_work_is_done(tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    inner = Making()
    for _ in range(2):
        assert await run(View(tmp_path / "in the way"), inner, job(tmp_path))
    assert inner.made == 2
