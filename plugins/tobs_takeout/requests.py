"""The requests of a takeout, and what wraps others.

Source: https://core.telegram.org/api/takeout and the methods' own pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon.tl import functions

from tobs.api import Call

if TYPE_CHECKING:
    from telethon.extensions import BinaryReader
    from telethon.tl.types import MessageRange

EXPORTS = {
    "message_users": True,
    "message_chats": True,
    "message_megagroups": True,
    "message_channels": True,
    "files": True,
    "file_max_size": 4 * 1024**3,
}
"""What a session is begun for: every kind of chat, and files of any size (4 GB is the largest that Telegram takes)."""
INIT = "account.initTakeoutSession"
FINISH = "account.finishTakeoutSession"
SPLIT = "messages.getSplitRanges"


class InTakeout(functions.InvokeWithTakeoutRequest):  # type: ignore[misc]
    """A request inside a takeout, whose answer is read as the request's own."""

    def read_result(self, reader: BinaryReader) -> Any:
        """What the query makes of its answer."""
        return self.query.read_result(reader)


class InMessagesRange(functions.InvokeWithMessagesRangeRequest):  # type: ignore[misc]
    """A request to which only the messages in a range exist, whose answer is read as the request's own."""

    def read_result(self, reader: BinaryReader) -> Any:
        """What the query makes of its answer."""
        return self.query.read_result(reader)


def begin() -> Call:
    """Ask for a session."""
    return Call(functions.account.InitTakeoutSessionRequest(**EXPORTS), INIT)


def split() -> Call:
    """Ask for the ranges that the messages of private chats and basic groups are split into."""
    return Call(functions.messages.GetSplitRangesRequest(), SPLIT)


def finish(number: int, *, success: bool) -> Call:
    """End a session, as it has to be asked: inside of it."""
    return Call(InTakeout(number, functions.account.FinishTakeoutSessionRequest(success=success)), FINISH)


def in_range(part: MessageRange, request: Any) -> InMessagesRange:
    """A request to which only the messages in `part` exist."""
    return InMessagesRange(part, request)


def in_takeout(number: int, request: Any) -> InTakeout:
    """A request inside the session of this number."""
    return InTakeout(number, request)
