"""Threads: comments of channel posts and topics of forums.

Sources: https://core.telegram.org/api/threads, /api/discussion and /api/forum.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from telethon.extensions import BinaryReader
from telethon.tl import functions, types

from tobs.lab.chosen import chosen
from tobs.lab.content import CHANNEL_BASE, channel_mark, peer_of
from tobs.lab.moments import GENERAL
from tobs.lab.peers import history_of, marked_of, seconds
from tobs.lab.rpc import Call, Reply, Result, RpcFault, method
from tobs.lab.selection import Wish
from tobs.lab.tl import vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tobs.lab.forum import Topic
    from tobs.lab.history import History

MAX_TOPICS = 100
LARGEST_ALBUM = 10


def _thread(call: Call) -> tuple[History, int]:
    """The history and the root of the thread that a message of a request opens; a post's is in its discussion."""
    request, world = call.request, call.service.world
    history = history_of(call, request.peer)
    bare = -history.peer_id - CHANNEL_BASE
    if getattr(world.chats.get(bare), "broadcast", False):
        root = world.ties.roots.get(request.msg_id)
        group = world.ties.linked.get(bare)
        if root is None or group is None or not history.has(request.msg_id):
            raise RpcFault("MSG_ID_INVALID")
        return world.histories[channel_mark(group)], root
    if not history.has(request.msg_id) and request.msg_id != GENERAL:
        raise RpcFault("MSG_ID_INVALID")
    return history, request.msg_id


@method(functions.messages.GetRepliesRequest)
def get_replies(call: Call) -> Result:
    """One page of a thread, newest first, without its root."""
    history, root = _thread(call)
    return chosen(call, history, Wish(thread=root))


@method(functions.messages.GetDiscussionMessageRequest)
def get_discussion_message(call: Call) -> Result:
    """The copy of a post in the discussion group (all of an album, newest first), and where its comments end."""
    service = call.service
    history, root = _thread(call)
    place = history.position(root)
    if place is None:
        raise RpcFault("MSG_ID_INVALID")
    album = BinaryReader(history.at([place]).messages[0]).tgread_object().grouped_id
    places = [place]
    for other in range(place - 1, max(place - LARGEST_ALBUM, -1), -1):
        follower = BinaryReader(history.at([other]).messages[0]).tgread_object()
        if album is None or follower.grouped_id != album:
            break
        places.insert(0, other)
    part = history.at(places)
    comments = service.selections.positions(history, Wish(thread=root))
    newest = history.id_at(comments[0]) if comments else root
    head = struct.pack("<II", types.messages.DiscussionMessage.CONSTRUCTOR_ID, 0b111)
    tail = struct.pack("<iiii", newest, newest, newest, 0)
    content = service.content
    return Reply((head, vector(part.messages), tail, content.chats(part.chat_ids), content.users(part.user_ids)))


def _topics(call: Call) -> tuple[History, Sequence[Topic]]:
    marked = marked_of(call, call.request.peer)
    topics = call.service.world.ties.topics.get(marked)
    if topics is None:
        raise RpcFault("CHANNEL_FORUM_MISSING")
    return history_of(call, call.request.peer), topics


def _newest(call: Call, history: History, topic: Topic) -> int:
    """Position of the newest message of a topic: the one that opened it, where nobody wrote."""
    places = call.service.selections.positions(history, Wish(thread=topic.id))
    if places:
        return places[0]
    opened = history.position(topic.id)
    return history.count - 1 if opened is None else opened


def _shown(call: Call, history: History, topic: Topic) -> types.ForumTopic:
    opened = history.position(topic.id)
    newest = history.id_at(_newest(call, history, topic))
    return types.ForumTopic(
        id=topic.id,
        date=history.dates[history.count - 1 if opened is None else opened],
        peer=peer_of(history.peer_id),
        title=topic.title,
        icon_color=topic.colour,
        icon_emoji_id=topic.icon,
        top_message=newest,
        read_inbox_max_id=newest,
        read_outbox_max_id=newest,
        unread_count=0,
        unread_mentions_count=0,
        unread_reactions_count=0,
        unread_poll_votes_count=0,
        from_id=types.PeerUser(topic.creator),
        notify_settings=types.PeerNotifySettings(),
        my=topic.creator == call.user_id or None,
        closed=topic.closed or None,
        pinned=topic.pinned or None,
        hidden=topic.hidden or None,
    )


def _answer(call: Call, history: History, topics: Iterable[Any], count: int) -> Reply:
    rows = [topic if isinstance(topic, types.ForumTopicDeleted) else _shown(call, history, topic) for topic in topics]
    there = [row for row in rows if isinstance(row, types.ForumTopic)]
    places = [place for row in there if (place := history.position(row.top_message)) is not None]
    part = history.at(places)
    users = part.user_ids | {row.from_id.user_id for row in there}
    content = call.service.content
    head = struct.pack("<IIi", types.messages.ForumTopics.CONSTRUCTOR_ID, 0, count)
    return Reply(
        (
            head,
            vector([bytes(row) for row in rows]),
            vector(part.messages),
            content.chats(part.chat_ids | {-history.peer_id - CHANNEL_BASE}),
            content.users(users),
            struct.pack("<i", history.pts),
        )
    )


@method(functions.messages.GetForumTopicsRequest)
def get_forum_topics(call: Call) -> Result:
    """One page of topics: pinned ones, then those with the newest messages; the page goes on behind `offset_topic`."""
    request = call.request
    history, topics = _topics(call)
    query = (request.q or "").casefold()
    every = [topic for topic in topics if query in topic.title.casefold()]
    every.sort(key=lambda topic: (not topic.pinned, _newest(call, history, topic), topic.id))
    rest = every
    ids = [topic.id for topic in every]
    if request.offset_topic:
        rest = every[ids.index(request.offset_topic) + 1 :] if request.offset_topic in ids else []
    elif before := seconds(request.offset_date):
        rest = [topic for topic in every if history.dates[_newest(call, history, topic)] < before]
    limit = max(1, min(request.limit or MAX_TOPICS, MAX_TOPICS))
    return _answer(call, history, rest[:limit], len(every))


@method(functions.messages.GetForumTopicsByIDRequest)
def get_forum_topics_by_id(call: Call) -> Result:
    """Topics by id, `forumTopicDeleted` where there is none."""
    history, topics = _topics(call)
    known = {topic.id: topic for topic in topics}
    asked = call.request.topics
    if not asked:
        raise RpcFault("TOPICS_EMPTY")
    if len(asked) > MAX_TOPICS:
        raise RpcFault("LIMIT_INVALID")
    rows = [known.get(number) or types.ForumTopicDeleted(number) for number in asked]
    return _answer(call, history, rows, len(rows))
