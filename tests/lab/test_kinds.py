"""Every kind of message, action and chat is there, and what belongs together agrees."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from pyrogram.raw.core import TLObject as OtherObject
from telethon.extensions import BinaryReader
from telethon.tl import types
from telethon.tl.tlobject import TLObject

from tobs.errors import UsageError
from tobs.lab import marks
from tobs.lab.actions import ACTIONS
from tobs.lab.kinds import KINDS
from tobs.lab.moments import EVERYWHERE, cycle
from tobs.lab.scenario import load
from tobs.lab.truth import truth
from tobs.lab.world import World, build

CHANNEL = -(10**12)


@cache
def world() -> World:
    return build(load("everything"))


@cache
def messages(chat: int) -> list[Any]:
    """All messages of a chat, oldest first."""
    return [BinaryReader(data).tgread_object() for data in world().histories[chat].serialized()]


def chat_of(title: str, kind: str = "channel") -> int:
    found = [n for n, h in world().histories.items() if h.kind == kind and world().title(n).startswith(title)]
    return found[-1]


OLD, NEW, FORUM, COMMENTS = "Grown", "Grown", "Forum", "Everything 🧰 Chat"


def main_chat() -> int:
    return next(n for n in world().histories if n < CHANNEL and world().chats[-n + CHANNEL].broadcast)


def classes(things: list[Any]) -> Counter[str]:
    """How often each TL class occurs anywhere in some objects."""
    found: Counter[str] = Counter()
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, list | tuple):
            waiting += thing
        elif isinstance(thing, TLObject):
            found[type(thing).__name__] += 1
            waiting += thing.__dict__.values()
    return found


UNSEEN = {
    "MessageMediaEmpty",  # stands in no message: it has no media then
    "MessageActionEmpty",
    "ReactionEmpty",  # what a client sends to take its reaction back
    "ReactionNotificationsFromAll",
    "ReactionNotificationsFromContacts",
    "ReactionsNotifySettings",
}
FAMILIES = (
    "MessageMedia", "MessageAction", "MessageEntity", "InlineButtonType", "ButtonType", "Reaction", "ReplyKeyboard",
    "ReplyInlineMarkup", "MessageReply", "MessageExtendedMedia", "MessageFwdHeader", "PhoneCallDiscardReason",
)  # fmt: skip


def test_the_layer_has_no_medium_action_entity_button_or_reaction_that_is_missing() -> None:
    found = classes([messages(chat) for chat in world().histories])
    due = {name for name in dir(types) if name.startswith(FAMILIES)} - UNSEEN
    assert due - set(found) == set()


def test_every_chat_goes_through_all_its_kinds_and_actions() -> None:
    assert {scene for kind in (*KINDS, *ACTIONS) for scene in kind.scenes} == EVERYWHERE
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert len({kind.name for kind in ACTIONS}) == len(ACTIONS)
    for scene in EVERYWHERE:
        assert len(cycle(KINDS, scene)) > 50
    found = classes(messages(chat_of("Ada", "user")))
    assert {"MessageActionPhoneCall", "MessageActionStarGiftUnique", "MessageMediaPoll"} <= set(found)
    assert not {"MessageActionChatAddUser", "MessageActionGroupCall", "MessageMediaGiveaway"} & set(found)


def test_without_the_new_keys_nothing_of_it_is_there() -> None:
    plain = build(load("demo", scale=0.05))
    found = classes([BinaryReader(data).tgread_object() for h in plain.histories.values() for data in h.serialized()])
    assert not {"MessageMediaPoll", "MessageActionPhoneCall", "ReplyInlineMarkup"} & set(found)
    assert len(plain.histories) == 3


def test_the_truth_does_not_change_from_one_build_to_the_next() -> None:
    assert truth(world()).digest == truth(build(load("everything"))).digest


def test_ids_and_dates_rise_in_every_chat() -> None:
    for chat, history in world().histories.items():
        assert history.ids == sorted(set(history.ids))
        dates = [message.date for message in messages(chat)]
        assert dates == sorted(dates), world().title(chat)


def test_private_chats_and_groups_share_one_row_of_ids() -> None:
    ids = [number for history in world().histories.values() if history.kind != "channel" for number in history.ids]
    assert len(ids) == len(set(ids))


def test_a_group_ends_where_its_supergroup_begins() -> None:
    old, new = chat_of(OLD, "chat"), chat_of(NEW)
    group, supergroup = world().chats[-old], world().chats[-new + CHANNEL]
    last, first = messages(old)[-1], messages(new)[0]
    assert group.deactivated
    assert group.migrated_to.channel_id == supergroup.id == last.action.channel_id
    assert group.migrated_to.access_hash == supergroup.access_hash
    assert first.action.chat_id == group.id
    assert first.date >= last.date
    assert world().ties.grown == {supergroup.id: (group.id, last.id)}


def test_saved_messages_are_ones_own_and_say_where_they_come_from() -> None:
    me = world().me.id
    assert all(message.from_id == types.PeerUser(me) and message.out for message in messages(me))
    origins = {message.saved_peer_id.to_json() for message in messages(me)}
    assert len(origins) > 2


def test_a_message_of_a_forum_says_in_which_topic_it_stands() -> None:
    chat = chat_of(FORUM)
    topics = {topic.id: topic for topic in world().ties.topics[chat]}
    assert len(topics) == 1 + 6
    history = world().histories[chat]
    opened: dict[int, str] = {}
    for message, thread in zip(messages(chat), list(history.threads)[::-1], strict=True):
        action = getattr(message, "action", None)
        if isinstance(action, types.MessageActionTopicCreate):
            opened[message.id] = action.title
            continue
        header = message.reply_to
        if thread > 1:
            assert header.forum_topic
            assert (header.reply_to_top_id or header.reply_to_msg_id) == thread
            assert thread in opened
        elif header is not None:
            assert thread == 1
            assert not header.forum_topic
        if isinstance(action, types.MessageActionTopicEdit):
            opened[thread] = action.title
    assert opened == {number: topic.title for number, topic in topics.items() if number != 1}
    assert set(history.threads) == {0, *topics}


def test_each_post_has_a_copy_whose_replies_are_its_comments() -> None:
    main, group = main_chat(), chat_of(COMMENTS)
    ties = world().ties
    assert ties.linked[-main + CHANNEL] == -group + CHANNEL
    threads = Counter(world().histories[group].threads)
    copies = {message.id: message for message in messages(group)}
    commented = 0
    for post in messages(main):
        if isinstance(post, types.MessageService):
            assert post.id not in ties.roots
            continue
        copy = copies[ties.roots[post.id]]
        assert (copy.message, copy.fwd_from.channel_post, copy.fwd_from.saved_from_msg_id) == (
            post.message,
            post.id,
            post.id,
        )
        assert bytes(copy.media or b"") == bytes(post.media or b"")
        count = threads[copy.id]
        commented += count
        if post.replies is None:  # an album's others
            assert count == 0
            continue
        assert post.replies.comments
        assert post.replies.channel_id == -group + CHANNEL
        assert post.replies.replies == copy.replies.replies == count
    assert commented == 160
    for message, thread in zip(messages(group), list(world().histories[group].threads)[::-1], strict=True):
        if thread:
            assert (message.reply_to.reply_to_top_id or message.reply_to.reply_to_msg_id) == thread
            assert message.id > thread


def test_marks_say_what_telegram_filters_by() -> None:
    found: Counter[int] = Counter()
    for chat, history in world().histories.items():
        for message, mark in zip(messages(chat), list(history.marks)[::-1], strict=True):
            service = isinstance(message, types.MessageService)
            assert bool(mark & marks.SERVICE) == service
            media = type(getattr(message, "media", None)).__name__
            assert bool(mark & marks.POLL) == (media == "MessageMediaPoll")
            assert bool(mark & marks.CONTACT) == (media == "MessageMediaContact")
            assert bool(mark & marks.GEO) == (media in {"MessageMediaGeo", "MessageMediaGeoLive", "MessageMediaVenue"})
            assert bool(mark & marks.PINNED) == bool(not service and message.pinned)
            assert not (mark & marks.PHOTO and media != "MessageMediaPhoto")
            found.update(
                bit for bit in (marks.PHOTO, marks.VIDEO, marks.VOICE, marks.URL, marks.CHAT_PHOTO) if mark & bit
            )
            found.update(bit for bit in (marks.MENTION, marks.DOCUMENT, marks.PINNED) if mark & bit)
    assert len(found) == 8


def test_what_is_not_a_message_s_own_file_is_not_counted() -> None:
    chat = main_chat()
    due = 0
    for message in messages(chat):
        if isinstance(message, types.MessageService):
            due += isinstance(getattr(message.action, "photo", None), types.Photo)
        elif isinstance(message.media, types.MessageMediaPhoto):
            due += isinstance(message.media.photo, types.Photo)
        elif isinstance(message.media, types.MessageMediaDocument):
            due += isinstance(message.media.document, types.Document)
    assert truth(world(), chat).chats[chat]["files"] == due
    previews = [m for m in messages(chat) if isinstance(m.media, types.MessageMediaWebPage)]
    assert any(isinstance(getattr(m.media.webpage, "photo", None), types.Photo) for m in previews)


def test_users_and_chats_that_a_message_names_come_with_it() -> None:
    w = world()
    for chat, history in w.histories.items():
        part = history.slice(limit=100)
        for data in part.messages:
            message = BinaryReader(data).tgread_object()
            peers = [message.from_id, getattr(message.fwd_from, "from_id", None)]
            for peer in peers:
                if isinstance(peer, types.PeerUser):
                    assert peer.user_id in part.user_ids, chat
                elif isinstance(peer, types.PeerChannel):
                    assert peer.channel_id in part.chat_ids, chat


UNEVEN = ("MessageMediaPoll", "MessageActionSecureValuesSent")
"""What kurigram reads and does not write alike: vectors that are empty or hold objects without fields."""


def test_the_codec_of_another_client_reads_every_message_to_its_end_and_writes_it_alike() -> None:
    compared = 0
    for chat, history in world().histories.items():
        for data, message in zip(history.serialized(), messages(chat), strict=True):
            stream = BytesIO(data)
            read = OtherObject.read(stream)
            assert stream.read() == b""
            if not {type(getattr(message, name, None)).__name__ for name in ("media", "action")} & {*UNEVEN}:
                assert read.write() == data
                compared += 1
    assert compared > 2_000


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("kinds = 1.5", "kinds"),
        ("actions = -1", "actions"),
        ("migrated = 1", "migrated"),
        ("comments = 3", "comments"),
        ("topics = 3\ntopic_messages = 8", "topic_messages"),
        ("saved_messages = true", "saved_messages"),
    ],
)
def test_keys_of_chats_are_strict(tmp_path: Any, given: str, named: str) -> None:
    file = tmp_path / "s.toml"
    file.write_text(f"[dataset]\nmessages = 5\n{given}\n[network]\ndc = [{{ id = 2 }}]\n")
    with pytest.raises(UsageError, match=rf"dataset\.{named}"):
        load(file)


def test_the_smallest_chats_can_be_built_and_grow_with_the_scale() -> None:
    scenario = load("everything")
    tiny = replace(
        scenario.dataset,
        migrated=2,
        saved_messages=1,
        topics=2,
        topic_messages=6,
        comments=1,
        side_messages=1,
        gaps=0.9,
    )
    counts = sorted(h.count for h in build(replace(scenario, dataset=tiny)).histories.values())
    assert counts[:6] == [1, 1, 1, 2, 2, 6]
    larger = scenario.dataset.scaled(2)
    assert (larger.migrated, larger.topics, larger.topic_messages, larger.comments) == (480, 6, 480, 320)
