"""An unmodified client searches, follows threads, lists members and voters, and finds what the world holds."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from telethon import errors, functions, types

from tests.lab.fakes import HOME, connected, parse, running
from tobs.lab import marks
from tobs.lab.changes import Live
from tobs.lab.live import LiveHistory, at_first
from tobs.lab.rpc import answer
from tobs.lab.scenario import load
from tobs.lab.selection import Selections, Wish
from tobs.lab.world import World, build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CHANNEL = -(10**12)


@cache
def world() -> World:
    return build(load("everything"))


@cache
def messages(chat: int) -> list[Any]:
    """All messages of a chat, newest first."""
    return [parse(data) for data in list(world().histories[chat].serialized())[::-1]]


def chat_where(fits: Callable[[Any], bool]) -> int:
    """The marked id of the one channel or supergroup that fits."""
    [found] = [n for n in world().histories if n < CHANNEL and fits(world().chats[CHANNEL - n])]
    return found


def main() -> int:
    return chat_where(lambda chat: chat.broadcast)


def forum() -> int:
    return chat_where(lambda chat: chat.forum)


def discussion() -> int:
    return CHANNEL - world().ties.linked[CHANNEL - main()]


def grown() -> int:
    return CHANNEL - next(iter(world().ties.grown))


def friend() -> int:
    return next(n for n, h in world().histories.items() if h.kind == "user" and n != world().me.id)


def peer(chat: int) -> Any:
    """The input peer of a chat."""
    if chat > 0:
        return types.InputPeerUser(chat, world().users[chat].access_hash)
    if chat > CHANNEL:
        return types.InputPeerChat(-chat)
    return types.InputPeerChannel(CHANNEL - chat, world().chats[CHANNEL - chat].access_hash)


@asynccontextmanager
async def client() -> AsyncIterator[Any]:
    async with running(world()) as lab, connected(lab) as connection:
        yield connection


def search(chat: int, **changes: Any) -> Any:
    """A search that finds everything, but for `changes`."""
    given: dict[str, Any] = {
        "q": "", "filter": types.InputMessagesFilterEmpty(), "min_date": None, "max_date": None, "offset_id": 0,
        "add_offset": 0, "limit": 100, "max_id": 0, "min_id": 0, "hash": 0,
    }  # fmt: skip
    return functions.messages.SearchRequest(peer(chat), **(given | changes))


# Search


FILTERS = {
    types.InputMessagesFilterPhotos: marks.PHOTO,
    types.InputMessagesFilterVideo: marks.VIDEO,
    types.InputMessagesFilterPhotoVideo: marks.PHOTO | marks.VIDEO,
    types.InputMessagesFilterDocument: marks.DOCUMENT,
    types.InputMessagesFilterUrl: marks.URL,
    types.InputMessagesFilterVoice: marks.VOICE,
    types.InputMessagesFilterGif: marks.GIF,
    types.InputMessagesFilterMusic: marks.MUSIC,
    types.InputMessagesFilterRoundVideo: marks.ROUND,
    types.InputMessagesFilterChatPhotos: marks.CHAT_PHOTO,
    types.InputMessagesFilterPhoneCalls: marks.PHONE_CALL,
    types.InputMessagesFilterRoundVoice: marks.ROUND | marks.VOICE,
    types.InputMessagesFilterMyMentions: marks.MENTION,
    types.InputMessagesFilterGeo: marks.GEO,
    types.InputMessagesFilterContacts: marks.CONTACT,
    types.InputMessagesFilterPinned: marks.PINNED,
    types.InputMessagesFilterPoll: marks.POLL,
}


async def test_every_filter_finds_all_that_it_is_for_and_nothing_else() -> None:
    found: dict[type, int] = {}
    async with client() as telegram:
        for chat in (main(), friend(), grown()):
            history = world().histories[chat]
            for kind, mark in FILTERS.items():
                ids = [message.id async for message in telegram.iter_messages(peer(chat), filter=kind, wait_time=0)]
                due = [m.id for m, bits in zip(messages(chat), history.marks, strict=True) if bits & mark]
                assert ids == due, kind
                found[kind] = found.get(kind, 0) + len(ids)
    assert all(found.values())


async def test_counters_agree_with_the_filters() -> None:
    kinds = [kind() for kind in FILTERS]
    async with client() as telegram:
        counted = await telegram(functions.messages.GetSearchCountersRequest(peer(grown()), kinds))
    history = world().histories[grown()]
    assert [type(counter.filter) for counter in counted] == list(FILTERS)
    assert [counter.count for counter in counted] == [
        sum(1 for bits in history.marks if bits & mark) for mark in FILTERS.values()
    ]


@pytest.mark.parametrize("query", ["export", "ПРИВЕТ", "STRASSE", "🎉", "no such words anywhere"])
async def test_a_text_is_found_whatever_its_case(query: str) -> None:
    due = [m.id for m in messages(grown()) if query.casefold() in (m.message or "").casefold()]
    async with client() as telegram:
        assert [m.id async for m in telegram.iter_messages(peer(grown()), search=query, wait_time=0)] == due
    assert bool(due) == (not query.startswith("no such"))


async def test_a_search_by_writer_date_and_id_keeps_to_all_three() -> None:
    chat = grown()
    every = messages(chat)
    writer = next(m.from_id for m in every if isinstance(m.from_id, types.PeerUser))
    middle = every[len(every) // 2]
    async with client() as telegram:
        theirs = await telegram(search(chat, from_id=peer(writer.user_id)))
        assert [m.id for m in theirs.messages] == [m.id for m in every if m.from_id == writer]
        later = await telegram(search(chat, min_date=middle.date))
        earlier = await telegram(search(chat, max_date=middle.date))
        between = await telegram(search(chat, max_id=middle.id, min_id=middle.id - 30))
    assert later.count == sum(m.date > middle.date for m in every)
    assert earlier.count == sum(m.date < middle.date for m in every)
    assert earlier.messages[0].id == next(m.id for m in every if m.date < middle.date)
    assert all(middle.id - 30 < m.id < middle.id for m in between.messages)


async def test_in_a_private_chat_the_writer_is_told_by_the_direction() -> None:
    chat = friend()
    async with client() as telegram:
        mine = await telegram(search(chat, from_id=types.InputPeerSelf()))
        theirs = await telegram(search(chat, from_id=peer(chat)))
    assert mine.count == sum(bool(m.out) for m in messages(chat))
    assert mine.count + theirs.count == len(messages(chat))
    assert all(m.out for m in mine.messages)


@pytest.mark.parametrize(("limit", "add_offset"), [(7, 0), (100, 0), (5, -5)])
async def test_pages_of_a_search_fit_together(limit: int, add_offset: int) -> None:
    history = world().histories[main()]
    due = [m.id for m, bits in zip(messages(main()), history.marks, strict=True) if bits & marks.URL]
    seen: list[int] = []
    offset = due[-1] if add_offset else 0
    async with client() as telegram:
        while True:
            page = await telegram(
                search(
                    main(),
                    filter=types.InputMessagesFilterUrl(),
                    limit=limit,
                    offset_id=offset,
                    add_offset=add_offset,
                    min_id=offset if add_offset else 0,
                )
            )
            assert page.count == len(due)
            if not page.messages:
                break
            ids = [m.id for m in page.messages]
            assert (page.offset_id_offset or 0) == due.index(ids[0])
            seen = ids + seen if add_offset else seen + ids
            offset = ids[0] if add_offset else ids[-1]
    assert seen == (due[:-1] if add_offset else due)


async def test_saved_messages_are_found_by_their_origin() -> None:
    me = world().me.id
    origin = next(m.saved_peer_id for m in messages(me) if isinstance(m.saved_peer_id, types.PeerChannel))
    there = types.InputPeerChannel(origin.channel_id, world().chats[origin.channel_id].access_hash)
    async with client() as telegram:
        found = await telegram(search(me, saved_peer_id=there))
    assert [m.id for m in found.messages] == [m.id for m in messages(me) if m.saved_peer_id == origin]


async def test_saved_messages_are_listed_and_read_by_their_origins() -> None:
    me = world().me.id
    newest: dict[int, int] = {}
    for message in messages(me):
        newest.setdefault(_marked(message.saved_peer_id), message.id)
    rows: list[Any] = []
    async with client() as telegram:
        offset: Any = types.InputPeerEmpty()
        while True:
            page = await telegram(functions.messages.GetSavedDialogsRequest(None, 0, offset, 3, 0))
            assert page.count == len(newest) > 3
            if not page.dialogs:
                break
            assert [m.id for m in page.messages] == [row.top_message for row in page.dialogs]
            rows += page.dialogs
            offset = peer(_marked(rows[-1].peer))
        assert [(_marked(row.peer), row.top_message) for row in rows] == list(newest.items())
        read = 0
        for origin in newest:
            history = await telegram(functions.messages.GetSavedHistoryRequest(peer(origin), 0, None, 0, 100, 0, 0, 0))
            assert {_marked(m.saved_peer_id) for m in history.messages} == {origin}
            read += getattr(history, "count", len(history.messages))
        some = [peer(origin) for origin in list(newest)[:2]]
        named = await telegram(functions.messages.GetSavedDialogsByIDRequest([*some, peer(main())]))
        assert [row.top_message for row in named.dialogs] == list(newest.values())[:2]
    assert read == world().histories[me].count


async def test_a_global_search_goes_through_all_chats_by_date() -> None:
    due = sorted(
        (
            (-m.date.timestamp(), chat, -m.id)
            for chat, history in world().histories.items()
            for m, bits in zip(messages(chat), history.marks, strict=True)
            if bits & marks.POLL
        )
    )
    seen: list[tuple[float, int, int]] = []
    rate, offset_peer, offset_id = 0, types.InputPeerEmpty(), 0
    async with client() as telegram:
        while True:
            request = functions.messages.SearchGlobalRequest(
                "", types.InputMessagesFilterPoll(), None, None, rate, offset_peer, offset_id, 30
            )
            page = await telegram(request)
            assert page.count == len(due)
            seen += [(-m.date.timestamp(), _marked(m.peer_id), -m.id) for m in page.messages]
            if page.next_rate is None:
                break
            rate, offset_id = page.next_rate, page.messages[-1].id
            offset_peer = peer(_marked(page.messages[-1].peer_id))
        with pytest.raises(errors.SearchQueryEmptyError):
            await telegram(
                functions.messages.SearchGlobalRequest(
                    "", types.InputMessagesFilterEmpty(), None, None, 0, types.InputPeerEmpty(), 0, 30
                )
            )
    assert seen == due


def _marked(given: Any) -> int:
    if isinstance(given, types.PeerUser):
        return int(given.user_id)
    return int(-given.chat_id if isinstance(given, types.PeerChat) else CHANNEL - given.channel_id)


# Threads


async def test_the_comments_of_a_post_are_read_like_a_chat() -> None:
    post = max((m for m in messages(main()) if getattr(m, "replies", None)), key=lambda m: m.replies.replies)
    root = world().ties.roots[post.id]
    history = world().histories[discussion()]
    due = [m.id for m, thread in zip(messages(discussion()), history.threads, strict=True) if thread == root]
    assert len(due) > 2
    async with client() as telegram:
        by_post = [m.id async for m in telegram.iter_messages(peer(main()), reply_to=post.id, wait_time=0)]
        by_copy = [m.id async for m in telegram.iter_messages(peer(discussion()), reply_to=root, wait_time=0)]
        found = await telegram(functions.messages.GetDiscussionMessageRequest(peer(main()), post.id))
        service = next(m for m in messages(main()) if isinstance(m, types.MessageService))
        for wrong in (service.id, 2**31 - 1):
            with pytest.raises(errors.MsgIdInvalidError):
                await telegram(functions.messages.GetDiscussionMessageRequest(peer(main()), wrong))
    assert by_post == by_copy == due
    assert found.messages[-1].id == root or root in [m.id for m in found.messages]
    assert found.max_id == due[0]
    assert post.replies.max_id == due[0]


async def test_the_discussion_of_an_album_is_that_of_all_its_parts() -> None:
    groups: dict[int, list[int]] = {}
    for message in messages(main()):
        if getattr(message, "grouped_id", None):
            groups.setdefault(message.grouped_id, []).append(message.id)
    album = next(ids for ids in groups.values() if len(ids) > 1)
    async with client() as telegram:
        found = await telegram(functions.messages.GetDiscussionMessageRequest(peer(main()), min(album)))
    assert [m.id for m in found.messages] == [world().ties.roots[number] for number in album]


async def test_topics_are_listed_pinned_first_and_then_by_their_newest_message() -> None:
    chat = forum()
    history = world().histories[chat]
    newest: dict[int, int] = {}
    for message, thread in zip(messages(chat), history.threads, strict=True):
        newest.setdefault(thread, message.id)
    due = sorted(world().ties.topics[chat], key=lambda topic: (not topic.pinned, -newest[topic.id]))
    seen = []
    async with client() as telegram:
        offset = {"offset_date": None, "offset_id": 0, "offset_topic": 0}
        while True:
            page = await telegram(functions.messages.GetForumTopicsRequest(peer(chat), limit=3, **offset))
            assert page.count == len(due)
            if not page.topics:
                break
            assert [m.id for m in page.messages] == [topic.top_message for topic in page.topics]
            seen += page.topics
            last = page.topics[-1]
            offset = {"offset_date": page.messages[-1].date, "offset_id": last.top_message, "offset_topic": last.id}
        by_id = await telegram(functions.messages.GetForumTopicsByIDRequest(peer(chat), [due[1].id, 999_999]))
        named = await telegram(
            functions.messages.GetForumTopicsRequest(peer(chat), None, 0, 0, 100, q=due[0].title[2:])
        )
        with pytest.raises(errors.ChannelForumMissingError):
            await telegram(functions.messages.GetForumTopicsRequest(peer(grown()), None, 0, 0, 100))
    assert [(t.id, t.title, t.top_message, bool(t.closed)) for t in seen] == [
        (t.id, t.title, newest[t.id], t.closed) for t in due
    ]
    assert by_id.topics[0].to_dict() == seen[1].to_dict()
    assert isinstance(by_id.topics[1], types.ForumTopicDeleted)
    assert [topic.id for topic in named.topics] == [due[0].id]


async def test_the_topics_together_are_the_forum() -> None:
    chat = forum()
    read: list[int] = []
    async with client() as telegram:
        for topic in world().ties.topics[chat]:
            ids = [m.id async for m in telegram.iter_messages(peer(chat), reply_to=topic.id, wait_time=0)]
            assert ids == sorted(ids, reverse=True)
            read += ids
        within = await telegram(search(chat, top_msg_id=topic.id))
        assert [m.id for m in within.messages] == ids[:100]
    opened = {m.id for m in messages(chat) if isinstance(getattr(m, "action", None), types.MessageActionTopicCreate)}
    assert sorted([*read, *opened, 1]) == world().histories[chat].ids


# Chats in full


async def test_a_channel_in_full_tells_its_discussion_its_past_and_its_pin() -> None:
    async with client() as telegram:
        full = await telegram(functions.channels.GetFullChannelRequest(peer(main())))
        group = await telegram(functions.channels.GetFullChannelRequest(peer(discussion())))
        new = await telegram(functions.channels.GetFullChannelRequest(peer(grown())))
        old_id = new.full_chat.migrated_from_chat_id
        old = await telegram(functions.messages.GetFullChatRequest(old_id))
        read = [m.id async for m in telegram.iter_messages(types.InputPeerChat(old_id), wait_time=0)]
    assert full.full_chat.linked_chat_id == CHANNEL - discussion()
    assert group.full_chat.linked_chat_id == CHANNEL - main()
    assert full.full_chat.pinned_msg_id == next(m.id for m in messages(main()) if getattr(m, "pinned", None))
    assert {chat.id for chat in new.chats} == {CHANNEL - grown(), old_id}
    assert new.full_chat.migrated_from_max_id == read[0]
    assert read == world().histories[-old_id].ids[::-1]
    assert isinstance(old.full_chat.participants, types.ChatParticipantsForbidden)


async def test_members_come_by_pages_filters_and_names() -> None:
    people = set(world().ties.members[grown()])
    someone = world().users[sorted(people)[3]]
    async with client() as telegram:
        assert {user.id async for user in telegram.iter_participants(peer(grown()))} == people
        admins = await telegram.get_participants(peer(grown()), filter=types.ChannelParticipantsAdmins())
        assert [type(user.participant).__name__ for user in admins] == [
            "ChannelParticipantCreator",
            "ChannelParticipantAdmin",
        ]
        found = await telegram.get_participants(peer(grown()), search=someone.first_name[:3])
        assert someone.id in {user.id for user in found}
        ask = functions.channels.GetParticipantsRequest
        recent = types.ChannelParticipantsRecent()
        pages = [await telegram(ask(peer(grown()), recent, start, 5, 0)) for start in (0, 5, 10, 15)]
        assert [row.user_id for page in pages for row in page.participants] == list(world().ties.members[grown()])
        assert {page.count for page in pages} == {len(people)}
        known = await telegram(ask(peer(grown()), recent, 0, 200, 0))
        digest = _hash([row.user_id for row in known.participants])
        again = await telegram(ask(peer(grown()), recent, 0, 200, digest))
        assert isinstance(again, types.channels.ChannelParticipantsNotModified)
        with pytest.raises(errors.ChatAdminRequiredError):
            await telegram(ask(peer(main()), recent, 0, 200, 0))
        me = await telegram(functions.channels.GetParticipantRequest(peer(grown()), types.InputPeerSelf()))
        assert isinstance(me.participant, types.ChannelParticipantSelf)
        bot = next(user for user in world().users.values() if user.bot)
        with pytest.raises(errors.UserNotParticipantError):
            await telegram(functions.channels.GetParticipantRequest(peer(grown()), peer(bot.id)))


def _hash(ids: list[int]) -> int:
    """As the documentation has it, and signed as it is sent."""
    found = 0
    for number in ids:
        found ^= found >> 21
        found ^= (found << 35) % 2**64
        found ^= found >> 4
        found = (found + number) % 2**64
    return found - 2**64 if found >= 2**63 else found


async def test_a_group_in_full_has_its_members() -> None:
    chat = next(n for n, h in world().histories.items() if h.kind == "chat" and not world().chats[-n].deactivated)
    async with client() as telegram:
        full = await telegram(functions.messages.GetFullChatRequest(-chat))
        seen = {user.id async for user in telegram.iter_participants(types.InputPeerChat(-chat))}
    assert seen == set(world().ties.members[chat])
    assert len(full.full_chat.participants.participants) == len(seen)


async def test_the_pinned_message_and_what_a_message_replies_to_can_be_asked_for() -> None:
    async with client() as telegram:
        for chat in (grown(), friend()):
            pinned = await telegram.get_messages(peer(chat), ids=types.InputMessagePinned())
            due = next(m.id for m in messages(chat) if getattr(m, "pinned", None))
            assert pinned is not None
            if chat != friend():  # without a channel, the pinned one of any chat is meant
                assert pinned.id == due
            reply = next(
                m
                for m in messages(chat)
                if getattr(m.reply_to, "reply_to_msg_id", None) in world().histories[chat].ids
                and m.reply_to.reply_to_peer_id is None
            )
            found = await telegram.get_messages(peer(chat), ids=types.InputMessageReplyTo(reply.id))
            assert found.id == reply.reply_to.reply_to_msg_id


# Reactions and votes


async def test_the_lists_of_who_reacted_are_as_long_as_the_counts() -> None:
    checked = 0
    async with client() as telegram:
        for chat in (grown(), friend()):
            for message in messages(chat):
                given = getattr(message, "reactions", None)
                if given is None or not given.can_see_list:
                    continue
                ask = functions.messages.GetMessageReactionsListRequest
                rows, offset = [], None
                while True:
                    page = await telegram(ask(peer(chat), message.id, 4, offset=offset))
                    rows += page.reactions
                    offset = page.next_offset
                    if offset is None:
                        break
                assert page.count == len(rows) == sum(result.count for result in given.results)
                assert [row.date for row in rows] == sorted((row.date for row in rows), reverse=True)
                for result in given.results:
                    one = await telegram(ask(peer(chat), message.id, 100, reaction=result.reaction))
                    assert one.count == result.count
                    named = [row for row in given.recent_reactions if row.reaction == result.reaction]
                    assert [row.peer_id for row in one.reactions[: len(named)]] == [row.peer_id for row in named]
                checked += 1
        post = next(m for m in messages(main()) if getattr(m, "reactions", None))
        with pytest.raises(errors.BroadcastForbiddenError):
            await telegram(ask(peer(main()), post.id, 100))
    assert checked > 2


async def test_votes_add_up_to_the_results_of_a_poll() -> None:
    forms = set()
    async with client() as telegram:
        for message in messages(grown()):
            media = getattr(message, "media", None)
            if not isinstance(media, types.MessageMediaPoll):
                continue
            update = await telegram(functions.messages.GetPollResultsRequest(peer(grown()), message.id, 0))
            assert update.updates[0].results.to_dict() == media.results.to_dict()
            ask = functions.messages.GetPollVotesRequest
            if not media.poll.public_voters:
                with pytest.raises(errors.MsgIdInvalidError):
                    await telegram(ask(peer(grown()), message.id, 100))
                continue
            try:
                every = await telegram(ask(peer(grown()), message.id, 100))
            except errors.PollVoteRequiredError:
                assert not any(result.chosen for result in media.results.results)
                continue
            assert every.count == len(every.votes) == media.results.total_voters
            assert [vote.peer for vote in every.votes[:3]] == media.results.recent_voters
            for result in media.results.results:
                one = await telegram(ask(peer(grown()), message.id, 100, option=result.option))
                assert one.count == result.voters
            forms |= {type(vote).__name__ for vote in every.votes}
    assert forms == {"MessagePeerVote", "MessagePeerVoteMultiple"}


async def test_views_are_those_of_the_messages() -> None:
    some = messages(main())[:20]
    request = functions.messages.GetMessagesViewsRequest(peer(main()), [m.id for m in some], increment=False)
    async with client() as telegram:
        seen = await telegram(request)
    assert [(view.views, view.forwards) for view in seen.views] == [(m.views, m.forwards) for m in some]
    assert [chat.id for chat in seen.chats] == [CHANNEL - discussion()]


# People


async def test_profile_photos_are_listed_and_can_be_downloaded() -> None:
    photos = world().ties.photos
    user = max(photos, key=lambda number: len(photos[number]))
    assert len(photos[user]) > 1
    nobody = next(number for number in photos if not photos[number])
    async with client() as telegram:
        seen = await telegram.get_profile_photos(peer(user))
        assert [photo.id for photo in seen] == [photo.id for photo in photos[user]]
        assert list(await telegram.get_profile_photos(peer(nobody))) == []
        full = await telegram(functions.users.GetFullUserRequest(peer(user)))
        assert full.full_user.profile_photo.id == seen[0].id == full.users[0].photo.photo_id
        spec = world().file(seen[0].id)
        assert spec is not None
        assert await telegram.download_media(seen[0], bytes) == spec.read(0, spec.size)
        part = await telegram.download_profile_photo(full.users[0], bytes)
        assert part == spec.read(0, spec.size)


async def test_a_search_by_date_reads_from_that_day_back() -> None:
    middle = messages(grown())[100].date.astimezone(UTC) + timedelta(seconds=1)
    async with client() as telegram:
        found = [m.id async for m in telegram.iter_messages(peer(grown()), offset_date=middle, search="a", wait_time=0)]
    due = [m for m in messages(grown()) if m.date < middle and "a" in (m.message or "").casefold()]
    assert found == [m.id for m in due]
    assert isinstance(middle, datetime)


# Anything else


NUMBERS = (0, 0, 0, 1, 2, 5, 77, 400, 10_000_050, -1, -100, 2**31 - 1, -(2**31))


def _drawn(random: Random, annotation: str) -> Any:
    """A value of the right type for a parameter of a request, sensible or not."""
    peers = [types.InputPeerSelf(), types.InputPeerEmpty(), types.InputPeerChat(9), types.InputPeerUser(5, 5)]
    there = [peer(chat) for chat in world().histories]
    members = [types.ChannelParticipantsRecent(), types.ChannelParticipantsSearch("a"), types.ChannelParticipantsBots()]
    values: dict[str, Any] = {
        "List[ForwardRef('TypeMessagesFilter')]": [[kind() for kind in FILTERS]],
        "List[ForwardRef('TypeReaction')]": [None],
        "List": [[random.choice(NUMBERS) for _ in range(random.randrange(4))]],
        "TypeInput": [*there, *there, *peers],
        "MessagesFilter": [kind() for kind in FILTERS],
        "ParticipantsFilter": members,
        "Reaction": [None, types.ReactionEmoji("👍"), types.ReactionPaid()],
        "datetime": [None, datetime(2023, 2, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC)],
        "bytes": [None, b"0", b"\xff"],
        "str": ["", "a", "7", "-1", "STRASSE"],
        "bool": [True, False],
        "int": NUMBERS,
    }
    return random.choice(next(values[word] for word in values if word in annotation))


READING = (
    functions.messages.SearchRequest,
    functions.messages.GetSearchCountersRequest,
    functions.messages.SearchGlobalRequest,
    functions.messages.GetRepliesRequest,
    functions.messages.GetDiscussionMessageRequest,
    functions.messages.GetForumTopicsRequest,
    functions.messages.GetForumTopicsByIDRequest,
    functions.messages.GetMessageReactionsListRequest,
    functions.messages.GetPollResultsRequest,
    functions.messages.GetPollVotesRequest,
    functions.messages.GetMessagesViewsRequest,
    functions.messages.GetSavedDialogsRequest,
    functions.messages.GetSavedHistoryRequest,
    functions.channels.GetParticipantsRequest,
    functions.channels.GetParticipantRequest,
    functions.channels.GetFullChannelRequest,
    functions.photos.GetUserPhotosRequest,
    functions.users.GetFullUserRequest,
)


async def test_whatever_is_asked_the_answer_is_an_answer_or_a_reason() -> None:
    random = Random(4)
    async with running(world()) as lab:
        service = lab._service
        client = service.keys.authorized(HOME, world().me.id)
        assert client is not None
        client.layer = 229
        for request in READING * 60:
            parameters = list(inspect.signature(request.__init__).parameters.values())[1:]
            given = {p.name: _drawn(random, str(p.annotation)) for p in parameters}
            answer(service, client, bytes(request(**given)), 0.0, 0.0)
        assert "INTERNAL" not in lab.counters()["errors"]
        assert not {name for name in lab.counters()["errors"] if name.startswith("INPUT_")}
        assert len(lab.counters()["errors"]) > 8
        assert sum(lab.counters()["errors"].values()) < len(READING) * 50


def test_what_is_found_follows_the_changes_of_a_chat() -> None:
    scenario = load("everything")
    changing = replace(scenario, dataset=replace(scenario.dataset, live=Live(new=4, edited=4, deleted=4)))
    changed = at_first(build(changing))
    history = changed.histories[main()]
    assert isinstance(history, LiveHistory)
    selections = Selections()
    for change in changed.changes:
        word = "" if change.entry is None else parse(change.entry.data).message
        selections.positions(history, Wish(text=word))  # what is known now must not be given out then
        history.apply(change)
        found = [history.id_at(place) for place in selections.positions(history, Wish(text=word))]
        due = [m.id for m in map(parse, history.serialized()) if word.casefold() in (m.message or "").casefold()]
        assert found == due[::-1]
        assert (change.id in found) == (change.entry is not None)
        assert selections.count(history, Wish()) == history.count
