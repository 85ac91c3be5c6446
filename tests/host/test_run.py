"""A run with plugins: what it asks of them, and what it leaves when one fails."""

# ruff: noqa: ARG002, ASYNC240 - a probe takes what it is told; folders of tests are small

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.host.kit import breaking, by_name, misuse, plan_of, plugin, witness
from tests.host.plugins.witness import NOTES
from tobs.archive.verify import verify
from tobs.errors import PluginError, UsageError
from tobs.host import run, settings
from tobs.host.arm import parse_arm
from tobs.host.blame import OURS
from tobs.host.resolve import resolve
from tobs.host.run import Report, Request
from tobs.knobs import Knob
from tobs.telegram.account import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.labs import Served
    from tobs.host.resolve import Plan

PLAIN = plan_of()


async def export(lab: Served, folder: Path, plan: Plan | None, probes: Any = ()) -> Report:
    asked = Request([str(lab.chat)], folder, state=folder.parent / "state")
    return await run.export(load(lab.server), settings.load(environment={}), asked, probes, plan)


def runs(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Outcome and facts of the runs of an archive."""
    db = sqlite3.connect(folder / "tobs.sqlite")
    try:
        rows = db.execute("SELECT outcome, plan FROM runs ORDER BY id").fetchall()
    finally:
        db.close()
    return [(outcome, json.loads(facts)) for outcome, facts in rows]


async def test_layers_and_lifespans_stand_around_the_run_and_change_nothing(small: Served, tmp_path: Path) -> None:
    NOTES["run"].clear()
    plan = plan_of(witness("one", "run"), witness("two", "run"))
    report = await export(small, tmp_path / "with", plan)
    notes = NOTES["run"]

    assert (
        report.digest
        == (await export(small, tmp_path / "bare", None)).digest
        == small.child.truth(small.chat)["digest"]
    )
    moments = [note for note in notes if note.endswith(("entered", "left", "ranges")) and "hook" not in note]
    assert moments == ["one: entered", "two: entered", "two: ranges", "one: ranges", "two: left", "one: left"]
    assert notes.index("two: left") > max(place for place, note in enumerate(notes) if ": batch" in note)
    assert "one: invoke messages.getHistory" in notes
    assert len({note for note in notes if ": hook" in note}) == len([note for note in notes if ": hook" in note])


async def test_the_plan_is_kept_in_the_archive_and_in_the_report(small: Served, tmp_path: Path) -> None:
    plan = resolve(by_name(witness("one", "kept")), parse_arm("all connections=3"))
    report = await export(small, tmp_path / "a", plan)
    ((outcome, facts),) = runs(tmp_path / "a")

    assert outcome == "done"
    assert facts["plan"] == plan.as_json()
    assert facts["plan_hash"] == plan.hash == report.as_json()["plan_hash"]
    assert report.as_json()["plugins"] == ["one"]


async def test_without_a_plan_settings_of_the_core_still_count(small: Served, tmp_path: Path) -> None:
    asked = Request([str(small.chat)], tmp_path / "a", state=tmp_path / "state")
    chosen = settings.load(environment={}, sets=["part_kb=128"])
    report = await run.export(load(small.server), chosen, asked)
    assert report.plan.values("core")["part_kb"] == 128
    assert report.plan.plugins == ()
    assert small.child.counters()["requests"]["upload.getFile"] > 12


async def test_a_plan_with_problems_is_refused_before_anything_happens(small: Served, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no plugin is called 'tea'"):
        await export(small, tmp_path / "a", resolve({}, parse_arm("baseline +tea")))
    assert not (tmp_path / "a").exists()
    assert small.child.counters()["requests"] == {}


@pytest.mark.parametrize("where", ["attempt", "enter", "batch", "file", "leave"])
async def test_a_plugin_that_raises_is_named_and_the_archive_stays_intact(
    small: Served, tmp_path: Path, where: str
) -> None:
    NOTES["broken"].clear()
    plan = plan_of(breaking(where), witness("a_first", "broken"), witness("c_later", "broken"))
    with pytest.raises(PluginError, match=rf"plugin breaking f.*ValueError: no sugar in {where}") as failed:
        await export(small, tmp_path / "a", plan)

    assert failed.value.hint == "Run without it: --without breaking."
    held = [note for note in NOTES["broken"] if note.endswith(("entered", "left"))]
    around = ["a_first: entered", "c_later: entered", "c_later: left", "a_first: left"]
    assert held == ([] if where == "attempt" else around[:1] + around[3:] if where == "enter" else around)
    if where != "attempt":
        assert runs(tmp_path / "a")[0][0] == "failed"
        assert verify(tmp_path / "a").ok
    report = await export(small, tmp_path / "a", PLAIN)
    assert report.digest == small.child.truth(small.chat)["digest"]


async def test_lifespans_are_left_in_reverse_when_the_run_is_stopped(small: Served, tmp_path: Path) -> None:
    NOTES["stopped"].clear()

    class Stopping:
        def batch(self, page: object, batch: object, seconds: float) -> None:
            running.cancel()

        def file(self, outcome: object, seconds: float) -> None: ...

        def attempt(self, attempt: object) -> None: ...

        def flood(self, method: str, seconds: float) -> None: ...

    plan = plan_of(witness("one", "stopped"), witness("two", "stopped"))
    running = asyncio.create_task(export(small, tmp_path / "a", plan, [Stopping()]))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [note for note in NOTES["stopped"] if note.endswith("left")] == ["two: left", "one: left"]
    assert (await export(small, tmp_path / "a", PLAIN)).digest == small.child.truth(small.chat)["digest"]


@pytest.mark.parametrize("fails", ["never", "batch"])
async def test_what_works_beside_the_run_is_stopped_before_any_lifespan_is_left(
    small: Served, tmp_path: Path, fails: str
) -> None:
    NOTES["beside"].clear()
    knobs = (Knob("list", "beside", "Where."),)
    beside = plugin("beside", load="tests.host.plugins.beside:Beside", knobs=knobs, provides=("agenda",))
    ended = export(small, tmp_path / "a", plan_of(beside, breaking(fails)))
    if fails == "never":
        assert (await ended).digest == small.child.truth(small.chat)["digest"]
    else:
        with pytest.raises(PluginError, match="no sugar"):
            await ended
    drained = ["drained", "drained"] if fails == "never" else []
    assert NOTES["beside"] == [*drained, "submit closed", "agenda closed", "left"]


async def test_a_lifespan_cannot_swallow_a_failure(small: Served, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no sugar in swallow"):
        await export(small, tmp_path / "a", plan_of(breaking("swallow")))
    assert runs(tmp_path / "a")[0][0] == "failed"


async def test_a_misused_hook_of_a_late_port_leaves_a_failed_run_that_can_go_on(small: Served, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="plugin nothing returned nothing from tobs_source"):
        await export(small, tmp_path / "a", plan_of(misuse("Nothing", "source")))
    report = await export(small, tmp_path / "a", PLAIN)
    assert report.digest == small.child.truth(small.chat)["digest"]


async def test_a_failure_without_a_plugin_is_called_a_bug(small: Served, tmp_path: Path) -> None:
    class Probe:
        def batch(self, page: object, batch: object, seconds: float) -> None:
            raise ZeroDivisionError

        def file(self, outcome: object, seconds: float) -> None: ...

        def attempt(self, attempt: object) -> None: ...

        def flood(self, method: str, seconds: float) -> None: ...

    with pytest.raises(ZeroDivisionError) as failed:
        await export(small, tmp_path / "a", plan_of(witness("bystander", "bug")), [Probe()])
    assert OURS in failed.value.__notes__
    assert verify(tmp_path / "a").ok


async def test_records_of_the_run_pass_the_plugin_s_handlers(
    small: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    NOTES["log"].clear()
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    before = list(logging.getLogger().handlers)

    class Talking:
        def batch(self, page: object, batch: object, seconds: float) -> None:
            logging.getLogger("shop").warning("batch")

        def file(self, outcome: object, seconds: float) -> None: ...

        def attempt(self, attempt: object) -> None: ...

        def flood(self, method: str, seconds: float) -> None: ...

    await export(small, tmp_path / "a", plan_of(witness("one", "log")), [Talking()])
    assert "one: record batch" in NOTES["log"]
    assert NOTES["log"][-1] == "one: handler closed"
    assert logging.getLogger().handlers == before


async def test_a_plugin_that_keeps_state_in_the_archive_disturbs_no_check(small: Served, tmp_path: Path) -> None:
    keeper = plugin("keeper", load="tests.host.plugins.keeper:Keeper", knobs=(Knob("says", "tea", "What to keep."),))
    assert [(await export(small, tmp_path / "a", plan_of(keeper))).warnings for _ in range(2)] == [[], []]
    found = verify(tmp_path / "a")
    assert (found.ok, found.foreign) == (True, ())
    kept = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("cup.json"))
    assert kept[0] == "a/.tobs-state/keeper/cup.json"
    assert [path.split("/")[:2] for path in kept[1:]] == [["state", "accounts"], ["state", "plugins"]]
    assert all(json.loads((tmp_path / path).read_text()) == {"says": "tea", "runs": 2} for path in kept)
