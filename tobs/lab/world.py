"""The world that a lab serves: an account, people, chats with their histories, and files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.changes import STILL, Change, plan
from tobs.lab.compose import NO_FILE, Author, arrange, draw_ids
from tobs.lab.draws import Draws
from tobs.lab.files import FileSpec, Posting, Shelf, draw_files
from tobs.lab.history import History, Slice
from tobs.lab.packs import origin_of, packed
from tobs.lab.people import CHANNEL_MARK, CODE, PASSWORD, PHONE, Cast, draw_cast, mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tobs.lab.history import Entry
    from tobs.lab.packs import Chat
    from tobs.lab.scenario import Scenario

__all__ = ["FileSpec", "History", "Slice", "World", "build"]

START = 1_672_574_400
"""The first message's date, 2023-01-01 12:00 UTC: fixed, since the bytes must be the same on any day."""
KEPT_FROM = 50_000
"""Messages of a world from which on they are kept on disk: fewer are composed as fast as they are checked."""

SIDE_FILES = 2
"""Files of the channel that are posted again in each of the other chats."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything a lab needs to answer.

    Bare ids key `users` and `chats`, marked ids `histories`; `usernames` (lower case) leads to marked ids.

    `phone`, `code` and `password` are what logging in asks for. `changes` are those that a lab makes to the
    histories while it runs; until they are made they show nowhere.
    """

    scenario: Scenario
    me: Any
    users: dict[int, Any]
    chats: dict[int, Any]
    phone: str
    code: str
    password: str
    histories: dict[int, History]
    usernames: dict[str, int]
    shelf: Shelf
    changes: tuple[Change, ...] = ()

    def file(self, file_id: int, thumb: str = "") -> FileSpec | None:
        """The file with this id, or None; `thumb` "m" gives its preview, which has other bytes.

        Of a photo, any other size is the whole; a document has none but "m".
        """
        spec = self.shelf.specs.get(file_id)
        if not thumb or spec is None:
            return spec
        preview = self.shelf.previews.get(file_id) if thumb == "m" else None
        return spec if preview is None and spec.kind == "photo" else preview

    def dialogs(self) -> list[int]:
        """Marked ids of the chats that have a history, that with the newest message first."""
        return sorted(self.histories, key=lambda peer: (*self.histories[peer].newest, peer), reverse=True)

    def title(self, peer_id: int) -> str:
        """What a chat is called: its title, or the names of the user."""
        if peer_id > 0:
            user = self.users[peer_id]
            return " ".join(filter(None, (user.first_name, user.last_name)))
        bare = CHANNEL_MARK - peer_id if peer_id < CHANNEL_MARK else -peer_id
        return str(self.chats[bare].title)


def build(scenario: Scenario, *, kept_from: int = KEPT_FROM) -> World:
    """The world of a scenario: the same in any process. Real media come from the cache.

    So do the messages of a world with `kept_from` of them or more, about 70 us each the first time.
    """
    dataset, seed = scenario.dataset, scenario.seed
    cast = draw_cast(dataset, seed, START)
    shelf = draw_files(dataset, seed, START)

    def compose() -> Iterator[Chat]:
        yield _channel(scenario, cast, shelf.postings)
        if dataset.side_messages:
            yield from _side_chats(scenario, cast, shelf.postings)

    if dataset.messages + 2 * dataset.side_messages >= kept_from:
        histories = packed(origin_of(replace(dataset, live=STILL), seed), compose)
    else:
        histories = [History(*chat) for chat in compose()]
    chats = {cast.channel.id: cast.channel, cast.origin.id: cast.origin}
    if dataset.side_messages:
        chats[cast.group.id] = cast.group
    usernames = {user.username.lower(): user.id for user in cast.people if user.username}
    for channel in (cast.channel, cast.origin):
        usernames[channel.username.lower()] = mark(types.PeerChannel(channel.id))
    return World(
        scenario=scenario,
        me=cast.me,
        users={user.id: user for user in cast.people},
        chats=chats,
        phone=PHONE,
        code=CODE,
        password=PASSWORD,
        histories={history.peer_id: history for history in histories},
        usernames=usernames,
        shelf=shelf,
        changes=plan(dataset.live, seed, histories),
    )


def _photos(postings: Sequence[Posting]) -> list[Posting]:
    return [posting for posting in postings if posting.kind == "photo"]


def _channel(scenario: Scenario, cast: Cast, postings: Sequence[Posting]) -> Chat:
    dataset, seed = scenario.dataset, scenario.seed
    draws = Draws(seed, "channel")
    posts = arrange(dataset, postings, draws)
    ids = draw_ids(dataset.messages, dataset.gaps, draws)
    author = Author(dataset, cast, types.PeerChannel(cast.channel.id), cast.people, _photos(postings), draws)
    return _chat(author, author.write(ids, posts, START))


def _side_chats(scenario: Scenario, cast: Cast, postings: Sequence[Posting]) -> Iterator[Chat]:
    """A private chat and a basic group, which number their messages together, as an account does.

    They draw from one stream, so the first has to be taken whole before the second is.
    """
    dataset, seed = scenario.dataset, scenario.seed
    draws = Draws(seed, "side chats")
    ids = draw_ids(2 * dataset.side_messages, dataset.gaps, draws)
    draws.shuffle(ids)
    friend = cast.people[1]
    for number, (peer, writers) in enumerate(
        ((types.PeerUser(friend.id), [cast.me, friend]), (types.PeerChat(cast.group.id), cast.people[:5]))
    ):
        own = sorted(ids[number * dataset.side_messages : (number + 1) * dataset.side_messages])
        posts: list[Sequence[Posting | None]] = [NO_FILE] * (len(own) - 1)
        for posting in postings[: min(SIDE_FILES, len(posts))]:
            posts[draws.below(len(posts))] = [posting]
        author = Author(dataset, cast, peer, writers, _photos(postings), draws)
        yield _chat(author, author.write(own, posts, START + number))


def _chat(author: Author, entries: Iterator[Entry]) -> Chat:
    kinds = {types.PeerUser: "user", types.PeerChat: "chat", types.PeerChannel: "channel"}
    return (mark(author.peer), kinds[type(author.peer)], entries)
