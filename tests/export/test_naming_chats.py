"""Every way to name a chat, and what is said where a name is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.export.labs import Served, export, side_chat, tobs
from tobs.errors import UsageError
from tobs.host import run, settings
from tobs.telegram.account import load
from tobs.telegram.chats import resolve
from tobs.telegram.service import TelegramService

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "named",
    [
        "@tobs_small",
        "@TOBS_Small",
        "tobs_small",
        "https://t.me/tobs_small",
        "t.me/tobs_small/17",
        "http://telegram.me/tobs_small/",
        "{chat}",
        "https://t.me/c/{bare}",
        "https://t.me/c/{bare}/17",
        "Small",
        " Small ",
    ],
)
async def test_a_channel_by_any_name(small: Served, named: str) -> None:
    text = named.format(chat=small.chat, bare=-small.chat - 10**12)
    found = await _resolved(small, text)
    assert found == small.chat


async def test_a_private_chat_and_a_group(small: Served) -> None:
    friend, group = side_chat(small.world, "user"), side_chat(small.world, "chat")
    assert await _resolved(small, str(friend)) == friend
    assert await _resolved(small, str(group)) == group
    assert await _resolved(small, small.world.title(friend)) == friend
    assert await _resolved(small, small.world.title(group)) == group
    assert await _resolved(small, f"@{small.world.users[friend].username}") == friend


async def _resolved(lab: Served, text: str) -> int:
    async with run.open_line(TelegramService(load(lab.server)), settings.load()) as line:
        return (await resolve(line.invoke, text)).id


@pytest.mark.parametrize(
    "named",
    ["@nobody_has_this", "https://t.me/nobody_has_this", "No such title", "-1009999999999", "12345", "t.me/+AbCdEf123"],
)
async def test_an_unknown_chat(small: Served, tmp_path: Path, named: str) -> None:
    with pytest.raises(UsageError) as told:
        await export(small.server, tmp_path / "archive", [named])
    assert named.strip() in str(told.value)
    assert "`tobs chats`" in told.value.hint
    assert not (tmp_path / "archive").exists(), "nothing is made for a chat that is not there"


async def test_a_title_that_two_chats_have(long: Served, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        await export(long.server, tmp_path / "archive", ["Kitchen table"])
    assert str(told.value) == "2 chats are called 'Kitchen table'"
    for chat in (long.chat, side_chat(long.world, "chat")):
        assert str(chat) in told.value.hint


def test_ids_are_words_and_mistakes_are_not(small: Served, tmp_path: Path) -> None:
    group = side_chat(small.world, "chat")
    done = tobs("export", group, "-o", tmp_path / "archive", "--server", small.server, "--json")
    assert done.code == 0, done
    assert done.value["digest"] == small.child.truth(group)["digest"]

    done = tobs("export", "-1009999999999", "-o", tmp_path / "other", "--server", small.server)
    assert done.code == 2
    assert "-1009999999999" in done.err.splitlines()[0]
    assert "`tobs chats`" in done.err.splitlines()[1]

    done = tobs("export", "@tobs_small", "--medai", "-o", tmp_path / "other", "--server", small.server)
    assert done.code == 2
    assert "No such option: --medai" in done.err

    done = tobs("export", "--json")
    assert (done.code, done.value["ok"]) == (2, False)


def test_chats_lists_what_can_be_exported(small: Served) -> None:
    done = tobs("chats", "--server", small.server, "--json")
    assert done.code == 0, done
    assert [row["id"] for row in done.value] == small.world.dialogs()
    assert {row["id"]: row["title"] for row in done.value} == {
        number: small.world.title(number) for number in small.world.histories
    }
    people = tobs("chats", "--server", small.server).out.splitlines()
    assert [int(line.split()[0]) for line in people] == small.world.dialogs()
