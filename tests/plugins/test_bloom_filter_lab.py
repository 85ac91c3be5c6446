"""bloom_filter on chats that change: whatever happens between runs, the archive is what it is without the plugin."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from copy import copy
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from telethon.tl import types
from xxhash import xxh3_64_digest

from tests.export.changing import changed, requests, running
from tests.export.labs import main_chat, world_of
from tobs.archive.archive import Archive
from tobs.archive.digest import digest
from tobs.engine.export import Wish
from tobs.engine.spans import NEWEST
from tobs.engine.state import FolderState
from tobs.host import run, settings
from tobs.host.scope import IN_ARCHIVE
from tobs.lab.truth import truth
from tobs.telegram.account import load
from tobs.telemetry import names, read
from tobs.testing.exports import planned
from tobs.testing.stops import FullError, _stopping
from tobs.values import PAGE, Span
from tobs_bloom_filter.leaf import Choice
from tobs_bloom_filter.record import PRINT
from tobs_bloom_filter.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


PLAIN, ON = "baseline", "baseline +bloom_filter bloom_filter.range=64"
TOGETHER = "default +bloom_filter bloom_filter.range=64"
AGAIN = Wish(rescan=True)
TABLES = ("messages", "edits", "media", "users", "chats", "spans", "files", "stale")


async def export(server: Path, folder: Path, chat: int, arm: str, **more: Any) -> run.Report:
    """One run of this arm that reads everything again."""
    asked = run.Request([str(chat)], folder / "archive", AGAIN, state=folder / "state")
    return await run.export(load(server), settings.of_arm(arm), asked, (), planned(arm), **more)


def rows(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that an archive holds, without the order in which it came."""
    found = {}
    with closing(sqlite3.connect(folder / "archive" / "tobs.sqlite")) as db:
        for table in TABLES:
            columns = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})") if name != "seq"]
            found[table] = sorted(db.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall(), key=repr)
    return found


def changes(seed: int) -> Callable[[list[Any]], list[Any]]:
    """Changes of a chat: edits, counts and reactions that leave no edit date, texts that vanish, messages that go."""
    draws = random.Random(seed)

    def change(messages: list[Any]) -> list[Any]:
        left = []
        for message in messages:
            kind = draws.choice(["edit", "views", "reaction", "emptied", "gone", *["same"] * 15])
            if isinstance(message, types.Message) and kind != "same":
                message = copy(message)  # noqa: PLW2901 - the changed one
                if kind == "edit":
                    message.message, message.entities = f"mended {draws.random()}", None
                    message.edit_date = (message.edit_date or message.date) + timedelta(days=draws.randint(1, 9))
                elif kind == "views":
                    message.views = (message.views or 0) + draws.randint(1, 9)
                    message.forwards = message.forwards or 1
                elif kind == "reaction":
                    counted = types.ReactionCount(types.ReactionEmoji("👍"), draws.randint(1, 9))
                    message.reactions = draws.choice([None, types.MessageReactions([counted])])
                elif kind == "emptied":
                    message.message, message.entities = "", None
                elif kind == "gone" and draws.random() < 0.2:
                    continue
            left.append(message)
        return left

    return change


async def test_what_is_unchanged_is_asked_for_and_nothing_of_it_is_written(tmp_path: Path) -> None:
    world = world_of("long")
    chat = main_chat(world)
    async with running(world, tmp_path / "lab") as (lab, server):
        first = await export(server, tmp_path, chat, ON)
        asked = requests(lab)
        before = rows(tmp_path)
        second = await export(server, tmp_path, chat, ON)
        again = requests(lab)
    assert second.digest == first.digest == truth(world, chat).digest
    assert again["messages.getHistory"] == asked["messages.getHistory"]
    assert rows(tmp_path) == before
    carriers = {message for _, message, *_ in before["media"]}
    assert second.tally.messages == len(carriers), "what carries a file is looked after"
    assert first.tally.messages > 10 * second.tally.messages
    assert (second.new, second.warnings) == (0, [])


@pytest.mark.parametrize("arm", [ON, f"{ON} bloom_filter.kind=bloom", f"{ON} bloom_filter.kind=set", TOGETHER])
async def test_edits_and_what_changes_without_an_edit_date_arrive(tmp_path: Path, arm: str) -> None:
    world = world_of("small")
    chat = main_chat(world)

    def views(messages: list[Any]) -> list[Any]:
        for message in messages:
            if isinstance(message, types.Message):
                message.views, message.forwards = (message.views or 0) + 1, message.forwards or 0
        return messages

    later = changed(world, chat, views)
    for each in (world, later, world, later):
        async with running(each, tmp_path / "lab") as (_, server):
            report = await export(server, tmp_path, chat, arm)
            assert report.digest == truth(each, chat).digest


@pytest.mark.parametrize("seed", range(4))
async def test_a_chat_that_changes_in_any_way_is_kept_as_without_the_plugin(tmp_path: Path, seed: int) -> None:
    """Worlds come and go and come back; the plugin is off in some of the runs."""
    draws = random.Random(seed)
    world = world_of("small")
    chat = main_chat(world)
    worlds = [world, *(changed(world, chat, changes(100 * seed + number)) for number in range(3))]
    on, off = tmp_path / "on", tmp_path / "off"
    known = Counter[str]()
    for turn in range(8):
        arm = draws.choice([ON, ON, ON, TOGETHER, PLAIN])
        async with running(draws.choice(worlds), tmp_path / "lab") as (_, server):
            with_it = await export(server, on, chat, arm)
            without = await export(server, off, chat, PLAIN)
        assert rows(on) == rows(off), f"turn {turn}"
        assert with_it.digest == without.digest
        known[arm] += without.tally.messages - with_it.tally.messages
    assert known[PLAIN] == 0
    assert known[ON] + known[TOGETHER] > 100, "it did something"


@pytest.mark.parametrize(("arm", "refuse"), [(ON, True), (ON, False), (TOGETHER, False)])
async def test_a_rescan_stopped_at_any_commit_goes_on_to_the_truth(tmp_path: Path, arm: str, refuse: bool) -> None:
    world = world_of("small")
    chat = main_chat(world)
    later = changed(world, chat, lambda messages: [_mended(m) if m.id % 3 == 0 else m for m in messages])
    before = tmp_path / "before"
    async with running(world, tmp_path / "lab") as (_, server):
        await export(server, before, chat, arm)
    async with running(later, tmp_path / "lab") as (_, server):
        for at in count(1):
            folder = tmp_path / f"stop-{at}"
            shutil.copytree(before, folder)
            task: asyncio.Task[run.Report]
            with _stopping(at, refuse=refuse) as stops:
                task = asyncio.create_task(export(server, folder, chat, arm))
                await asyncio.wait([task])
            if not any(stop.reached for stop in stops):
                break
            if refuse:
                assert isinstance(task.exception(), FullError)
            else:
                assert task.cancelled()
            _assert_only_what_was_committed_is_remembered(folder, before, chat, told=refuse)
            assert (await export(server, folder, chat, arm)).digest == truth(later, chat).digest
            _assert_only_what_was_committed_is_remembered(folder, before, chat, told=True)
    assert at > 3
    assert digest(before / "archive") == truth(world, chat).digest


async def test_a_file_that_was_lost_is_fetched_by_a_rescan(tmp_path: Path) -> None:
    world = world_of("small")
    chat = main_chat(world)
    async with running(world, tmp_path / "lab") as (_, server):
        first = await export(server, tmp_path, chat, ON)
        lost = next(path for path in sorted((tmp_path / "archive" / "media").rglob("*.jpg")))
        content = lost.read_bytes()
        lost.unlink()
        again = await export(server, tmp_path, chat, ON)
    assert again.digest == first.digest
    assert lost.read_bytes() == content


async def test_the_memory_that_it_takes_is_measured(tmp_path: Path) -> None:
    world = world_of("long")
    chat = main_chat(world)
    told = {}
    async with running(world, tmp_path / "lab") as (_, server):
        await export(server, tmp_path, chat, ON)
        for kind in ("auto", "set"):
            file = tmp_path / f"{kind}.jsonl"
            arm = f"{ON} bloom_filter.kind={kind}"
            await export(server, tmp_path, chat, arm, record=run.Record(file))
            told[kind] = read(file).total(names.SEEN_MEMORY, {names.STAGE: "bloom_filter"})
        await export(server, tmp_path, chat, PLAIN, record=run.Record(tmp_path / "plain.jsonl"))
        assert not read(tmp_path / "plain.jsonl").series(names.SEEN_MEMORY), "nobody keeps a record"
    assert 0 < told["auto"] < told["set"]


def _mended(message: Any) -> Any:
    if not isinstance(message, types.Message):
        return message
    message = copy(message)
    message.message, message.entities = f"mended {message.id}", None
    message.edit_date = (message.edit_date or message.date) + timedelta(days=2)
    return message


def _assert_only_what_was_committed_is_remembered(folder: Path, before: Path, chat: int, *, told: bool) -> None:
    """Every message is remembered with its row as the archive has it.

    Where the plugin was not `told` of the last commit, it may remember what that page's rows were before.
    """
    state = FolderState(folder / "archive" / IN_ARCHIVE / "bloom_filter")
    seed = state.get("seed")["seed"]
    kept, earlier = _raw(folder, chat), _raw(before, chat)
    remembered = Shelf(chat, state, Choice("auto", 0.01, 64, 3)).find(range(1, max(kept) + 1))
    assert remembered.keys() <= kept.keys()
    assert len(remembered) > len(kept) / 2
    checks = {number: mark[PRINT:] for number, mark in remembered.items()}
    others = [number for number, check in checks.items() if check != xxh3_64_digest(kept[number], seed)]
    assert len(others) <= (0 if told else PAGE)
    assert all(checks[number] == xxh3_64_digest(earlier[number], seed) for number in others)


def _raw(folder: Path, chat: int) -> dict[int, bytes]:
    with Archive.open(folder / "archive") as books:
        return books.raw(chat, Span(1, NEWEST))
