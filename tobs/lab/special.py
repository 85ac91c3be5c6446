"""Messages that go, in turn, through all kinds and all actions: which posts, and what they say."""

from __future__ import annotations

from itertools import cycle as endless
from typing import TYPE_CHECKING, Any, NamedTuple

from telethon.tl import types

from tobs.lab.actions import ACTIONS
from tobs.lab.draws import Draws
from tobs.lab.history import Entry, entry_of
from tobs.lab.kinds import KINDS
from tobs.lab.marks import marks_of
from tobs.lab.moments import DISCUSSION, Kind, Moment, cycle
from tobs.lab.naming import file_of, named
from tobs.lab.people import mark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from tobs.lab.compose import Author
    from tobs.lab.files import Posting


class Draft(NamedTuple):
    """A message that is still to be written: id, date, the ids before it, its thread, and counts of its comments."""

    id: int
    date: int
    seen: Sequence[int]
    thread: int
    replies: Any


def draw_special(
    author: Author, messages: int, posts: Sequence[Sequence[Posting | None]], taken: AbstractSet[int]
) -> dict[int, Kind]:
    """Which posts of a chat of so many messages go through the kinds and the actions, by number; none that is `taken`.

    The same at every call. A discussion group has no actions: there, every message but the copies is a comment.
    """
    dataset, peer = author.dataset, mark(author.peer)
    kinds = round(messages * dataset.kind_share)
    actions = round(messages * dataset.action_share) if author.scene != DISCUSSION else 0
    if not kinds + actions:
        return {}
    taken = {*taken, *author.script.fixed}
    places = [number for number, post in enumerate(posts) if post[0] is None and number not in taken]
    Draws(author.seed, "special places", peer).shuffle(places)
    done = sorted(places[:actions])
    said = sorted(places[actions : actions + kinds])
    chosen = dict(zip(done, endless(cycle(ACTIONS, author.scene)), strict=False))
    return chosen | dict(zip(said, endless(cycle(KINDS, author.scene)), strict=False))


def write_special(author: Author, kind: Kind, draft: Draft, draws: Draws) -> Entry:
    """A message of a kind."""
    thread = draft.thread
    sender = author.sender_by(draws)
    moment = Moment(
        id=draft.id,
        date=draft.date,
        scene=author.scene,
        peer=author.peer,
        sender=sender,
        seen=author.threads[thread] if thread else draft.seen,
        cast=author.cast,
        members=author.writers,
        photos=author.photos,
        documents=author.documents,
        draws=draws,
        seed=author.seed,
        thread=thread,
    )
    fields = kind.make(moment)
    if thread:
        fields.setdefault("reply_to", author.thread_header(thread, draws))
        author.threads[thread].append(draft.id)
    given: dict[str, Any] = {"id": draft.id, "peer_id": author.peer, "date": draft.date} | author.standing(sender)
    if "action" in fields:
        message = types.MessageService(**given | fields)
    else:
        given["message"] = ""
        if sender is None:
            given |= {"views": 10 + draws.below(5_000), "forwards": draws.below(50), "replies": draft.replies}
        message = types.Message(**given | fields)
    users, chats = named(message)
    around = author.around(sender)
    return entry_of(
        message,
        draft.date,
        tuple({*users, *around[0]}),
        tuple({*chats, *around[1]}),
        file_of(message),
        thread=thread,
        marks=marks_of(message),
    )
