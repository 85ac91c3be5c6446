"""Which users and chats a message names, and which file is its own, read off the TL object."""

from __future__ import annotations

from typing import Any

from telethon.tl import types
from telethon.tl.tlobject import TLObject

_USERS = frozenset({"user_id", "users", "via_bot_id", "via_business_bot_id", "bot_id", "inviter_id", "winners",
                    "new_creator_id", "auto_setting_from"})  # fmt: skip
_CHATS = frozenset({"channel_id", "chat_id", "channels"})


def named(message: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Bare ids of the users and of the chats that any part of a message names, each once, rising."""
    users: set[int] = set()
    chats: set[int] = set()
    waiting = [message]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, list | tuple):
            waiting += thing
            continue
        if not isinstance(thing, TLObject):
            continue
        for key, value in thing.__dict__.items():
            found = users if key in _USERS else chats if key in _CHATS else None
            if found is None or value is None or isinstance(value, TLObject):
                waiting.append(value)
            else:
                found.update(value if isinstance(value, list) else (value,))
    return tuple(sorted(users - {0})), tuple(sorted(chats - {0}))


def file_of(message: Any) -> int:
    """The id of the file that a message carries or that a service message brings, 0 for none."""
    holder = getattr(message, "action", None) or getattr(message, "media", None)
    held = None
    if isinstance(
        holder,
        types.MessageMediaPhoto | types.MessageActionChatEditPhoto | types.MessageActionSuggestProfilePhoto,
    ):
        held = holder.photo
    elif isinstance(holder, types.MessageMediaDocument):
        held = holder.document
    return int(held.id) if isinstance(held, types.Photo | types.Document) else 0
