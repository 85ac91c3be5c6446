"""The baseline: a whole archive, and not one request more than it takes."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import pytest

from tests.export.checker import differences
from tests.export.labs import Served, export, side_chat, tobs, tobs_child

if TYPE_CHECKING:
    from pathlib import Path

PART = 512 * 1024
PAGE = 100


def pages(lab: Served, chat: int) -> int:
    """Requests that reading a history takes.

    A page that is not full, or that holds message 1, is known to be the last; behind a full one another page must
    be asked for.
    """
    history = lab.world.histories[chat]
    full = history.count % PAGE == 0 and history.ids[0] > 1
    return ceil(history.count / PAGE) + full


def parts(lab: Served, chat: int) -> int:
    """Requests that bring the files of a chat, each once."""
    return sum(ceil(spec.size / PART) for spec in map(lab.world.file, lab.world.histories[chat].file_ids) if spec)


def away(lab: Served, chat: int) -> int:
    """Files of a chat that do not lie at home."""
    home = lab.world.scenario.network.home
    return sum(spec.dc != home for spec in map(lab.world.file, lab.world.histories[chat].file_ids) if spec)


async def test_the_archive_equals_the_world_and_costs_what_it_must(small: Served, tmp_path: Path) -> None:
    report = await export(small.server, tmp_path / "archive", [small.chat])
    counted = small.child.counters()

    assert differences(tmp_path / "archive", small.world, [small.chat]) == []
    assert report.digest == small.child.truth(small.chat)["digest"]
    assert report.warnings == []

    assert parts(small, small.chat) > len(small.world.histories[small.chat].file_ids), "some files have several parts"
    assert away(small, small.chat) > 0
    assert counted["requests"] == {
        "help.getConfig": 1,
        "users.getUsers": 1,
        "messages.getDialogs": 1,
        "messages.getHistory": pages(small, small.chat),
        "upload.getFile": parts(small, small.chat) + away(small, small.chat),
        "auth.exportAuthorization": 1,
        "auth.importAuthorization": 1,
    }
    assert counted["file_parts"] == parts(small, small.chat)
    assert counted["history_pages"] == pages(small, small.chat)
    assert counted["migrations"] == away(small, small.chat)
    assert counted["connections_opened"] == 2, "one a data centre"
    assert counted["handshakes"] - counted["short_keys"] == 1, (
        "the key of home is stored, that of the other data centre is made once"
    )
    assert counted["duplicate_parts"] == 0
    assert counted["floods"] == counted["requests_during_flood"] == counted["bad_packets"] == 0

    assert report.tally.messages == small.world.histories[small.chat].count
    assert report.tally.files == len(small.world.histories[small.chat].file_ids)
    assert sum(report.tally.requests.values()) + 2 == sum(counted["requests"].values()), "two introduce a connection"


async def test_a_full_last_page_costs_another_request_only_where_it_must(long: Served, tmp_path: Path) -> None:
    await export(long.server, tmp_path / "archive", [long.chat])
    assert long.world.histories[long.chat].count % PAGE == 0
    assert long.child.counters()["requests"]["messages.getHistory"] == pages(long, long.chat)
    assert differences(tmp_path / "archive", long.world, [long.chat]) == []


@pytest.mark.parametrize("kind", ["user", "chat"])
async def test_a_chat_that_is_no_channel(small: Served, tmp_path: Path, kind: str) -> None:
    chat = side_chat(small.world, kind)
    report = await export(small.server, tmp_path / "archive", [chat])
    assert differences(tmp_path / "archive", small.world, [chat]) == []
    assert report.digest == small.child.truth(chat)["digest"]
    assert small.child.counters()["requests"]["messages.getHistory"] == pages(small, chat) == 1


async def test_several_chats_in_one_archive(small: Served, tmp_path: Path) -> None:
    chats = sorted(small.world.histories)
    report = await export(small.server, tmp_path / "archive", chats)
    counted = small.child.counters()
    assert differences(tmp_path / "archive", small.world, chats) == []
    assert report.digest == small.child.truth()["digest"]
    assert counted["requests"]["messages.getHistory"] == sum(pages(small, chat) for chat in chats)
    assert counted["duplicate_parts"] == 0, "a file that two chats carry is fetched once"


async def test_the_same_archive_in_another_order(small: Served, tmp_path: Path) -> None:
    first, *others = sorted(small.world.histories)
    for chat in others:
        await export(small.server, tmp_path / "archive", [chat], add=True)
    report = await export(small.server, tmp_path / "archive", [first], add=True)
    assert report.digest == small.child.truth()["digest"]
    assert differences(tmp_path / "archive", small.world, [first, *others]) == []


def test_the_command_line_does_the_same(small: Served, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    done = tobs_child("export", "@tobs_small", "-o", folder, "--server", small.server, "--json")
    assert done.code == 0, done.err
    assert done.err == ""
    truth = small.child.truth(small.chat)
    assert done.value["digest"] == truth["digest"]
    assert done.value["messages"] == truth["chats"][str(small.chat)]["messages"]
    assert done.value["files"] == truth["chats"][str(small.chat)]["distinct_files"]
    assert done.value["bytes"] == truth["chats"][str(small.chat)]["distinct_bytes"]
    assert done.value["warnings"] == []
    assert (folder / "result.json").is_file()
    assert tobs("digest", folder, "--json").value == {"digest": truth["digest"]}
    checked = tobs("verify", folder, "--json")
    assert checked.code == 0
    assert checked.value["ok"] is True
    assert checked.value["missing"] == checked.value["corrupt"] == checked.value["unverified"] == []


def test_verify_says_what_is_damaged(small: Served, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    assert tobs("export", "@tobs_small", "-o", folder, "--server", small.server).code == 0
    lost, spoiled = sorted((folder / "media" / "photos").iterdir())[:2]
    lost.unlink()
    spoiled.write_bytes(spoiled.read_bytes()[:-1] + b"!")
    done = tobs("verify", folder, "--json")
    assert done.code == 3
    assert done.value["ok"] is False
    assert [found["path"] for found in done.value["missing"]] == [lost.relative_to(folder).as_posix()]
    assert [found["path"] for found in done.value["corrupt"]] == [spoiled.relative_to(folder).as_posix()]
