"""A folder is judged by what its files hold."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.export.labs import SCENARIOS
from tobs.errors import UsageError
from tobs.lab.changes import Live
from tobs.lab.judge import Expected, expected, judge
from tobs.lab.scenario import load
from tobs.lab.server_file import main_chat
from tobs.lab.truth import truth
from tobs.lab.world import World, build

if TYPE_CHECKING:
    from pathlib import Path


@cache
def world() -> World:
    return build(load(SCENARIOS / "small.toml"))


@cache
def files() -> tuple[Expected, ...]:
    return tuple(expected(world(), main_chat(world())))


def content(file: Expected) -> bytes:
    return world().shelf.specs[file.id].read(0, file.size)


def test_the_files_of_a_chat_are_those_of_its_truth() -> None:
    chat = main_chat(world())
    told = truth(world(), chat).chats[chat]
    assert (len(files()), sum(file.size for file in files())) == (told["distinct_files"], told["distinct_bytes"])
    with pytest.raises(UsageError, match="no chat 5"):
        expected(world(), 5)


def test_of_a_chat_that_changes_it_is_what_it_holds_at_last() -> None:
    scenario = load(SCENARIOS / "small.toml")
    live = Live(new=20, edited=10, deleted=150)
    changing = build(replace(scenario, dataset=replace(scenario.dataset, live=live)))
    chat = main_chat(changing)
    told = truth(changing, chat).chats[chat]
    found = expected(changing, chat)
    assert (len(found), sum(file.size for file in found)) == (told["distinct_files"], told["distinct_bytes"])
    assert {file.sha256 for file in found} < {file.sha256 for file in files()}, "some were deleted"


def test_files_are_known_whatever_they_are_called(tmp_path: Path) -> None:
    for number, file in enumerate(files()):
        place = tmp_path / "any" / str(number % 3)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.x").write_bytes(content(file))
        if number == 0:
            (place / "again").write_bytes(content(file))
    (tmp_path / "notes.txt").write_text("one more")
    judgement = judge(tmp_path, files())
    assert judgement.found == list(files())
    assert (judgement.missing, judgement.corrupt, judgement.extra) == ([], [], 1)
    assert judgement.complete


def test_what_is_missing_cut_off_or_changed_is_told_apart(tmp_path: Path) -> None:
    by_size = sorted(files(), key=lambda file: file.size)
    gone, cut, changed, *whole = by_size[::-1]
    (tmp_path / "cut.part").write_bytes(content(cut)[:-1000])
    damaged = bytearray(content(changed))
    damaged[100] ^= 1
    (tmp_path / "changed").write_bytes(damaged)
    for file in whole:
        (tmp_path / str(file.id)).write_bytes(content(file))
    judgement = judge(tmp_path, files())
    assert judgement.missing == [gone]
    assert sorted(judgement.corrupt, key=lambda pair: pair[1]) == [(changed, "changed"), (cut, "cut.part")]
    assert len(judgement.found) == len(whole)
    assert not judgement.complete


def test_a_part_beside_the_whole_file_is_no_damage(tmp_path: Path) -> None:
    for file in files():
        (tmp_path / str(file.id)).write_bytes(content(file))
    (tmp_path / "left.part").write_bytes(content(files()[0])[:8192])
    judgement = judge(tmp_path, files())
    assert judgement.complete
    assert judgement.extra == 1


def test_nothing_stands_for_a_file_but_its_content(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(content(files()[0]))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / str(files()[1].id)).write_bytes(b"")
    judgement = judge(folder, files())
    assert (judgement.found, judgement.corrupt, judgement.extra) == ([], [], 1)
    assert judgement.missing == list(files())
