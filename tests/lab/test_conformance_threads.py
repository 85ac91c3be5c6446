"""Topics, comments, searches and members: two independent clients find what the world holds.

And every kind of message and action there is means the same to both clients' codecs.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.clients import Client, kurigram, plain, telethon
from tests.lab.fakes import parse, running
from tobs.lab.scenario import load
from tobs.lab.world import World, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    Connect = Callable[..., AbstractAsyncContextManager[Client]]

SCENARIO = Path(__file__).parent / "scenarios" / "conformance_threads.toml"


@pytest.fixture(params=[telethon, kurigram], ids=lambda client: client.__name__)
def connect(request: pytest.FixtureRequest) -> Connect:
    found: Connect = request.param
    return found


@cache
def world() -> World:
    return build(load(SCENARIO))


@cache
def everything() -> World:
    return build(load("everything"))


@cache
def messages(chat: int) -> tuple[dict[str, Any], ...]:
    """A chat's messages as plain values, newest first."""
    return tuple([plain(parse(data).to_dict()) for data in world().histories[chat].serialized()][::-1])


def titled(title: str) -> int:
    return next(mark for mark in world().histories if mark < 0 and title in world().title(mark))


def stands_in(message: dict[str, Any], root: int) -> bool:
    reply = message.get("reply_to", {})
    return root in (reply.get("reply_to_top_id"), reply.get("reply_to_msg_id")) and message["id"] != root


async def test_a_forums_topics_and_what_stands_in_them(connect: Connect) -> None:
    forum = titled("Forum")
    titles: dict[int, str] = {}
    for message in reversed(messages(forum)):
        action = message.get("action", {})
        if action.get("_") == "MessageActionTopicCreate":
            titles[message["id"]] = action["title"]
        elif action.get("_") == "MessageActionTopicEdit" and "title" in action:
            titles[message["reply_to"]["reply_to_msg_id"]] = action["title"]
    assert titles
    async with running(world()) as lab, connect(lab) as client:
        await client.dialogs()
        told = dict(await client.topics(forum))
        assert {number: told[number] for number in titles} == titles
        for topic in titles:
            held = [
                m["id"] for m in messages(forum) if m.get("reply_to", {}).get("forum_topic") and stands_in(m, topic)
            ]
            assert held
            assert await client.thread(forum, topic) == held


async def test_the_comments_on_a_channels_posts(connect: Connect) -> None:
    channel = next(
        mark
        for mark, chat in ((-(10**12) - n, c) for n, c in world().chats.items())
        if getattr(chat, "broadcast", False) and mark in world().histories
    )
    group = titled("Threads Chat")
    copies = {
        m["fwd_from"]["channel_post"]: m["id"] for m in messages(group) if m.get("fwd_from", {}).get("saved_from_peer")
    }
    commented = {m["id"]: m["replies"]["replies"] for m in messages(channel) if m.get("replies", {}).get("replies")}
    assert commented
    async with running(world()) as lab, connect(lab) as client:
        await client.dialogs()
        for post, count in list(commented.items())[:3]:
            held = [m["id"] for m in messages(group) if stands_in(m, copies[post])]
            assert len(held) == count
            assert await client.thread(channel, post) == held


async def test_words_and_pins_are_searched(connect: Connect) -> None:
    forum = titled("Forum")
    async with running(world()) as lab, connect(lab) as client:
        await client.dialogs()
        held = [m["id"] for m in messages(forum) if "server" in m.get("message", "").casefold().split()]
        assert held
        assert await client.search(forum, "server") == held
        assert await client.pinned(forum) == [m["id"] for m in messages(forum) if m.get("pinned")]


async def test_members_are_listed(connect: Connect) -> None:
    group = titled("Threads Chat")
    async with running(world()) as lab, connect(lab) as client:
        await client.dialogs()
        found = await client.members(group)
        assert len(found) == world().chats[-group - 10**12].participants_count
        assert found <= world().users.keys()


async def test_profile_photos_are_listed(connect: Connect) -> None:
    held = everything().ties.photos
    async with running(everything()) as lab, connect(lab) as client:
        await client.dialogs()
        known = (
            everything().me.id,
            next(mark for mark in everything().histories if mark > 0 and mark != everything().me.id),
        )
        assert any(held[user] for user in known)
        assert [await client.photos(user) for user in known] == [len(held[user]) for user in known]


async def test_every_kind_of_message_means_the_same_to_a_clients_own_codec(connect: Connect) -> None:
    async with running(everything()) as lab, connect(lab) as client:
        await client.dialogs()
        for mark, history in everything().histories.items():
            read: list[dict[str, Any]] = []
            while page := await client.page(mark, read[-1]["id"] if read else 0):
                read += page
            assert read == [plain(parse(data).to_dict()) for data in history.serialized()][::-1]
