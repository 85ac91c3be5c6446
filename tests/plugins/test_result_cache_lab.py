"""result_cache on the lab: a second archive's files are derived by nobody, and the archive is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.export.labs import serve, small
from tobs.archive.transform.children import Children
from tobs.host import run, settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.telegram.account import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.labs import Served
    from tobs.host.run import Report
    from tobs.values import Job

__all__ = ["serve", "small"]


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that reached a child process."""
    seen: list[Job] = []
    make = Children.__call__

    async def noted(self: Children, job: Job) -> None:
        seen.append(job)
        await make(self, job)

    monkeypatch.setattr(Children, "__call__", noted)
    return seen


async def export(lab: Served, archive: Path, arm: str) -> Report:
    found = discover()
    plan = resolve(found.manifests, settings.of_arm(arm).wanted, found.broken).require()
    request = run.Request([str(lab.chat)], archive, state=archive.parent / "state")
    return await run.export(load(lab.server), settings.of_arm(arm), request, (), plan)


def derived(archive: Path) -> dict[str, bytes]:
    inside = (path for path in (archive / "derived").rglob("*") if path.is_file())
    return {path.relative_to(archive).as_posix(): path.read_bytes() for path in inside}


async def test_a_fresh_archive_is_derived_from_the_cache(small: Served, tmp_path: Path, worked: list[Job]) -> None:
    plain = await export(small, tmp_path / "plain", "baseline transforms=all")
    cold = await export(small, tmp_path / "cold", "baseline +result_cache transforms=all")
    jobs = len(worked)
    warm = await export(small, tmp_path / "warm", "baseline +result_cache transforms=all")
    assert jobs == 2 * sum(plain.derived.values())
    assert len(worked) == jobs, "something was derived again"
    assert plain.digest == cold.digest == warm.digest == small.child.truth(small.chat)["digest"]
    assert plain.derived == cold.derived == warm.derived
    assert derived(tmp_path / "plain") == derived(tmp_path / "cold") == derived(tmp_path / "warm")
    assert warm.warnings == []


async def test_switched_off_nothing_is_kept(small: Served, tmp_path: Path) -> None:
    await export(small, tmp_path / "plain", "baseline transforms=thumbnail")
    assert not (tmp_path / "state/cache").exists()


async def test_without_transforms_it_does_nothing(small: Served, tmp_path: Path, worked: list[Job]) -> None:
    report = await export(small, tmp_path / "plain", "baseline +result_cache")
    assert report.plan.plugins == ("result_cache",)
    assert worked == []
    assert not (tmp_path / "state/cache").exists()
    assert not (tmp_path / "plain/derived").exists()


async def test_the_cache_is_only_what_a_user_finds_it_to_be(small: Served, tmp_path: Path, worked: list[Job]) -> None:
    arm = "baseline +result_cache transforms=thumbnail"
    await export(small, tmp_path / "one", arm)
    first = len(worked)
    for entry in (tmp_path / "state/cache").rglob("*"):
        if entry.is_file():
            entry.write_bytes(entry.read_bytes()[:-1])
    await export(small, tmp_path / "two", arm)
    assert len(worked) == 2 * first
    assert derived(tmp_path / "one") == derived(tmp_path / "two")
