"""A message of a certain kind at its place in a chat: what its builder may draw on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from telethon.tl import types

from tobs.lab.text import draw_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.lab.draws import Draws
    from tobs.lab.files import Posting
    from tobs.lab.people import Cast

DAY = 86_400
GENERAL = 1
"""Id of the topic of a forum that always exists."""
USER, SAVED, CHAT, MEGAGROUP, BROADCAST, FORUM, DISCUSSION = (
    "user", "saved", "chat", "megagroup", "broadcast", "forum", "discussion",
)  # fmt: skip
"""The scenes: what sort of chat a message stands in."""
PRIVATE = frozenset({USER})
GROUPS = frozenset({CHAT, MEGAGROUP, FORUM, DISCUSSION})
CHANNELS = frozenset({BROADCAST})
EVERYWHERE = frozenset({USER, SAVED, CHAT, MEGAGROUP, BROADCAST, FORUM, DISCUSSION})
UNTHREADED = EVERYWHERE - {FORUM, DISCUSSION}
"""Where a message may choose by itself what it replies to; in the others its thread says so."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a message stands.

    `scene` is the sort of chat, `peer` the chat and `sender` the writer as TL peers (None: left out), `date` in Unix
    time, `seen` the ids before it (in its thread, if it stands in one), oldest first; `thread` as in `Entry`. `members`
    are the users that can react and vote, `photos` and `documents` some files of this world; each of these two may be
    empty.
    """

    id: int
    date: int
    scene: str
    peer: Any
    sender: Any
    seen: Sequence[int]
    cast: Cast
    members: Sequence[Any]
    photos: Sequence[Posting]
    documents: Sequence[Posting]
    draws: Draws
    seed: int
    thread: int = 0

    @property
    def earlier(self) -> int:
        """The id of one of the messages before, 1 where there is none."""
        return self.draws.pick(self.seen) if self.seen else 1

    @property
    def somebody(self) -> Any:
        """One of the members."""
        return self.draws.pick(self.members)

    def later(self, longest: int = DAY) -> int:
        """A time after this message, by at most `longest` seconds."""
        return self.date + 1 + self.draws.below(longest)

    def number(self) -> int:
        """An id of something else: positive, 62 bits."""
        return self.draws.signed64() >> 2 & (1 << 62) - 1

    def words(self, longest: int = 6) -> str:
        """Plain words."""
        return draw_plain(self.draws, longest)[0]

    def phrase(self, longest: int = 6) -> types.TextWithEntities:
        """Plain words as a text with entities, of which it has none."""
        return types.TextWithEntities(self.words(longest), [])

    def photo(self) -> Any:
        """The TL photo of one of the world's files, `photoEmpty` where it has none."""
        return self.draws.pick(self.photos).photo if self.photos else types.PhotoEmpty(self.number())

    def document(self) -> Any:
        """The TL document of one of the world's files, `documentEmpty` where it has none."""
        if not self.documents:
            return types.DocumentEmpty(self.number())
        return self.draws.pick(self.documents).media.document

    def reply(self) -> types.MessageReplyHeader:
        """The header of a reply to an earlier message."""
        return reply_header(self.scene, self.earlier, self.thread)


def reply_header(scene: str, target: int, thread: int) -> types.MessageReplyHeader:
    """The header of a reply to the message `target` of a thread (0: of none).

    In the General topic of a forum nothing tells that a message stands in a topic.
    Source: https://core.telegram.org/api/forum and https://core.telegram.org/api/threads.
    """
    if scene == FORUM and thread == GENERAL:
        thread = 0
    return types.MessageReplyHeader(
        forum_topic=(scene == FORUM and thread > 0) or None,
        reply_to_msg_id=target,
        reply_to_top_id=thread if thread not in (0, target) else None,
    )


Fields: TypeAlias = dict[str, Any]
"""What a builder says of a `message`: its fields by name, over those that every message has."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of message, the scenes in which it occurs, and what makes it.

    `make` answers fields of `message`, or those of `messageService` for an action.
    """

    name: str
    scenes: frozenset[str]
    make: Callable[[Moment], Fields]


class Action(Kind):
    """A kind of service message."""

    __slots__ = ()


def cycle(kinds: Sequence[Kind], scene: str) -> list[Kind]:
    """The kinds that occur in a scene, in their order."""
    return [kind for kind in kinds if scene in kind.scenes]
