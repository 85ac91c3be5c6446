"""Writing the messages of a chat: who says what when, in reply to what, with which files."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.draws import Draws
from tobs.lab.history import Entry, entry_of
from tobs.lab.marks import marks_of
from tobs.lab.moments import BROADCAST, DAY, DISCUSSION, SAVED, Fields, reply_header
from tobs.lab.people import mark
from tobs.lab.script import Script
from tobs.lab.special import Draft, draw_special, write_special
from tobs.lab.text import draw_plain, draw_rich

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tobs.lab.dataset import Dataset
    from tobs.lab.files import Posting
    from tobs.lab.people import Cast

LARGEST_ALBUM = 10
LONGEST_HISTORY = 700 * DAY
USUAL_PAUSE = 300
"""Seconds between two messages on average, less in long histories."""
RECENT = 200
NO_FILE = (None,)
"""A post without a file."""

REACTIONS = ("👍", "❤", "🔥", "🎉", "😱")


def draw_ids(count: int, gaps: float, draws: Draws) -> array[int]:
    """`count` rising message ids, with a share of `gaps` of all ids missing (deleted)."""
    ids = array("i")
    last = 0
    for _ in range(count):
        last += 1
        while gaps and draws.chance(gaps):
            last += 1
        ids.append(last)
    return ids


def arrange(dataset: Dataset, postings: Sequence[Posting], draws: Draws) -> list[Sequence[Posting | None]]:
    """The channel's posts in order: each one file, an album, or `NO_FILE`.

    Each file stands in at least one; `dataset.repeats` more messages repeat one.
    """
    order = list(postings)
    draws.shuffle(order)
    posts: list[Sequence[Posting | None]] = []
    waiting: list[Posting | None] = []
    for posting in order:
        if posting.can_join_album and draws.chance(dataset.albums):
            waiting.append(posting)
            if len(waiting) >= draws.between(2, LARGEST_ALBUM):
                posts.append(waiting)
                waiting = []
        else:
            posts.append([posting])
    if waiting:
        posts.append(waiting)
    repeats = dataset.file_messages - len(order)
    posts += [[draws.pick(order)] for _ in range(repeats)]
    posts += [NO_FILE] * (dataset.messages - 1 - dataset.file_messages)
    draws.shuffle(posts)
    return posts


@dataclass(slots=True)
class Author:
    """Writes one chat: `peer` is its TL peer, `scene` its sort (`tobs.lab.moments`), `writers` its users.

    `photos` serve as chat photos; they and `documents` stand in messages of special kinds.
    """

    dataset: Dataset
    cast: Cast
    peer: Any
    scene: str
    writers: Sequence[Any]
    photos: Sequence[Posting]
    documents: Sequence[Posting]
    draws: Draws
    seed: int
    script: Script = field(default_factory=Script)
    threads: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def write(self, ids: Sequence[int], posts: Sequence[Sequence[Posting | None]], start: int) -> Iterator[Entry]:
        """All messages, oldest first: the creation, then `posts`; there is one id for each message of it."""
        script = self.script
        pause = min(USUAL_PAUSE, LONGEST_HISTORY / max(1, len(ids)))
        services = self.services(len(ids), posts) if script.services is None else script.services
        special = draw_special(self, len(ids), posts, services)
        special_draws = Draws(self.seed, "special", mark(self.peer))
        date = start
        yield self.service(ids[0], date, script.first or self._creation(), ())
        written = 1
        for number, post in enumerate(posts):
            date = script.dates[number] if script.dates else date + int(self.draws.exponential(pause))
            if number in script.fixed:
                yield script.fixed[number](self, ids[written], date)
                written += 1
                continue
            seen = ids[max(0, written - RECENT) : written]
            if number in services:
                yield self._draw_service(ids[written], date, seen)
                written += 1
                continue
            draft = Draft(ids[written], date, seen, script.threads.get(number, 0), script.replies.get(number))
            if number in special:
                yield write_special(self, special[number], draft, special_draws)
                written += 1
                continue
            album = (date << 20) + number if len(post) > 1 else None
            sender = self.sender_by(self.draws)
            for posting in post:
                yield self._message(draft._replace(id=ids[written]), sender, posting, album)
                written += 1
                draft = draft._replace(replies=None)

    def services(self, messages: int, posts: Sequence[Sequence[Posting | None]]) -> set[int]:
        """Which of the posts without a file become service messages; drawn anew at every call.

        None in chats with threads, where each has its place already.
        """
        if self.script.threads:
            return set()
        places = [number for number, post in enumerate(posts) if post[0] is None and number not in self.script.fixed]
        self.draws.shuffle(places)
        return set(places[: max(0, round(messages * self.dataset.services) - 1)])

    def thread_header(self, thread: int, draws: Draws) -> Any:
        """What tells the thread of a message: a reply to another one of it, or to its root."""
        earlier = self.threads[thread][-RECENT:]
        if earlier and draws.chance(self.dataset.replies):
            return reply_header(self.scene, draws.pick(earlier), thread)
        header = reply_header(self.scene, thread, thread)
        return header if header.forum_topic or self.scene == DISCUSSION else None

    def standing(self, sender: Any) -> Fields:
        """The fields by which a message says whose it is."""
        mine = (isinstance(sender, types.PeerUser) and sender.user_id == self.cast.me.id) or None
        if self.scene == SAVED:
            return {"out": mine, "from_id": sender, "saved_peer_id": sender}
        if isinstance(self.peer, types.PeerUser):
            return {"out": mine}
        if sender is None:
            return {"post": True}
        return {"out": mine, "from_id": sender}

    def sender_by(self, draws: Draws) -> Any:
        """Who writes, as a TL peer; None where Telegram leaves it out."""
        if isinstance(self.peer, types.PeerChannel):
            if self.scene == BROADCAST:
                return None
            if draws.chance(0.05):  # an anonymous administrator
                return self.peer
        return types.PeerUser(draws.pick(self.writers).id)

    def _message(self, draft: Draft, sender: Any, posting: Posting | None, album: int | None) -> Entry:
        message_id, date, seen, thread, replies = draft
        draws, dataset = self.draws, self.dataset
        text, entities, named = self._text(posting, album)
        users, chats = self.around(sender)
        users += named
        fields = self.standing(sender)
        if sender is None:
            fields |= {"views": 10 + draws.below(5_000), "forwards": draws.below(50), "replies": replies}
        if thread:
            fields["reply_to"] = self.thread_header(thread, draws)
            self.threads[thread].append(message_id)
        elif seen and draws.chance(dataset.replies):
            # now and then to the id before, which may be deleted by now
            target = draws.pick(seen) - (1 if draws.chance(0.03) else 0)
            fields["reply_to"] = types.MessageReplyHeader(reply_to_msg_id=max(1, target))
        if draws.chance(dataset.forwards):
            fields["fwd_from"], users, chats = self._forward(date, users, chats)
            if self.scene == SAVED and fields["fwd_from"].from_id:
                fields["saved_peer_id"] = fields["fwd_from"].from_id
            fields.setdefault("views", 10 + draws.below(5_000))
            fields.setdefault("forwards", draws.below(50))
        elif draws.chance(dataset.edited):
            fields["edit_date"] = date + 1 + draws.below(DAY)
        if draws.chance(dataset.reactions):
            count = draws.between(1, 3)
            results = [types.ReactionCount(types.ReactionEmoji(face), 1 + draws.below(9)) for face in REACTIONS[:count]]
            fields["reactions"] = types.MessageReactions(results)
        message = types.Message(
            id=message_id,
            peer_id=self.peer,
            date=date,
            message=text,
            entities=entities,
            media=posting.media if posting else None,
            grouped_id=album,
            **fields,
        )
        file_id = posting.spec.id if posting else 0
        return entry_of(message, date, users, chats, file_id, thread=thread, marks=marks_of(message))

    def _text(self, posting: Posting | None, album: int | None) -> Any:
        draws = self.draws
        if posting and (album or draws.chance(0.5)):
            return "", None, ()
        if draws.chance(self.dataset.rich):
            return draw_rich(draws, self.writers)
        return draw_plain(draws, 12 if posting else 24)

    def around(self, sender: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Bare ids of users and of chats that the chat and the sender name."""
        users = (sender.user_id,) if isinstance(sender, types.PeerUser) else ()
        if isinstance(self.peer, types.PeerUser):
            return (*users, self.peer.user_id), ()
        return users, (self.peer.channel_id if isinstance(self.peer, types.PeerChannel) else self.peer.chat_id,)

    def _forward(
        self, date: int, users: tuple[int, ...], chats: tuple[int, ...]
    ) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
        """A forward header (from a channel, a user or somebody hidden) and who is named then."""
        draws = self.draws
        earlier = date - draws.below(30 * DAY)
        form = draws.below(3)
        if form == 0:
            origin = types.PeerChannel(self.cast.origin.id)
            header = types.MessageFwdHeader(earlier, from_id=origin, channel_post=1 + draws.below(9_999))
            return header, users, (*chats, self.cast.origin.id)
        if form == 1:
            user = draws.pick(self.cast.people)
            return types.MessageFwdHeader(earlier, from_id=types.PeerUser(user.id)), (*users, user.id), chats
        return types.MessageFwdHeader(earlier, from_name="Hidden 🕵 Name"), users, chats

    def _creation(self) -> Any:
        if isinstance(self.peer, types.PeerChannel):
            return types.MessageActionChannelCreate(self.cast.channel.title)
        if isinstance(self.peer, types.PeerChat):
            return types.MessageActionChatCreate(self.cast.group.title, [user.id for user in self.writers])
        return types.MessageActionContactSignUp()

    def _draw_service(self, message_id: int, date: int, seen: Sequence[int]) -> Entry:
        """A pin; in chats of many also a new title or photo, people added or come by a link."""
        draws = self.draws
        form = 0 if isinstance(self.peer, types.PeerUser) else draws.below(5)
        user = draws.pick(self.writers)
        if form == 1:
            return self.service(message_id, date, types.MessageActionChatEditTitle(f"Title {draws.below(99)} 🧪"), ())
        if form == 2 and self.photos:
            posting = draws.pick(self.photos)
            action = types.MessageActionChatEditPhoto(posting.photo)
            return self.service(message_id, date, action, (), file_id=posting.spec.id)
        if form == 3:
            return self.service(message_id, date, types.MessageActionChatAddUser([user.id]), (user.id,))
        if form == 4:
            action = types.MessageActionChatJoinedByLink(draws.pick(self.writers).id)
            return self.service(message_id, date, action, (action.inviter_id,), sender=types.PeerUser(user.id))
        pinned = types.MessageReplyHeader(reply_to_msg_id=draws.pick(seen))
        return self.service(message_id, date, types.MessageActionPinMessage(), (), reply_to=pinned)

    def service(
        self,
        message_id: int,
        date: int,
        action: Any,
        named: tuple[int, ...],
        *,
        reply_to: Any = None,
        file_id: int = 0,
        thread: int = 0,
        sender: Any = None,
    ) -> Entry:
        """A service message; `named` are users that the action names, `sender` whoever did it, None: drawn."""
        sender = sender or self.sender_by(self.draws)
        users, chats = self.around(sender)
        if isinstance(action, types.MessageActionChatCreate):
            named = tuple(action.users)
        message = types.MessageService(
            id=message_id, peer_id=self.peer, date=date, action=action, reply_to=reply_to, **self.standing(sender)
        )
        return entry_of(message, date, users + named, chats, file_id, thread=thread, marks=marks_of(message))
