"""Finding chats: by what a user types, or all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from telethon.tl import types
from telethon.tl.functions.contacts import ResolveUsernameRequest
from telethon.tl.functions.messages import GetDialogsRequest
from telethon.tl.functions.users import GetUsersRequest

from tobs.errors import RpcError, UsageError
from tobs.ports import Call
from tobs.telegram.normalise import marked, peer_id
from tobs.values import Chat

if TYPE_CHECKING:
    from tobs.ports import Invoke

_LINK = re.compile(r"^(?:https?://)?(?:t|telegram)\.me/(?P<rest>.+?)/?$", re.IGNORECASE)
_USERNAME = re.compile(r"^@?(?P<name>[A-Za-z][A-Za-z0-9_]{3,31})$")
SEE_ALL = "`tobs chats` lists what this account can export; a chat is named by @username, link, id or exact title."
PAGE = 100


async def myself(invoke: Invoke) -> types.User:
    """The account's own user."""
    users = await invoke(Call(GetUsersRequest([types.InputUserSelf()]), "users.getUsers"))
    return users[0]


async def dialogs(invoke: Invoke) -> list[Chat]:
    """Every chat of the account, the most recently used first."""
    found: dict[int, Chat] = {}
    offset_date, offset_id, offset_peer = None, 0, types.InputPeerEmpty()
    while True:
        request = GetDialogsRequest(
            offset_date=offset_date, offset_id=offset_id, offset_peer=offset_peer, limit=PAGE, hash=0
        )
        answer = await invoke(Call(request, "messages.getDialogs"))
        peers = {peer_id(peer): peer for peer in [*answer.users, *answer.chats]}
        before = len(found)
        for dialog in answer.dialogs:
            number = marked(dialog.peer)
            if number in peers and isinstance(dialog, types.Dialog):
                found.setdefault(number, as_chat(peers[number]))
        if isinstance(answer, types.messages.Dialogs) or len(found) == before or len(found) >= answer.count:
            return list(found.values())
        last = answer.messages[-1]
        offset_date, offset_id = last.date, last.id
        offset_peer = found[marked(last.peer_id) or 0].peer


async def resolve(invoke: Invoke, wanted: str) -> Chat:
    """The chat that `wanted` names: @username, t.me link, marked id, `me`, or a dialog's exact title.

    Raises `UsageError` if there is no such chat for this account, or several.
    """
    wanted = wanted.strip()
    if wanted.lower() in {"me", "self"}:
        return as_chat(await myself(invoke))
    link = _LINK.match(wanted)
    rest = link["rest"] if link else wanted
    if link and rest.startswith("c/"):
        rest = f"-100{rest.split('/')[1]}"
    elif link:
        rest = rest.split("/")[0]
    if re.fullmatch(r"-?\d+", rest):
        return await _one(invoke, wanted, lambda chat: chat.id == int(rest))
    username = _USERNAME.match(rest)
    if username and (link or rest.startswith("@")):
        return await _by_username(invoke, username["name"], wanted)
    by_title = [chat for chat in await dialogs(invoke) if rest in {chat.title, chat.username}]
    if len(by_title) == 1:
        return by_title[0]
    if len(by_title) > 1:
        ids = ", ".join(str(chat.id) for chat in by_title)
        raise UsageError(f"{len(by_title)} chats are called {wanted!r}", hint=f"Name one by its id: {ids}.")
    if username:
        return await _by_username(invoke, username["name"], wanted)
    raise UsageError(f"no chat is called {wanted!r}", hint=SEE_ALL)


async def _by_username(invoke: Invoke, name: str, wanted: str) -> Chat:
    try:
        answer = await invoke(Call(ResolveUsernameRequest(name), "contacts.resolveUsername"))
    except RpcError as error:
        if error.is_flood or error.code >= 500:
            raise
        raise UsageError(f"no chat is called {wanted!r} ({error.name})", hint=SEE_ALL) from None
    number = marked(answer.peer)
    for peer in [*answer.users, *answer.chats]:
        if peer_id(peer) == number:
            return as_chat(peer)
    raise UsageError(f"no chat is called {wanted!r}", hint=SEE_ALL)


async def _one(invoke: Invoke, wanted: str, fits: Any) -> Chat:
    for chat in await dialogs(invoke):
        if fits(chat):
            return chat
    raise UsageError(f"no chat of this account has the id {wanted}", hint=SEE_ALL)


def as_chat(peer: Any) -> Chat:
    """A user, group or channel object as a chat."""
    number = peer_id(peer)
    username = getattr(peer, "username", None)
    if isinstance(peer, types.User):
        title = " ".join(part for part in (peer.first_name, peer.last_name) if part) or str(number)
        if peer.is_self:
            title = "Saved Messages"
        return Chat(number, "user", title, username, types.InputPeerUser(peer.id, peer.access_hash or 0))
    if isinstance(peer, types.Channel):
        return Chat(number, "channel", peer.title, username, types.InputPeerChannel(peer.id, peer.access_hash or 0))
    return Chat(number, "chat", getattr(peer, "title", str(number)), None, types.InputPeerChat(peer.id))
