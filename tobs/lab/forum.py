"""A forum: its topics, and which message stands in which.

Source: https://core.telegram.org/api/forum. A topic's id is that of the message that opened it; the General topic
has id 1, is opened by nothing, and its messages do not say where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.compose import draw_ids
from tobs.lab.draws import Draws
from tobs.lab.moments import GENERAL, reply_header
from tobs.lab.names import WORDS
from tobs.lab.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.lab.compose import Author
    from tobs.lab.dataset import Dataset
    from tobs.lab.history import Entry
    from tobs.lab.people import Cast

COLOURS = (0x6FB9F0, 0xFFD67E, 0xCB86DB, 0x8EEE98, 0xFF93B2, 0xFB6F5F)
"""The colours that a topic's icon can have: https://core.telegram.org/api/forum#forum-topics."""
FIRST_ICON = 5_312_536_423_851_630_001


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it is now; `creator` is a bare user id, `icon` a custom emoji's id or None."""

    id: int
    title: str
    colour: int
    icon: int | None
    creator: int
    pinned: bool = False
    closed: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Forum:
    """All topics, General first, then by id; the ids of the messages, and what is laid down of them."""

    topics: tuple[Topic, ...]
    ids: Sequence[int]
    script: Script


def draw_forum(dataset: Dataset, cast: Cast, seed: int) -> Forum:
    """The forum of a dataset that has topics. Each topic is opened, somebody writes in it, every other is edited."""
    draws = Draws(seed, "forum")
    ids = [GENERAL, *(number + 1 for number in draw_ids(dataset.topic_messages - 1, dataset.gaps, draws))]
    posts = len(ids) - 1
    step = posts // dataset.topics
    topics = [Topic(GENERAL, "General", COLOURS[0], None, cast.me.id)]
    fixed: dict[int, Callable[[Author, int, int], Entry]] = {}
    threads: dict[int, int] = {}
    for number in range(posts):
        turn, place = divmod(number, step)
        if place == 0 and turn < dataset.topics:
            topic = _draw_topic(ids[number + 1], turn, cast, draws)
            topics.append(topic)
            fixed[number] = _opening(topic)
        elif place == 1 and turn < dataset.topics:
            threads[number] = topics[-1].id
        elif place == 2 and turn < dataset.topics and turn % 2:
            topics[-1] = _edited(topics[-1], turn)
            fixed[number] = _editing(topics[-1])
        else:
            threads[number] = draws.pick(topics).id
    script = Script(types.MessageActionChannelCreate(cast.forum.title), fixed, threads)
    return Forum(tuple(topics), ids, script)


def _draw_topic(topic_id: int, turn: int, cast: Cast, draws: Draws) -> Topic:
    icon = FIRST_ICON + draws.below(9) if draws.chance(0.5) else None
    title = f"{draws.pick(WORDS)} {draws.pick(WORDS)} {turn + 1}"
    return Topic(topic_id, title, draws.pick(COLOURS), icon, draws.pick(cast.people).id, pinned=turn == 0)


def _edited(topic: Topic, turn: int) -> Topic:
    """The topic with another title; now and then it is closed, too."""
    return Topic(
        topic.id, f"{topic.title} ✏", topic.colour, topic.icon, topic.creator, topic.pinned, closed=turn % 4 == 3
    )


def _opening(topic: Topic) -> Callable[[Author, int, int], Entry]:
    action = types.MessageActionTopicCreate(topic.title, topic.colour, icon_emoji_id=topic.icon)

    def write(author: Author, message_id: int, date: int) -> Entry:
        return author.service(message_id, date, action, (), sender=types.PeerUser(topic.creator))

    return write


def _editing(topic: Topic) -> Callable[[Author, int, int], Entry]:
    action = types.MessageActionTopicEdit(title=topic.title, icon_emoji_id=0, closed=topic.closed or None)

    def write(author: Author, message_id: int, date: int) -> Entry:
        header: Any = reply_header(author.scene, topic.id, topic.id)
        sender = types.PeerUser(topic.creator)
        return author.service(message_id, date, action, (), reply_to=header, thread=topic.id, sender=sender)

    return write
