"""Who a request means: peers looked up in the world, their access hashes checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.content import CHANNEL_BASE, channel_mark
from tobs.lab.history import History
from tobs.lab.rpc import Call, RpcFault

if TYPE_CHECKING:
    from datetime import datetime


def user_of(call: Call, given: Any) -> int:
    """The bare id of a user given as InputUser or InputPeer, else USER_ID_INVALID."""
    world = call.service.world
    if isinstance(given, types.InputUserSelf | types.InputPeerSelf):
        return call.user_id
    if isinstance(given, types.InputUser | types.InputPeerUser):
        user = world.users.get(given.user_id)
        if user is not None and user.access_hash == given.access_hash:
            return int(given.user_id)
    if isinstance(given, types.InputUserFromMessage | types.InputPeerUserFromMessage):
        _seen_in(call, given)
        if given.user_id in world.users:
            return int(given.user_id)
    raise RpcFault("USER_ID_INVALID")


def channel_of(call: Call, given: Any) -> int:
    """The bare id of a channel given as InputChannel or InputPeer, else CHANNEL_INVALID."""
    world = call.service.world
    if isinstance(given, types.InputChannel | types.InputPeerChannel):
        channel = world.chats.get(given.channel_id)
        if isinstance(channel, types.Channel) and channel.access_hash == given.access_hash:
            return int(given.channel_id)
    if isinstance(given, types.InputChannelFromMessage | types.InputPeerChannelFromMessage):
        _seen_in(call, given)
        if isinstance(world.chats.get(given.channel_id), types.Channel):
            return int(given.channel_id)
    raise RpcFault("CHANNEL_INVALID")


def chat_of(call: Call, chat_id: int) -> int:
    """The bare id of a basic group, else CHAT_ID_INVALID."""
    if not isinstance(call.service.world.chats.get(chat_id), types.Chat):
        raise RpcFault("CHAT_ID_INVALID")
    return chat_id


def _seen_in(call: Call, given: Any) -> None:
    history = call.service.world.histories.get(marked_of(call, given.peer))
    if history is None or not history.count:
        raise RpcFault("MSG_ID_INVALID")


def marked_of(call: Call, peer: Any) -> int:
    """The marked id of an InputPeer, else PEER_ID_INVALID or CHANNEL_INVALID."""
    if isinstance(peer, types.InputPeerChat):
        try:
            return -chat_of(call, peer.chat_id)
        except RpcFault as fault:
            raise RpcFault("PEER_ID_INVALID") from fault
    if isinstance(peer, types.InputPeerChannel | types.InputPeerChannelFromMessage):
        return channel_mark(channel_of(call, peer))
    if isinstance(peer, types.InputPeerSelf | types.InputPeerUser | types.InputPeerUserFromMessage):
        try:
            return user_of(call, peer)
        except RpcFault as fault:
            raise RpcFault("PEER_ID_INVALID") from fault
    raise RpcFault("PEER_ID_INVALID")


def history_of(call: Call, peer: Any) -> History:
    """The messages of a chat given as InputPeer, none of a user or group with whom there is no chat.

    A channel without messages here is CHANNEL_PRIVATE.
    """
    marked = marked_of(call, peer)
    history = call.service.world.histories.get(marked)
    if history is None:
        if marked < -CHANNEL_BASE:
            raise RpcFault("CHANNEL_PRIVATE")
        return History(marked, "user" if marked > 0 else "chat", ())
    return history


def bare_of(marked: int) -> int:
    """The positive id behind a marked one."""
    if marked > 0:
        return marked
    return -marked - CHANNEL_BASE if marked < -CHANNEL_BASE else -marked


def seconds(date: datetime | None) -> int:
    """A date of a request in Unix time, 0 for none."""
    return int(date.timestamp()) if date is not None else 0
