"""The account, the people and the chats of a world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.draws import Draws
from tobs.lab.names import FIRST_NAMES, LAST_NAMES, USERNAMES

if TYPE_CHECKING:
    from tobs.lab.dataset import Dataset

CHANNEL_MARK = -1_000_000_000_000


def mark(peer: Any) -> int:
    """The marked id of a TL peer: users as they are, basic groups -id, channels -(10**12 + id)."""
    if isinstance(peer, types.PeerUser):
        return int(peer.user_id)
    if isinstance(peer, types.PeerChat):
        return -int(peer.chat_id)
    return CHANNEL_MARK - int(peer.channel_id)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who and what appears: `me` and `people` (me first) are users, `channel` is exported, `group` is basic.

    `origin` is a channel out of which messages are forwarded, and which has no history here. `former` is a basic
    group that became the supergroup `migrated`, `forum` a supergroup with topics, `discussion` the one where the
    channel's posts are commented on; `bot` is a user behind messages that came by one.
    """

    me: Any
    people: list[Any]
    channel: Any
    group: Any
    origin: Any
    former: Any
    migrated: Any
    forum: Any
    discussion: Any
    bot: Any


def draw_cast(dataset: Dataset, seed: int, start: int) -> Cast:
    """The people and chats of a dataset; `start` is the Unix time at which the chats came to be."""
    draws = Draws(seed, "people")
    first = 200_000_000 + draws.below(1_000_000) * 100
    people = []
    for number in range(dataset.users + 1):
        name = FIRST_NAMES[(number - 1) % len(FIRST_NAMES)] if number else "Archie"
        people.append(
            types.User(
                id=first + number * 97 + draws.below(97),
                is_self=True if number == 0 else None,
                contact=True if number else None,
                access_hash=draws.signed64(),
                first_name=name,
                last_name=draws.pick(LAST_NAMES) if draws.chance(0.7) else None,
                username=_username(dataset, number),
                phone=PHONE if number == 0 else None,
                status=types.UserStatusOffline(start),
            )
        )
    base = 1_400_000_000 + draws.below(1_000_000) * 100
    broadcast = dataset.kind == "broadcast"
    channel = types.Channel(
        id=base,
        title=dataset.title,
        photo=types.ChatPhotoEmpty(),
        date=start,
        broadcast=broadcast or None,
        megagroup=None if broadcast else True,
        has_link=True if dataset.comments else None,
        signatures=True if broadcast and dataset.kind_share else None,
        access_hash=draws.signed64(),
        username=None if dataset.kind == "private" else dataset.username,
        participants_count=len(people),
    )
    origin = types.Channel(
        id=base + 1,
        title="Elsewhere 📰",
        photo=types.ChatPhotoEmpty(),
        date=start,
        left=True,
        broadcast=True,
        access_hash=draws.signed64(),
        username="elsewhere_lab",
    )
    group = types.Chat(
        id=4_000_000 + draws.below(1_000_000),
        title="Kitchen table",
        photo=types.ChatPhotoEmpty(),
        participants_count=min(5, len(people)),
        date=start,
        version=1,
    )
    return Cast(people[0], people, channel, group, origin, *_more(dataset, seed, start, base, first))


def _username(dataset: Dataset, number: int) -> str | None:
    """The username of the account (0) and of everybody else by number; the first of these has the private chat."""
    if number == 0:
        return "archie_lab"
    if number == 1 and dataset.kind == "private":
        return dataset.username
    return f"{USERNAMES[number - 1]}_lab" if number <= len(USERNAMES) else None


def _more(dataset: Dataset, seed: int, start: int, base: int, first: int) -> tuple[Any, Any, Any, Any, Any]:
    """Former group, migrated supergroup, forum, discussion and bot."""
    draws = Draws(seed, "more chats")

    def supergroup(number: int, title: str, **flags: Any) -> Any:
        return types.Channel(
            id=base + number,
            title=title,
            photo=types.ChatPhotoEmpty(),
            date=start,
            megagroup=True,
            access_hash=draws.signed64(),
            participants_count=dataset.users + 1,
            **flags,
        )

    migrated = supergroup(2, "Grown 🌱")
    former = types.Chat(
        id=5_000_000 + draws.below(1_000_000),
        title="Grown 🌱",
        photo=types.ChatPhotoEmpty(),
        participants_count=0,
        date=start,
        version=2,
        deactivated=True,
        migrated_to=types.InputChannel(migrated.id, migrated.access_hash),
    )
    forum = supergroup(3, "Forum 🗂", forum=True, username="forum_lab")
    discussion = supergroup(4, f"{dataset.title} Chat", has_link=True)
    bot = types.User(
        id=first - 1,
        bot=True,
        access_hash=draws.signed64(),
        first_name="Lab Bot",
        username="lab_bot",
        bot_info_version=1,
        bot_inline_placeholder="Search",
    )
    return former, migrated, forum, discussion, bot


PHONE = "9996627415"
CODE = "22222"
PASSWORD = "correct horse 🔋 staple"  # noqa: S105 (of an account that exists only in the lab)
