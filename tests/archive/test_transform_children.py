"""Child processes make files as they are to be, and a hostile file harms nobody but the child that opens it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import xml.etree.ElementTree as ET
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import pytest
from PIL import Image

from tests.archive.transform_files import giant_png, job, picture, video, voice
from tobs.archive.transform.children import Children, Limits, _Child
from tobs.archive.transform.recipes import BY_NAME
from tobs.errors import TransformError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tobs.values import Job

LIMITS = Limits(workers=1, megabytes=1024, seconds=60)
linux = pytest.mark.skipif(sys.platform != "linux", reason="the system does not limit a process's memory")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def environment(pid: int) -> bytes:
    """What a process was started with, where the system says it."""
    file = Path(f"/proc/{pid}/environ")
    return file.read_bytes() if file.exists() else b""


@asynccontextmanager
async def children(limits: Limits = LIMITS) -> AsyncIterator[Children]:
    made = Children(limits)
    try:
        yield made
    finally:
        pids = made.pids
        await made.close()
        assert made.pids == []
        assert [pid for pid in pids if alive(pid)] == []


async def derived(source: Path, transform: str, folder: Path) -> Path:
    asked = job(source, transform, folder)
    async with children() as make:
        await make(asked)
    return asked.target


async def failure(make: Children, asked: Job) -> TransformError:
    with pytest.raises(TransformError) as failed:
        await make(asked)
    return failed.value


# ---------------------------------------------------------------- what is made


@pytest.mark.parametrize(
    ("name", "mode", "turned", "size"),
    [
        ("a.jpg", "RGB", 0, (320, 240)),
        ("a.jpg", "RGB", 6, (240, 320)),
        ("a.jpg", "CMYK", 0, (320, 240)),
        ("a.png", "RGBA", 0, (320, 240)),
        ("a.png", "I;16", 0, (320, 240)),
        ("a.gif", "P", 0, (320, 240)),
        ("a.webp", "RGB", 0, (320, 240)),
    ],
)
async def test_a_thumbnail_is_a_small_upright_jpeg(
    tmp_path: Path, name: str, mode: str, turned: int, size: tuple[int, int]
) -> None:
    source = picture(tmp_path / name, mode=mode, turned=turned)
    with Image.open(await derived(source, "thumbnail", tmp_path)) as made:
        assert (made.format, made.size, made.mode) == ("JPEG", size, "RGB")
        if mode == "RGBA":  # all of it is transparent
            assert made.getextrema() == ((255, 255),) * 3


async def test_a_small_picture_is_not_blown_up(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png", (10, 4))
    with Image.open(await derived(source, "thumbnail", tmp_path)) as made:
        assert made.size == (10, 4)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
async def test_webp_has_the_size_and_transparency_of_the_picture(tmp_path: Path, mode: str) -> None:
    source = picture(tmp_path / "a.png", (801, 333), mode)
    with Image.open(await derived(source, "webp", tmp_path)) as made:
        assert (made.format, made.size, made.mode) == ("WEBP", (801, 333), mode)


async def test_a_poster_is_a_picture_of_the_video(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", (1280, 720))
    with Image.open(await derived(source, "poster", tmp_path)) as made:
        assert (made.format, made.size) == ("JPEG", (640, 360))


async def test_a_preview_is_short_small_and_silent(tmp_path: Path) -> None:
    made = await derived(video(tmp_path / "a.mp4", (642, 360), seconds=8, rate=30), "preview", tmp_path)
    with av.open(str(made)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        frames = list(container.decode(container.streams.video[0]))
    assert (frames[0].width, frames[0].height) == (240, 134)
    assert len(frames) == 6 * 12
    assert frames[-1].time == pytest.approx(6 - 1 / 12)


async def test_a_preview_of_a_slow_video_has_each_of_its_pictures_at_its_time(tmp_path: Path) -> None:
    made = await derived(video(tmp_path / "a.mp4", (64, 36), seconds=2, rate=5), "preview", tmp_path)
    with av.open(str(made)) as container:
        times = [frame.time for frame in container.decode(container.streams.video[0])]
    assert times == [pytest.approx(number / 5, abs=1 / 12) for number in range(10)]


async def test_a_waveform_follows_the_loudness(tmp_path: Path) -> None:
    made = await derived(voice(tmp_path / "a.wav", lambda share: share), "waveform", tmp_path)
    path = ET.parse(made).getroot()[0].attrib["d"]
    bars = [float(bar.partition("v")[2]) for bar in path.split("M")[1:]]
    assert len(bars) == 100
    assert bars == sorted(bars)
    assert bars[-1] > 10 * bars[0]


@pytest.mark.parametrize("transform", list(BY_NAME))
async def test_the_same_file_gives_the_same_bytes_in_every_child(tmp_path: Path, transform: str) -> None:
    source = {
        "thumbnail": lambda: picture(tmp_path / "a.jpg"),
        "webp": lambda: picture(tmp_path / "a.jpg"),
        "poster": lambda: video(tmp_path / "a.mp4"),
        "preview": lambda: video(tmp_path / "a.mp4", (480, 270), rate=12),
        "waveform": lambda: voice(tmp_path / "a.wav", lambda _: 1),
    }[transform]()
    found = []
    for _ in range(2):
        async with children() as make:
            for _ in range(4):
                asked = job(source, transform, tmp_path)
                await make(asked)
                found.append(asked.target.read_bytes())
    assert found[0]
    assert set(found) == {found[0]}


# ---------------------------------------------------------------- what cannot be made


def truncated(path: Path) -> Path:
    whole = picture(path.with_suffix(".jpg")).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def playlist(path: Path) -> Path:
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{path}.mp4\n#EXT-X-ENDLIST\n")
    video(Path(f"{path}.mp4"), seconds=1)
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def wrong(path: Path) -> Path:
    path.write_bytes(b"no media at all " * 1000)
    return path


def silent_video(path: Path) -> Path:
    return video(path.with_suffix(".mp4"), seconds=1)


@pytest.mark.parametrize(
    ("made", "transform", "why"),
    [
        (truncated, "thumbnail", "truncated"),
        (truncated, "webp", "truncated"),
        (wrong, "thumbnail", "cannot identify"),
        (empty, "webp", "cannot identify"),
        (empty, "preview", "Invalid data"),
        (wrong, "poster", "Invalid data"),
        (playlist, "poster", "Invalid"),
        (silent_video, "waveform", "no sound"),
        (lambda path: giant_png(path, 12_000), "thumbnail", "DecompressionBombWarning"),
        (lambda path: giant_png(path, 15_000), "webp", "DecompressionBombError"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_file_that_is_none_fails_for_good_and_the_child_goes_on(
    tmp_path: Path, made: Callable[[Path], Path], transform: str, why: str
) -> None:
    source = made(tmp_path / "file")
    good = job(picture(tmp_path / "good.png"), "thumbnail", tmp_path / "out")
    (tmp_path / "out").mkdir()
    async with children() as make:
        failed = await failure(make, job(source, transform, tmp_path))
        (pid,) = make.pids
        await make(good)
        assert make.pids == [pid]
    assert why in str(failed)
    assert str(tmp_path) not in str(failed), "the reason is the same for all such files"
    assert failed.lasting
    assert good.target.stat().st_size


@linux
@pytest.mark.parametrize("side", [9_900, 3_600], ids=["decoding", "encoding"])
async def test_memory_has_an_end(tmp_path: Path, side: int) -> None:
    bomb = giant_png(tmp_path / "bomb.png", side)  # 98 million pixels are as many as may be opened
    good = job(picture(tmp_path / "good.png"), "thumbnail", tmp_path)
    async with children(Limits(1, 256, 60)) as make:
        failed = await failure(make, job(bomb, "webp", tmp_path))
        assert "more than 256 MB" in str(failed)
        assert failed.lasting
        await make(good)
    assert good.target.stat().st_size


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that a child never comes to the end of: nobody writes into this pipe."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no named pipes")
    os.mkfifo(tmp_path / "endless")
    return tmp_path / "endless"


async def test_a_child_that_takes_too_long_is_replaced(tmp_path: Path, endless: Path) -> None:
    good = job(picture(tmp_path / "good.png"), "thumbnail", tmp_path / "out")
    (tmp_path / "out").mkdir()
    async with children(Limits(1, 1024, 1)) as make:
        failed = await failure(make, job(endless, "thumbnail", tmp_path))
        assert "longer than 1 s" in str(failed)
        assert failed.lasting
        assert make.pids == []
        await make(good)
        assert len(make.pids) == 1
    assert good.target.stat().st_size


@asynccontextmanager
async def hanging_job(make: Children, source: Path, folder: Path) -> AsyncIterator[tuple[asyncio.Task[None], int]]:
    """A job that hangs, and the child that has it: it has opened the pipe, which nothing is written to."""
    task = asyncio.create_task(make(job(source, "thumbnail", folder)))
    async with asyncio.timeout(30):
        while (pipe := _open_if_read(source)) is None:  # noqa: ASYNC110 - another process says nothing
            await asyncio.sleep(0.01)
    try:
        yield task, make.pids[0]
    finally:
        os.close(pipe)
        task.cancel()
        await asyncio.wait([task])


def _open_if_read(pipe: Path) -> int | None:
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


@pytest.mark.parametrize(("by", "lasting"), [("SIGSEGV", True), ("SIGABRT", True), ("SIGKILL", False)])
async def test_a_child_that_crashes_is_replaced(tmp_path: Path, endless: Path, by: str, lasting: bool) -> None:
    good = job(picture(tmp_path / "good.png"), "thumbnail", tmp_path / "out")
    (tmp_path / "out").mkdir()
    async with children() as make:
        async with hanging_job(make, endless, tmp_path) as (task, pid):
            os.kill(pid, getattr(signal, by))
            with pytest.raises(TransformError, match=by) as failed:
                await task
        assert failed.value.lasting is lasting
        await make(good)
        assert make.pids != [pid]
    assert good.target.stat().st_size


async def test_cancelling_ends_the_child(tmp_path: Path, endless: Path) -> None:
    async with children() as make, hanging_job(make, endless, tmp_path) as (task, pid):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert make.pids == []
        assert not alive(pid)


@dataclass
class Scripted:
    """A process that says what a test wants, when it wants it."""

    said: asyncio.Future[bytes]
    pid: int = 0

    @property
    def stdin(self) -> Scripted:
        return self

    @property
    def stdout(self) -> Scripted:
        return self

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    async def readline(self) -> bytes:
        return await self.said


@pytest.mark.parametrize("steps", range(5))
async def test_an_answer_at_the_very_moment_loses_no_cancellation(tmp_path: Path, steps: int) -> None:
    process = Scripted(asyncio.get_running_loop().create_future())
    child = _Child(cast("asyncio.subprocess.Process", process), LIMITS)
    task = asyncio.create_task(child.make(job(tmp_path / "a.png", "thumbnail", tmp_path)))
    await asyncio.sleep(0)
    process.said.set_result(b'{"ok": true}\n')
    for _ in range(steps):
        await asyncio.sleep(0)
    if task.cancel():
        with pytest.raises(asyncio.CancelledError):
            await task
    assert task.done()


async def test_no_more_children_than_workers_and_each_is_used_again(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png", (40, 30))
    folders = [tmp_path / str(number) for number in range(8)]
    for folder in folders:
        folder.mkdir()
    seen: set[int] = set()
    async with children(Limits(2, 1024, 60)) as make:

        async def one(folder: Path) -> None:
            await make(job(source, "thumbnail", folder))
            seen.update(make.pids)

        await asyncio.gather(*map(one, folders))
        assert len(make.pids) == len(seen) == 2


async def test_where_no_process_starts_all_jobs_fail_at_once_and_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    asked = job(picture(tmp_path / "a.png"), "thumbnail", tmp_path)
    async with children() as make:
        first = await failure(make, asked)
        monkeypatch.undo()
        second = await failure(make, asked)
    assert "no process can be started" in str(first)
    assert str(first) == str(second)
    assert not first.lasting
    assert not second.lasting


async def test_a_source_that_is_gone_may_be_tried_again(tmp_path: Path) -> None:
    async with children() as make:
        failed = await failure(make, job(tmp_path / "gone.png", "thumbnail", tmp_path))
    assert not failed.lasting


async def test_children_know_no_settings_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOBS_API_HASH", "a secret")
    asked = job(picture(tmp_path / "a.png"), "thumbnail", tmp_path)
    async with children() as make:
        await make(asked)
        (pid,) = make.pids
        assert b"a secret" not in environment(pid)
