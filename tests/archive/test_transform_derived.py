"""What is derived: only what is missing, nothing half made, and no failure that stops an export."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.engine.fakes import ref
from tobs.archive.transform import derived as room
from tobs.archive.transform.children import Limits
from tobs.archive.transform.derived import Derived
from tobs.archive.transform.recipes import RECIPES, Recipe, chosen
from tobs.archive.transform.shelf import Original
from tobs.errors import TransformError
from tobs.meters import Meters
from tobs.values import Settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from tobs.values import Job

LIMITS = Limits(2, 1024, 60)
BOTH = chosen("thumbnail,webp")
PHOTO = ("photo", "image/jpeg")


@dataclass
class Making:
    """A transform that writes the name of its job; `spoil` may raise before it does."""

    spoil: Callable[[Job], None] = lambda _: None
    jobs: list[Job] = field(default_factory=list)
    hold: asyncio.Event | None = None
    at_once: int = 0
    most: int = 0

    async def __call__(self, job: Job) -> None:
        self.jobs.append(job)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            job.target.write_text("half")
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0)
            self.spoil(job)
            job.target.write_text(f"{job.transform} of {job.sha256}")
        finally:
            self.at_once -= 1

    @property
    def asked(self) -> Counter[tuple[str, str]]:
        return Counter((job.transform, job.sha256) for job in self.jobs)


@asynccontextmanager
async def running(
    folder: Path,
    make: Making,
    files: Sequence[Original] = (),
    recipes: Sequence[Recipe] = BOTH,
    limits: Limits = LIMITS,
) -> AsyncIterator[Derived]:
    made = Derived(folder, recipes, make, limits, lambda: files, Meters())
    await made.start()
    try:
        yield made
    finally:
        await made.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def whole(folder: Path, make: Making, files: Sequence[Original], recipes: Sequence[Recipe] = BOTH) -> Derived:
    async with running(folder, make, files, recipes) as made:
        await made.finish()
    return made


def photos(count: int) -> list[Original]:
    return [Original(f"{number:064x}", f"media/{number}.jpg", *PHOTO) for number in range(count)]


def came(number: int) -> Settled:
    """A photo that the export has just brought in."""
    one = ref(number, kind="photo")._replace(mime="image/jpeg")
    return Settled(one, "done", f"{number:064x}", 1000, f"media/{number}.jpg")


def results(folder: Path) -> set[str]:
    return {
        path.relative_to(folder / "derived").as_posix()
        for path in (folder / "derived").rglob("*")
        if path.is_file() and path.name != "settings.json"
    }


def of(count: int) -> set[str]:
    return {f"{name}/{number:064x}{suffix}" for number in range(count) for name, suffix in SUFFIXES}


SUFFIXES = (("thumbnail", ".jpg"), ("webp", ".webp"))


async def test_everything_that_is_stored_is_made_once(tmp_path: Path) -> None:
    make = Making()
    # One content as two files, and one file in two messages.
    made = await whole(
        tmp_path, make, [*photos(3), *photos(2), Original("f" * 64, "media/a.pdf", "file", "text/plain")]
    )
    assert results(tmp_path) == of(3)
    assert set(make.asked.values()) == {1}
    assert made.tidings.made == {"thumbnail": 3, "webp": 3}
    assert make.most <= LIMITS.workers
    assert make.jobs[0].source == tmp_path / "media/0.jpg"


async def test_a_second_run_makes_only_what_is_new(tmp_path: Path) -> None:
    await whole(tmp_path, Making(), photos(2))
    again = Making()
    made = await whole(tmp_path, again, photos(3))
    assert {job.sha256 for job in again.jobs} == {f"{2:064x}"}
    assert made.tidings.made == {"thumbnail": 1, "webp": 1}


async def test_another_transform_leaves_what_is_there(tmp_path: Path) -> None:
    await whole(tmp_path, Making(), photos(2), chosen("webp"))
    again = Making()
    await whole(tmp_path, again, photos(2))
    assert {job.transform for job in again.jobs} == {"thumbnail"}
    assert results(tmp_path) == of(2)


async def test_files_are_made_while_they_come(tmp_path: Path) -> None:
    make = Making()
    async with running(tmp_path, make, photos(3)) as made:
        for number in range(3):
            made.file(came(number), 0.1)
        made.file(Settled(ref(9), "failed"), 0.1)
        async with asyncio.timeout(10):
            while results(tmp_path) != of(3):  # noqa: ASYNC110 - nobody asked to finish
                await asyncio.sleep(0)
        await made.finish()
    assert set(make.asked.values()) == {1}


async def test_what_does_not_fit_into_memory_is_made_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BACKLOG", 3)
    make = Making(hold=asyncio.Event())
    meters = Meters()
    made = Derived(tmp_path, BOTH, make, LIMITS, lambda: photos(20), meters)
    await made.start()
    try:
        for number in range(20):
            made.file(came(number), 0.1)
            assert meters.queues["transform"].depth <= 3
        assert make.hold is not None
        make.hold.set()
        await made.finish()
    finally:
        await made.close()
    assert results(tmp_path) == of(20)
    assert set(make.asked.values()) == {1}
    assert meters.queues["transform"].depth == 0
    assert meters.stages["transform"].items == 40


async def test_a_stopped_run_leaves_nothing_half_made_under_a_name(tmp_path: Path) -> None:
    make = Making(hold=asyncio.Event())
    async with running(tmp_path, make, photos(3)) as made:
        made.file(came(0), 0.1)
        async with asyncio.timeout(10):
            while make.most < 2:  # noqa: ASYNC110 - what it waits for is the fake's
                await asyncio.sleep(0)
    assert results(tmp_path) == set()
    await whole(tmp_path, Making(), photos(3))
    assert results(tmp_path) == of(3)


async def test_what_a_kill_left_is_removed_and_made_again(tmp_path: Path) -> None:
    await whole(tmp_path, Making(), photos(1))
    (tmp_path / "derived/webp" / f"{1:064x}.webp.part").write_text("half")
    (tmp_path / "derived/webp" / f"{0:064x}.webp").write_bytes(b"")  # a power cut
    make = Making()
    await whole(tmp_path, make, photos(1))
    assert make.asked == {("webp", f"{0:064x}"): 1}
    assert results(tmp_path) == of(1)


async def test_other_settings_make_everything_anew(tmp_path: Path) -> None:
    thumbnail, webp = BOTH
    await whole(tmp_path, Making(), photos(2))
    make = Making()
    await whole(tmp_path, make, photos(2), [_with(thumbnail, {"side": 100}), webp])
    assert make.asked == {("thumbnail", f"{number:064x}"): 1 for number in range(2)}
    assert json.loads(make.jobs[0].settings) == {"side": 100}
    assert json.loads((tmp_path / "derived/thumbnail/settings.json").read_text()) == {"side": 100}


async def test_stopped_while_everything_is_made_anew(tmp_path: Path) -> None:
    thumbnail, _ = BOTH
    other = [_with(thumbnail, {"side": 100})]
    await whole(tmp_path, Making(), photos(3), [thumbnail])
    async with running(tmp_path, Making(), photos(3), other) as made:
        made.file(came(1), 0.1)
    make = Making()
    await whole(tmp_path, make, photos(3), other)
    assert {"thumbnail"} == {job.transform for job in make.jobs}
    assert len(results(tmp_path)) == 3


def _with(recipe: Recipe, settings: dict[str, int]) -> Recipe:
    return Recipe(
        recipe.name, recipe.says, recipe.suffix, recipe.made_by, recipe.needs, recipe.mimes, recipe.kinds, settings
    )


# ---------------------------------------------------------------- failures


def failing(*, lasting: bool) -> Callable[[Job], None]:
    def spoil(job: Job) -> None:
        if job.transform == "webp" and job.sha256 != f"{0:064x}":
            raise TransformError("truncated", lasting=lasting)

    return spoil


@pytest.mark.parametrize("lasting", [True, False])
async def test_a_failure_is_counted_and_fails_nothing(tmp_path: Path, lasting: bool) -> None:
    make = Making(failing(lasting=lasting))
    async with running(tmp_path, make, photos(3)) as made:
        made.file(came(1), 0.1)
        await asyncio.sleep(0)
        await made.finish()
    assert made.tidings.made == {"thumbnail": 3, "webp": 1}
    assert made.tidings.warnings() == ["2 files could not be derived by webp: truncated"]
    assert set(make.asked.values()) == {1}, "tried twice in one run"
    assert not [name for name in results(tmp_path) if name.endswith(".part")]


async def test_reasons_that_differ_from_file_to_file_do_not_fill_the_screen(tmp_path: Path) -> None:
    def spoil(job: Job) -> None:
        raise TransformError(f"{job.sha256[-2:]} bytes are missing", lasting=True)

    made = await whole(tmp_path, Making(spoil), photos(30), chosen("webp"))
    warnings = made.tidings.warnings()
    assert len(warnings) == room.REASONS + 1
    assert sum(int(line.split()[0]) for line in warnings) == 30
    assert "20 files could not be derived by webp: other reasons" in warnings[-1]
    notes = list((tmp_path / "derived/webp").glob("*.failed"))
    assert "bytes are missing" in notes[0].read_text()


async def test_what_fails_for_good_is_not_tried_again_under_the_same_conditions(tmp_path: Path) -> None:
    await whole(tmp_path, Making(failing(lasting=True)), photos(3))
    again = Making()
    made = await whole(tmp_path, again, photos(3))
    assert again.jobs == []
    assert made.tidings.warnings() == []
    async with running(tmp_path, again, photos(3), limits=Limits(2, 2048, 60)) as made:
        await made.finish()
    assert made.tidings.made == {"webp": 2}
    assert results(tmp_path) == of(3)


async def test_what_fails_for_now_is_tried_again(tmp_path: Path) -> None:
    await whole(tmp_path, Making(failing(lasting=False)), photos(3))
    assert (await whole(tmp_path, Making(), photos(3))).tidings.made == {"webp": 2}


async def test_a_disk_that_takes_nothing_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "derived").write_text("in the way")
    made = await whole(tmp_path, Making(), photos(2))
    assert len(made.tidings.warnings()) == 2
    assert made.tidings.made == {}


async def test_a_fault_of_a_layer_is_raised_at_the_end_and_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BACKLOG", 2)

    def broken(_: Job) -> None:
        raise ZeroDivisionError

    async with running(tmp_path, Making(broken), photos(50)) as made:
        with pytest.raises(ZeroDivisionError):
            await made.finish()


def test_recipes_have_names_of_their_own() -> None:
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
