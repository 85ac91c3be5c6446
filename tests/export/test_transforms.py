"""`tobs export --transform`: what it derives from a real chat, and that the archive is the same with it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.labs import tobs
from tobs.archive.transform.recipes import RECIPES
from tobs.archive.verify import verify
from tobs.engine.export import Wish
from tobs.errors import UsageError
from tobs.host import run, settings
from tobs.telegram.account import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.labs import Served
    from tobs.host.run import Report
    from tobs.values import Attempt


async def derive(lab: Served, archive: Path, transforms: str = "all", probes: Any = (), **wish: Any) -> Report:
    chosen = settings.of_arm(f"baseline transforms={transforms}")
    request = run.Request([str(lab.chat)], archive, Wish(**wish), state=archive.parent / "state")
    return await run.export(load(lab.server), chosen, request, probes)


def expected(archive: Path) -> set[str]:
    """Everything that can be derived of what the archive has."""
    with closing(sqlite3.connect(archive / "tobs.sqlite")) as db:
        rows = db.execute("SELECT f.sha256, m.kind, m.mime FROM files f JOIN media m ON m.file_id = f.id").fetchall()
    return {
        f"{recipe.name}/{sha256}{recipe.suffix}"
        for sha256, kind, mime in rows
        for recipe in RECIPES
        if recipe.takes(kind, mime)
    }


def found(archive: Path) -> set[str]:
    """Everything in derived/ but for the settings."""
    inside = (path for path in (archive / "derived").rglob("*") if path.is_file() and path.name != "settings.json")
    return {path.relative_to(archive / "derived").as_posix() for path in inside}


async def test_a_chat_s_files_are_derived_and_the_archive_is_the_same(small: Served, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    report = await derive(small, archive)
    assert report.digest == small.child.truth(small.chat)["digest"]
    assert report.warnings == []
    assert found(archive) == expected(archive)
    assert {name.partition("/")[0] for name in found(archive)} == {recipe.name for recipe in RECIPES}
    assert sum(report.derived.values()) == len(found(archive))
    assert report.as_json()["derived"] == report.derived
    checked = verify(archive)
    assert checked.ok
    assert not checked.foreign
    assert asyncio.all_tasks() == {asyncio.current_task()}

    again = await derive(small, archive)
    assert again.derived == {}
    assert again.warnings == []


async def test_without_asking_nothing_is_derived_and_later_it_is(small: Served, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    first = await derive(small, archive, "''")
    assert not (archive / "derived").exists()
    small.child.reset()
    second = await derive(small, archive, "webp,waveform", history=False)
    assert "upload.getFile" not in small.child.counters()["requests"]
    assert second.digest == first.digest
    assert found(archive) == {name for name in expected(archive) if name.startswith(("webp", "waveform"))}


async def test_a_stopped_run_s_rest_is_derived_by_the_next(small: Served, tmp_path: Path) -> None:
    archive = tmp_path / "archive"

    class Stop:
        files = 0

        def batch(self, page: object, batch: object, seconds: float) -> None: ...

        def file(self, outcome: object, seconds: float) -> None:  # noqa: ARG002 - the port
            self.files += 1
            if self.files == 4:
                raise asyncio.CancelledError

        def attempt(self, attempt: Attempt) -> None: ...

        def flood(self, method: str, seconds: float) -> None: ...

    with pytest.raises(asyncio.CancelledError):
        await derive(small, archive, probes=[Stop()])
    assert verify(archive).ok
    report = await derive(small, archive)
    assert report.digest == small.child.truth(small.chat)["digest"]
    assert found(archive) == expected(archive)


async def test_a_damaged_file_is_a_warning(small: Served, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    first = await derive(small, archive, "''")
    with closing(sqlite3.connect(archive / "tobs.sqlite")) as db:
        (path,) = db.execute("SELECT path FROM files WHERE path LIKE '%.jpg' LIMIT 1").fetchone()
    file = archive / path
    file.write_bytes(bytes(file.stat().st_size))
    report = await derive(small, archive, "thumbnail", history=False)
    (warning,) = report.warnings
    assert "1 files could not be derived by thumbnail" in warning
    assert report.digest == first.digest


async def test_a_missing_library_is_told_before_anything_is_asked_of_the_server(
    small: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("tobs.archive.transform.recipes.metadata.version", absent)
    small.child.reset()
    with pytest.raises(UsageError, match="needs pillow, which is not installed"):
        await derive(small, tmp_path / "archive")
    assert not small.child.counters()["requests"]
    assert not (tmp_path / "archive").exists()


def test_the_command_derives(small: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOBS_CACHE", str(tmp_path / "cache"))  # a plugin may keep results in the user's
    done = tobs(
        "export", small.chat, "-o", tmp_path / "a", "--server", small.server, "--transform", "thumbnail", "--json"
    )
    assert done.code == 0
    told = json.loads(done.out)["derived"]
    assert told == {"thumbnail": len(list((tmp_path / "a/derived/thumbnail").glob("*.jpg")))}
    assert told["thumbnail"] > 0


def test_the_command_refuses_what_is_no_transform(small: Served, tmp_path: Path) -> None:
    done = tobs("export", small.chat, "-o", tmp_path / "a", "--server", small.server, "--transform", "hologram")
    assert done.code == 2
    assert "hologram is no transform" in done.err
    assert "thumbnail" in done.err
