"""A chat that changes while it is exported: the next run makes it whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from telethon.extensions import BinaryReader

from tests.export.changing import running
from tests.export.checker import differences
from tests.export.labs import export, main_chat, world_of
from tobs.engine.export import Wish
from tobs.lab.changes import DELETED, Live, plan
from tobs.lab.live import at_last
from tobs.lab.truth import truth

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.lab.world import World


def live(changes: Live) -> World:
    """The small world, as it would be if its scenario asked for these changes."""
    world = world_of("small")
    return replace(world, changes=plan(changes, world.scenario.seed, list(world.histories.values())))


async def test_what_came_and_was_edited_meanwhile_is_there_after_a_second_run(tmp_path: Path) -> None:
    world = live(Live(new=60, edited=60, seconds=0.3))
    chat = main_chat(world)
    async with running(world, tmp_path / "lab") as (lab, server):
        await export(server, tmp_path / "archive", [chat])
        lab.change(len(world.changes))
        report = await export(server, tmp_path / "archive", [chat], wish=Wish(rescan=True))
    assert report.warnings == []
    assert report.digest == truth(world, chat).digest
    assert differences(tmp_path / "archive", at_last(world), [chat]) == []


async def test_what_was_deleted_meanwhile_stays_if_it_was_seen_and_nothing_else_does(tmp_path: Path) -> None:
    world = live(Live(new=20, edited=20, deleted=60, seconds=0.3))
    chat = main_chat(world)
    async with running(world, tmp_path / "lab") as (lab, server):
        await export(server, tmp_path / "archive", [chat])
        lab.change(len(world.changes))
        await export(server, tmp_path / "archive", [chat], wish=Wish(rescan=True))
        fresh = await export(server, tmp_path / "fresh", [chat])
    assert fresh.digest == truth(world, chat).digest
    with closing(sqlite3.connect(tmp_path / "archive" / "tobs.sqlite")) as db:
        kept = {number for (number,) in db.execute("SELECT id FROM messages WHERE chat_id = ?", (chat,))}
    left = {BinaryReader(data).tgread_object().id for data in at_last(world).histories[chat].serialized()}
    gone = {change.id for change in world.changes if change.peer_id == chat and change.kind == DELETED}
    assert left <= kept
    assert kept - left <= gone
