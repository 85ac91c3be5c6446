"""The world that a lab serves: an account, people, chats with their histories, and files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.changes import STILL, Change, plan
from tobs.lab.chats import START, Chats, Ties
from tobs.lab.files import FileSpec, Shelf, draw_files
from tobs.lab.history import History, Slice
from tobs.lab.packs import origin_of, packed
from tobs.lab.people import CHANNEL_MARK, CODE, PASSWORD, PHONE, draw_cast, mark

if TYPE_CHECKING:
    from tobs.lab.scenario import Scenario

__all__ = ["FileSpec", "History", "Slice", "World", "build"]

KEPT_FROM = 50_000
"""Messages of a world from which on they are kept on disk: fewer are composed as fast as they are checked."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything a lab needs to answer.

    Bare ids key `users` and `chats`, marked ids `histories`; `usernames` (lower case) leads to marked ids.

    `phone`, `code` and `password` are what logging in asks for. `ties` say how chats belong together. `changes` are
    those that a lab makes to the histories while it runs; until they are made they show nowhere.
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
    ties: Ties
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
    chats = Chats(scenario, cast, shelf.postings)
    if dataset.all_messages >= kept_from:
        histories = packed(origin_of(replace(dataset, live=STILL), seed), chats.compose)
    else:
        histories = [History(*chat) for chat in chats.compose()]
    people = [*cast.people, cast.bot] if dataset.kind_share or dataset.action_share else cast.people
    for user in people:
        if photos := chats.ties.photos.get(user.id):
            user.photo = types.UserProfilePhoto(photos[0].id, photos[0].dc_id)
    usernames = {user.username.lower(): user.id for user in people if user.username}
    for chat in chats.objects:
        if isinstance(chat, types.Channel) and chat.username:
            usernames[chat.username.lower()] = mark(types.PeerChannel(chat.id))
    return World(
        scenario=scenario,
        me=cast.me,
        users={user.id: user for user in people},
        chats={chat.id: chat for chat in chats.objects},
        phone=PHONE,
        code=CODE,
        password=PASSWORD,
        histories={history.peer_id: history for history in histories},
        usernames=usernames,
        shelf=shelf,
        changes=plan(dataset.live, seed, histories),
        ties=chats.ties,
    )
