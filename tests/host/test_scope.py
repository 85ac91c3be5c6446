"""What plugins keep lies apart from one another, and never disturbs an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.fakes import CHAT, FakeBooks, ref
from tests.host.kit import plan_of, wire
from tobs.archive.archive import Archive
from tobs.archive.verify import verify
from tobs.engine.media import HomeLanes
from tobs.errors import PluginError
from tobs.host.scope import IN_ARCHIVE, Places, Scoped
from tobs.ports import Range
from tobs.values import BlockHash, Chat, MediaRef, Settled, Span

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "account", tmp_path / "archive", tmp_path / "user", archive_is_open=True)


def test_every_plugin_keeps_its_own_in_every_scope(places: Places) -> None:
    for scope in ("account", "archive", "user"):
        for plugin in ("tea", "milk"):
            places.of(plugin, scope).put("warmth", {"is": f"{scope} {plugin}"})
    for scope in ("account", "archive", "user"):
        for plugin in ("tea", "milk"):
            assert places.of(plugin, scope).get("warmth") == {"is": f"{scope} {plugin}"}
    assert places.of("salt", "user").get("warmth") == {}


def test_an_archive_s_state_is_written_only_when_it_is_open(places: Places, tmp_path: Path) -> None:
    places.archive_is_open = False
    state = places.of("tea", "archive")
    assert state.get("warmth") == {}
    with pytest.raises(PluginError, match="plugin tea kept something in the archive before it was open"):
        state.put("warmth", {"is": 1})
    assert not (tmp_path / "archive").exists()

    chat = Chat(7, "user", "Somebody")
    Archive.create(tmp_path / "archive", [chat]).close()
    places.archive_is_open = True
    state.put("warmth", {"is": 1})
    assert (tmp_path / "archive" / IN_ARCHIVE / "tea").is_dir()

    with Archive.create(tmp_path / "archive", [chat]):
        assert state.get("warmth") == {"is": 1}
    found = verify(tmp_path / "archive")
    assert (found.ok, found.foreign) == (True, ())


def test_the_context_shows_what_stands_in_the_line(places: Places) -> None:
    line = wire(plan_of(arm="baseline connections=7"))
    context = Scoped("tea", line, places)
    assert (context.pool, context.budget, context.meters) == (line.pool, line.budget, line.meters)
    assert context.knobs["connections"] == 7


async def test_core_s_own_requests_go_through_the_line(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    line = wire(plan_of())
    asked: list[object] = []

    async def page(invoke: object, chat: Chat, span: Span, skip: int) -> str:
        asked.append((invoke is line.invoke, chat.id, span, skip))
        return "page"

    monkeypatch.setattr(line.service, "page", page)
    within = Range(Span(1, 9))
    assert await Scoped("tea", line, places).page(Chat(7, "user", "S"), within, skip=3) == "page"  # type: ignore[comparison-overlap]
    assert asked == [(True, 7, Span(1, 9), 3)]


async def test_hashes_are_asked_where_lanes_say_and_stored_files_are_the_archive_s(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = wire(plan_of())
    context = Scoped("tea", line, places)
    with pytest.raises(PluginError, match="plugin tea asked for the archive before it stands"):
        context.stored(5, 1)
    with pytest.raises(PluginError, match="plugin tea asked for the archive before it stands"):
        context.raw(CHAT.id, Span(1, 9))
    with pytest.raises(PluginError, match="plugin tea asked for the lanes before they stand"):
        await context.file_hashes(ref(7), 0)
    line.lanes = HomeLanes()
    line.ledger = FakeBooks(files={3: Settled(ref(3), "done", "", 5, "three")}, rows={3: "three", 11: "eleven"})
    asked: list[object] = []

    async def hashes(invoke: object, wanted: MediaRef, offset: int, dc: int | None) -> list[BlockHash]:
        asked.append((invoke is line.invoke, wanted.file_id, offset, dc))
        return []

    monkeypatch.setattr(line.service, "file_hashes", hashes)
    assert await context.file_hashes(ref(7), 9) == []
    assert await context.file_hashes(ref(7), 9, 4) == []
    assert asked == [(True, 7, 9, None), (True, 7, 9, 4)]
    assert [stored.file_id for stored in context.stored(5, 1)] == [3]
    assert context.stored(6, 1) == []
    assert context.raw(CHAT.id, Span(1, 9)) == {3: b"three"}
