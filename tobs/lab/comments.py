"""Comments: a broadcast channel's discussion group, where each post has a copy and its comments are replies to that.

Source: https://core.telegram.org/api/discussion and https://core.telegram.org/api/threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from telethon.extensions import BinaryReader
from telethon.tl import types

from tobs.lab.compose import draw_ids
from tobs.lab.draws import Draws
from tobs.lab.history import entry_of
from tobs.lab.marks import marks_of
from tobs.lab.naming import file_of, named
from tobs.lab.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tobs.lab.compose import Author
    from tobs.lab.dataset import Dataset
    from tobs.lab.history import Entry
    from tobs.lab.people import Cast

RECENT = 12
"""Posts among which a comment chooses the one that it is about: the newest ones, now and then any."""
KEPT = (
    "message", "entities", "media", "grouped_id", "views", "forwards", "edit_date", "edit_hide", "reply_markup",
    "via_bot_id", "silent", "noforwards", "invert_media", "rich_message", "factcheck", "effect",
)  # fmt: skip
"""Fields that a post's copy in the discussion group takes over."""


class Post(NamedTuple):
    """Date (Unix) and serialized message of a channel's post."""

    date: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Discussion:
    """The plan of a discussion group.

    `ids` are those of its messages; `roots` leads from a post's id to that of its copy, `posts` from the number of a
    post of the channel to the counts of its comments; `events` tells for each message of the group but the first one
    the post's id and whether it is the copy.
    """

    ids: Sequence[int]
    roots: dict[int, int]
    posts: dict[int, Any]
    events: Sequence[tuple[int, bool]]


def draw_discussion(dataset: Dataset, cast: Cast, seed: int, posts: Iterable[tuple[int, Sequence[int]]]) -> Discussion:
    """The discussion of a channel, of which `posts` are the numbers and message ids, oldest first, no service message.

    An album's comments belong to its first message.
    """
    draws = Draws(seed, "discussion")
    plan = list(posts)
    counts = [0] * len(plan)
    for _ in range(dataset.comments if plan else 0):
        counts[draws.below(len(plan))] += 1
    events: list[tuple[int, bool]] = []
    waiting: list[int] = []  # ids of posts, once for each comment that is still to come
    for (_, message_ids), count in zip(plan, counts, strict=True):
        events += [(message_id, True) for message_id in message_ids]
        waiting += [message_ids[0]] * count
        while waiting and draws.chance(0.6):
            at = len(waiting) - 1 - draws.below(min(len(waiting), RECENT))
            events.append((waiting.pop(at), False))
    events += [(message_id, False) for message_id in waiting]
    ids = draw_ids(len(events) + 1, dataset.gaps, draws)
    roots = {post: ids[at + 1] for at, (post, copy) in enumerate(events) if copy}
    newest = {post: ids[at + 1] for at, (post, copy) in enumerate(events) if not copy}
    replies = {
        number: types.MessageReplies(
            count, count, comments=True, channel_id=cast.discussion.id, max_id=newest.get(message_ids[0])
        )
        for (number, message_ids), count in zip(plan, counts, strict=True)
    }
    return Discussion(ids, roots, replies, events)


def script_of(plan: Discussion, posts: dict[int, Post], cast: Cast, seed: int) -> Script:
    """What is laid down of the group: `posts` are the channel's posts by id."""
    draws = Draws(seed, "discussion dates")
    dates: list[int] = []
    fixed: dict[int, Callable[[Author, int, int], Entry]] = {}
    threads: dict[int, int] = {}
    clock = 0
    following = [0] * len(plan.events)  # the date of the next copy, behind which nothing may fall
    ahead = max((post.date for post in posts.values()), default=0) + 86_400
    for number in range(len(plan.events) - 1, -1, -1):
        post, copy = plan.events[number]
        following[number] = ahead
        ahead = posts[post].date if copy else ahead
    for number, (post, copy) in enumerate(plan.events):
        if copy:
            clock = max(clock, posts[post].date)
            fixed[number] = _copying(posts[post].data, cast)
        else:
            clock += draws.below(max(1, (following[number] - clock) // 4))
            threads[number] = plan.roots[post]
        dates.append(clock)
    return Script(types.MessageActionChannelCreate(cast.discussion.title), fixed, threads, dates)


def _copying(data: bytes, cast: Cast) -> Callable[[Author, int, int], Entry]:
    """Writes the copy that Telegram forwards into the discussion group by itself."""

    def write(author: Author, message_id: int, date: int) -> Entry:
        post = BinaryReader(data).tgread_object()
        channel = types.PeerChannel(cast.channel.id)
        header = types.MessageFwdHeader(
            post.date, from_id=channel, channel_post=post.id, post_author=post.post_author, saved_from_peer=channel,
            saved_from_msg_id=post.id,
        )  # fmt: skip
        counts = post.replies and types.MessageReplies(
            post.replies.replies, post.replies.replies_pts, max_id=post.replies.max_id
        )
        kept = {name: getattr(post, name) for name in KEPT}
        message = types.Message(
            id=message_id, peer_id=author.peer, date=date, from_id=channel, fwd_from=header, replies=counts, **kept
        )
        users, chats = named(message)
        return entry_of(message, date, users, chats, file_of(message), marks=marks_of(message))

    return write
