"""Exporting again: only what is new or edited, and nothing that was kept is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from copy import copy
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest
from telethon.tl import types

from tests.export.changing import changed, requests, running
from tests.export.checker import differences
from tests.export.labs import Served, export, main_chat, world_of
from tobs.archive.digest import digest
from tobs.archive.search import search
from tobs.engine.export import Wish
from tobs.lab.truth import truth

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.lab.world import World

AGAIN = 1000
"""Messages that an incremental run reads again for edits."""


def plain(messages: list[Any]) -> list[Any]:
    """Those that are no service messages and have a text."""
    return [m for m in messages if isinstance(m, types.Message) and m.message]


def edit(message: Any, text: str) -> Any:
    """The message as it stands after an edit."""
    message = copy(message)
    message.message, message.entities = text, None
    message.edit_date = (message.edit_date or message.date) + timedelta(days=2)
    return message


async def test_a_second_run_finds_nothing_new(small: Served, tmp_path: Path) -> None:
    first = await export(small.server, tmp_path / "archive", [small.chat])
    small.child.reset()
    second = await export(small.server, tmp_path / "archive", [small.chat])
    counted = small.child.counters()
    assert second.digest == first.digest
    assert counted["file_parts"] == 0
    assert counted["requests"] == {
        "help.getConfig": 1,
        "users.getUsers": 1,
        "messages.getDialogs": 1,
        "messages.getHistory": ceil(small.world.histories[small.chat].count / 100),
    }, "the gap above the newest message is part of the pages that are read again"
    assert counted["connections_opened"] == 1


async def test_a_second_run_reads_the_last_thousand_again_and_no_more(long: Served, tmp_path: Path) -> None:
    first = await export(long.server, tmp_path / "archive", [long.chat])
    long.child.reset()
    second = await export(long.server, tmp_path / "archive", [long.chat])
    counted = long.child.counters()
    assert counted["requests"]["messages.getHistory"] == AGAIN // 100
    assert counted["history_messages"] == AGAIN
    assert "upload.getFile" not in counted["requests"]
    assert second.digest == first.digest

    long.child.reset()
    third = await export(long.server, tmp_path / "archive", [long.chat], wish=Wish(rescan=True))
    counted = long.child.counters()
    assert counted["history_messages"] == long.world.histories[long.chat].count
    assert "upload.getFile" not in counted["requests"]
    assert third.digest == first.digest


async def test_new_messages_are_added(tmp_path: Path) -> None:
    world = world_of("long")
    chat = main_chat(world)
    new = 130
    earlier = changed(world, chat, lambda messages: messages[:-new])
    async with running(earlier, tmp_path / "lab") as (_, server):
        report = await export(server, tmp_path / "archive", [chat])
        assert report.digest == truth(earlier, chat).digest
    async with running(world, tmp_path / "lab") as (lab, server):
        report = await export(server, tmp_path / "archive", [chat])
        asked = requests(lab)
    assert report.digest == truth(world, chat).digest
    assert differences(tmp_path / "archive", world, [chat]) == []
    assert asked["messages.getHistory"] == ceil((AGAIN + new) / 100), "what is new and what is read again is one span"


@pytest.fixture
def edited() -> tuple[World, World, int]:
    """The long world as it was, the same with edits, and how many of these an incremental run can see."""
    world = world_of("long")
    chat = main_chat(world)
    seen = 0

    def change(messages: list[Any]) -> list[Any]:
        nonlocal seen
        chosen = {message.id for message in plain(messages)[::40]}
        seen = sum(message.id in chosen for message in messages[-AGAIN:])
        return [edit(m, f"mended {m.id} 🩹") if m.id in chosen else m for m in messages]

    return world, changed(world, chat, change), seen


async def test_edits_come_and_the_old_text_stays(tmp_path: Path, edited: tuple[World, World, int]) -> None:
    before, after, seen = edited
    chat = main_chat(before)
    folder = tmp_path / "archive"
    async with running(before, tmp_path / "lab") as (_, server):
        await export(server, folder, [chat])
    async with running(after, tmp_path / "lab") as (_, server):
        await export(server, folder, [chat])
        assert digest(folder) != truth(after, chat).digest, "older edits are not looked for"
        assert _edits(folder) == seen
        await export(server, folder, [chat], wish=Wish(rescan=True))
        assert digest(folder) == truth(after, chat).digest
        await export(server, folder, [chat], wish=Wish(rescan=True))
    assert differences(folder, after, [chat]) == []
    with closing(sqlite3.connect(folder / "tobs.sqlite")) as db:
        rows = db.execute("SELECT e.id, e.text, m.text FROM edits e JOIN messages m USING (chat_id, id)").fetchall()
    assert len(rows) > seen
    old = {message.id: message.message for message in _messages(before, chat)}
    assert {number: text for number, text, _ in rows} == {number: old[number] for number, _, _ in rows}
    assert {new for _, _, new in rows} == {f"mended {number} 🩹" for number, _, _ in rows}
    hits = search(folder, "mended", limit=len(rows) + 1)
    assert len(hits) == len(rows), "the index follows"


async def test_what_is_deleted_on_the_server_stays(tmp_path: Path) -> None:
    world = world_of("small")
    chat = main_chat(world)
    fewer = changed(world, chat, lambda messages: messages[:50] + messages[90:])
    async with running(world, tmp_path / "lab") as (_, server):
        await export(server, tmp_path / "archive", [chat])
    async with running(fewer, tmp_path / "lab") as (_, server):
        report = await export(server, tmp_path / "archive", [chat], wish=Wish(rescan=True))
    assert report.warnings == []
    assert differences(tmp_path / "archive", world, [chat]) == []


async def test_files_left_for_later_are_fetched_later(tmp_path: Path) -> None:
    world = world_of("small")
    chat = main_chat(world)
    async with running(world, tmp_path / "lab") as (lab, server):
        await export(server, tmp_path / "archive", [chat], wish=Wish(media=False))
        assert "upload.getFile" not in requests(lab)
        report = await export(server, tmp_path / "archive", [chat], wish=Wish(kinds=frozenset({"photo"})))
        assert report.tally.files == world.scenario.dataset.photos.count
        report = await export(server, tmp_path / "archive", [chat])
    assert report.digest == truth(world, chat).digest
    assert differences(tmp_path / "archive", world, [chat]) == []


async def test_a_stale_reference_is_refreshed_once(tmp_path: Path) -> None:
    world = world_of("small")
    chat = main_chat(world)
    specs = {
        number: replace(spec, file_reference=bytes(byte ^ 255 for byte in spec.file_reference))
        for number, spec in world.shelf.specs.items()
    }

    def refer_anew(messages: list[Any]) -> list[Any]:
        for message in messages:
            holder = getattr(message, "media", None) or getattr(message, "action", None)
            for name in ("photo", "document"):
                held = getattr(holder, name, None)
                if held is not None:
                    held.file_reference = specs[held.id].file_reference
        return messages

    later = replace(changed(world, chat, refer_anew), shelf=replace(world.shelf, specs=specs, previews={}))
    async with running(world, tmp_path / "lab") as (_, server):
        await export(server, tmp_path / "archive", [chat], wish=Wish(media=False))
    with closing(sqlite3.connect(tmp_path / "archive" / "tobs.sqlite")) as db:
        carriers = db.execute("SELECT count(*) FROM media").fetchone()[0]
    # Messages that go on naming the old references of files that are only served under new ones.
    stale = replace(later, histories=world.histories)
    async with running(stale, tmp_path / "lab") as (lab, server):
        report = await export(server, tmp_path / "archive", [chat])
        asked = requests(lab)
        assert len(report.warnings) == 1, "what is handed out is stale too, so refreshing cannot help"
        assert report.tally.files == 0
        assert asked["channels.getMessages"] == carriers
    async with running(later, tmp_path / "lab") as (_, server):
        report = await export(server, tmp_path / "archive", [chat])
    assert report.warnings == []
    assert report.digest == truth(later, chat).digest
    assert differences(tmp_path / "archive", later, [chat]) == []


def _edits(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "tobs.sqlite")) as db:
        return int(db.execute("SELECT count(*) FROM edits").fetchone()[0])


def _messages(world: World, chat: int) -> list[Any]:
    kept: list[Any] = []

    def note(messages: list[Any]) -> list[Any]:
        kept.extend(messages)
        return messages

    changed(world, chat, note)
    return kept
