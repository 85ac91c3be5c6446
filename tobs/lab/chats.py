"""The chats of a world, one after the other: who writes in them, what they are made of, how they belong together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from telethon.tl import types

from tobs.lab.comments import Discussion, Post, draw_discussion, script_of
from tobs.lab.compose import NO_FILE, Author, arrange, draw_ids
from tobs.lab.draws import Draws
from tobs.lab.forum import Forum, Topic, draw_forum
from tobs.lab.moments import BROADCAST, CHAT, DISCUSSION, FORUM, MEGAGROUP, SAVED, USER, Action
from tobs.lab.people import mark
from tobs.lab.script import Script
from tobs.lab.special import draw_special

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tobs.lab.files import Posting
    from tobs.lab.history import Entry
    from tobs.lab.packs import Chat
    from tobs.lab.people import Cast
    from tobs.lab.scenario import Scenario

START = 1_672_574_400
"""The first message's date, 2023-01-01 12:00 UTC: fixed, since the bytes must be the same on any day."""
SIDE_FILES = 2
"""Files of the channel that are posted again in each of the other chats."""
SAVED_FROM, FORMER_FROM = 5_000_000, 10_000_000
"""Ids from which on messages of saved messages and of a former group are numbered: one account numbers them all."""
MOST_PHOTOS = 4
"""Profile photos of a user in a world with all kinds of messages."""
SAMPLES = 3
"""Documents of each kind that stand in messages of special kinds."""


@dataclass(frozen=True, slots=True)
class Ties:
    """How chats belong together.

    `topics` of forums by marked id; `linked` leads from a channel's bare id to that of its discussion group and back,
    `roots` from a post's id to that of its copy there; `grown` from a supergroup's bare id to those of the group that
    it was and of that group's newest message; `members` are bare user ids by marked id of a chat. `photos` are the TL
    photos that people have set as theirs by bare user id, the present one first.
    """

    topics: dict[int, tuple[Topic, ...]] = field(default_factory=dict)
    linked: dict[int, int] = field(default_factory=dict)
    roots: dict[int, int] = field(default_factory=dict)
    grown: dict[int, tuple[int, int]] = field(default_factory=dict)
    members: dict[int, tuple[int, ...]] = field(default_factory=dict)
    photos: dict[int, tuple[Any, ...]] = field(default_factory=dict)


class _Channel(NamedTuple):
    author: Author
    ids: Sequence[int]
    posts: Sequence[Sequence[Posting | None]]
    discussion: Discussion | None


class Chats:
    """All chats of a scenario: `ties` are known before anything is composed."""

    def __init__(self, scenario: Scenario, cast: Cast, postings: Sequence[Posting]) -> None:
        dataset = scenario.dataset
        self._scenario = scenario
        self._cast = cast
        self._postings = postings
        self._forum: Forum | None = draw_forum(dataset, cast, scenario.seed) if dataset.topics else None
        self.ties = self._tie()

    @cached_property
    def _photos(self) -> list[Posting]:
        return [posting for posting in self._postings if posting.kind == "photo"]

    @cached_property
    def _documents(self) -> list[Posting]:
        """A few documents of each kind, for messages of special kinds."""
        found: defaultdict[str, list[Posting]] = defaultdict(list)
        if self._scenario.dataset.kind_share or self._scenario.dataset.action_share:
            for posting in self._postings:
                if posting.kind != "photo" and len(found[posting.kind]) < SAMPLES:
                    found[posting.kind].append(posting)
        return [posting for postings in found.values() for posting in postings]

    @property
    def objects(self) -> list[Any]:
        """The TL chats that exist in this world."""
        cast, dataset = self._cast, self._scenario.dataset
        there = (
            (cast.channel, dataset.kind != "private"),
            (cast.origin, 1),
            (cast.group, dataset.side_messages),
            (cast.former, dataset.migrated),
            (cast.migrated, dataset.migrated),
            (cast.forum, dataset.topics),
            (cast.discussion, dataset.comments),
        )
        return [chat for chat, count in there if count]

    def compose(self) -> Iterator[Chat]:
        """The chats with all their messages, always the same."""
        dataset = self._scenario.dataset
        author, ids, posts, discussion = self._plan_channel()
        commented: dict[int, Post] = {}
        entries = author.write(ids, posts, START)
        yield self._chat(author, entries if discussion is None else _noted(entries, discussion, commented))
        if dataset.side_messages:
            yield from self._side_chats()
        if dataset.saved_messages:
            yield self._saved_messages()
        if dataset.migrated:
            yield from self._migrated()
        if self._forum is not None:
            yield self._forum_chat(self._forum)
        if discussion is not None:
            yield self._discussion_chat(discussion, commented)

    def _tie(self) -> Ties:
        cast, dataset = self._cast, self._scenario.dataset
        ties = Ties()
        everybody = tuple(user.id for user in cast.people)
        for channel in (cast.channel, cast.migrated, cast.forum, cast.discussion):
            ties.members[mark(types.PeerChannel(channel.id))] = everybody
        for group in (cast.group, cast.former):
            ties.members[-group.id] = everybody[:5]
        ties.members[cast.me.id] = (cast.me.id,)
        ties.members[cast.people[1].id] = (cast.me.id, cast.people[1].id)
        if self._forum is not None:
            ties.topics[mark(types.PeerChannel(cast.forum.id))] = self._forum.topics
        if (discussion := self._plan_channel().discussion if dataset.comments else None) is not None:
            ties.linked.update({cast.channel.id: cast.discussion.id, cast.discussion.id: cast.channel.id})
            ties.roots.update(discussion.roots)
        if dataset.migrated:
            ties.grown[cast.migrated.id] = (cast.former.id, self._former_ids()[-1])
        if dataset.kind_share:
            for user in cast.people:
                draws = Draws(self._scenario.seed, "profile photos", user.id)
                ties.photos[user.id] = tuple(p.photo for p in self._photos[: draws.below(MOST_PHOTOS + 1)])
        return ties

    def _author(
        self, peer: Any, scene: str, writers: Sequence[Any], draws: Draws, script: Script | None = None
    ) -> Author:
        return Author(
            self._scenario.dataset,
            self._cast,
            peer,
            scene,
            writers,
            self._photos,
            self._documents,
            draws,
            self._scenario.seed,
            script or Script(),
        )

    def _plan_channel(self) -> _Channel:
        """The main channel or private chat, to be written once, and its discussion where it has one."""
        dataset, cast, seed = self._scenario.dataset, self._cast, self._scenario.seed
        draws = Draws(seed, "channel")
        posts = arrange(dataset, self._postings, draws)
        ids = draw_ids(dataset.messages, dataset.gaps, draws)
        if dataset.kind == "private":
            author = self._author(types.PeerUser(cast.people[1].id), USER, cast.people[:2], draws)
        else:
            scene = BROADCAST if dataset.kind == "broadcast" else MEGAGROUP
            author = self._author(types.PeerChannel(cast.channel.id), scene, cast.people, draws)
        discussion = None
        if dataset.comments:
            services = author.services(len(ids), posts)
            special = draw_special(author, len(ids), posts, services)
            silent = services | {number for number, kind in special.items() if isinstance(kind, Action)}
            discussion = draw_discussion(dataset, cast, seed, _spoken(ids, posts, silent))
            author.script = Script(services=services, replies=discussion.posts)
        return _Channel(author, ids, posts, discussion)

    def _side_chats(self) -> Iterator[Chat]:
        """A private chat and a basic group, which number their messages together, as an account does.

        They draw from one stream, so the first has to be taken whole before the second is.
        """
        dataset, cast = self._scenario.dataset, self._cast
        draws = Draws(self._scenario.seed, "side chats")
        ids = draw_ids(2 * dataset.side_messages, dataset.gaps, draws)
        draws.shuffle(ids)
        friend = cast.people[1]
        for number, (peer, scene, writers) in enumerate(
            (
                (types.PeerUser(friend.id), USER, [cast.me, friend]),
                (types.PeerChat(cast.group.id), CHAT, cast.people[:5]),
            )
        ):
            own = sorted(ids[number * dataset.side_messages : (number + 1) * dataset.side_messages])
            posts: list[Sequence[Posting | None]] = [NO_FILE] * (len(own) - 1)
            for posting in self._postings[: min(SIDE_FILES, len(posts))]:
                posts[draws.below(len(posts))] = [posting]
            author = self._author(peer, scene, writers, draws)
            yield self._chat(author, author.write(own, posts, START + number))

    def _saved_messages(self) -> Chat:
        dataset, me = self._scenario.dataset, self._cast.me
        draws = Draws(self._scenario.seed, "saved messages")
        ids = [SAVED_FROM + number for number in draw_ids(dataset.saved_messages, dataset.gaps, draws)]
        author = self._author(types.PeerUser(me.id), SAVED, [me], draws, Script(types.MessageActionHistoryClear()))
        return self._chat(author, author.write(ids, self._posts(len(ids) - 1, draws), START + 2))

    def _former_ids(self) -> list[int]:
        dataset = self._scenario.dataset
        draws = Draws(self._scenario.seed, "former group ids")
        return [FORMER_FROM + number for number in draw_ids(dataset.migrated, dataset.gaps, draws)]

    def _migrated(self) -> Iterator[Chat]:
        """A basic group that ends where a supergroup begins."""
        dataset, cast, seed = self._scenario.dataset, self._cast, self._scenario.seed
        writers, ids = cast.people[:5], self._former_ids()
        last = len(ids) - 2
        draws = Draws(seed, "former group")
        ended = START

        def leave(author: Author, message_id: int, date: int) -> Entry:
            nonlocal ended
            ended = date
            return author.service(message_id, date, types.MessageActionChatMigrateTo(cast.migrated.id), ())

        created = types.MessageActionChatCreate(cast.former.title, [user.id for user in writers])
        former = self._author(types.PeerChat(cast.former.id), CHAT, writers, draws, Script(created, {last: leave}))
        yield self._chat(former, former.write(ids, self._posts(last + 1, draws, fixed=[last]), START + 3))
        draws = Draws(seed, "migrated group")
        arrival = Script(types.MessageActionChannelMigrateFrom(cast.former.title, cast.former.id))
        author = self._author(types.PeerChannel(cast.migrated.id), MEGAGROUP, cast.people, draws, arrival)
        own = draw_ids(dataset.migrated, dataset.gaps, draws)
        yield self._chat(author, author.write(own, self._posts(len(own) - 1, draws), ended))

    def _forum_chat(self, plan: Forum) -> Chat:
        draws = Draws(self._scenario.seed, "forum messages")
        peer = types.PeerChannel(self._cast.forum.id)
        author = self._author(peer, FORUM, self._cast.people, draws, plan.script)
        posts = self._posts(len(plan.ids) - 1, draws, fixed=plan.script.fixed)
        return self._chat(author, author.write(plan.ids, posts, START + 4))

    def _discussion_chat(self, plan: Discussion, commented: dict[int, Post]) -> Chat:
        seed, cast = self._scenario.seed, self._cast
        draws = Draws(seed, "discussion messages")
        script = script_of(plan, commented, cast, seed)
        author = self._author(types.PeerChannel(cast.discussion.id), DISCUSSION, cast.people, draws, script)
        return self._chat(author, author.write(plan.ids, [NO_FILE] * len(plan.events), START))

    def _posts(self, count: int, draws: Draws, fixed: Collection[int] = ()) -> list[Sequence[Posting | None]]:
        """So many posts of one message, a few of them with a file, none of these at a place that is `fixed`."""
        posts: list[Sequence[Posting | None]] = [NO_FILE] * count
        free = [number for number in range(count) if number not in fixed]
        for posting in self._postings[: min(SIDE_FILES, len(free))]:
            posts[draws.pick(free)] = [posting]
        return posts

    def _chat(self, author: Author, entries: Iterator[Entry]) -> Chat:
        kinds = {types.PeerUser: "user", types.PeerChat: "chat", types.PeerChannel: "channel"}
        return mark(author.peer), kinds[type(author.peer)], entries


def _noted(entries: Iterable[Entry], discussion: Discussion, commented: dict[int, Post]) -> Iterator[Entry]:
    """The entries of a channel; those that its discussion group holds copies of are kept in `commented`."""
    for entry in entries:
        if entry.id in discussion.roots:
            commented[entry.id] = Post(entry.date, entry.data)
        yield entry


def _spoken(
    ids: Sequence[int], posts: Sequence[Sequence[Posting | None]], silent: Collection[int]
) -> Iterator[tuple[int, Sequence[int]]]:
    """Number and message ids of the posts that are no service messages."""
    written = 1
    for number, post in enumerate(posts):
        if number not in silent:
            yield number, ids[written : written + len(post)]
        written += len(post)
