"""Chats and channels themselves: `channels.getChannels`, `messages.getChats` and their full forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from tobs.lab.content import channel_mark
from tobs.lab.marks import PINNED
from tobs.lab.methods.members import CREATOR, members_of
from tobs.lab.peers import channel_of, chat_of
from tobs.lab.rpc import Call, method
from tobs.lab.selection import Wish

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject

    from tobs.lab.history import History


@method(functions.channels.GetChannelsRequest)
def get_channels(call: Call) -> TLObject:
    """The channels that were asked for."""
    chats = call.service.world.chats
    return types.messages.Chats([chats[channel_of(call, given)] for given in call.request.id])


@method(functions.messages.GetChatsRequest)
def get_chats(call: Call) -> TLObject:
    """The basic groups that were asked for."""
    chats = call.service.world.chats
    return types.messages.Chats([chats[chat_of(call, chat_id)] for chat_id in call.request.id])


@method(functions.channels.GetFullChannelRequest)
def get_full_channel(call: Call) -> TLObject:
    """A channel with its counts."""
    world, ties = call.service.world, call.service.world.ties
    channel_id = channel_of(call, call.request.channel)
    chat = world.chats[channel_id]
    history = world.histories.get(channel_mark(channel_id))
    linked = ties.linked.get(channel_id)
    former, former_newest = ties.grown.get(channel_id, (None, None))
    full = types.ChannelFull(
        id=channel_id,
        about="",
        read_inbox_max_id=history.newest[1] if history is not None else 0,
        read_outbox_max_id=0,
        unread_count=0,
        chat_photo=types.PhotoEmpty(0),
        notify_settings=types.PeerNotifySettings(),
        bot_info=[],
        pts=history.pts if history is not None else 1,
        participants_count=getattr(chat, "participants_count", None),
        can_view_participants=not chat.broadcast or None,
        linked_chat_id=linked,
        migrated_from_chat_id=former,
        migrated_from_max_id=former_newest,
        pinned_msg_id=_pinned(call, history),
    )
    others = [world.chats[number] for number in (linked, former) if number is not None]
    return types.messages.ChatFull(full, [chat, *others], [])


def _pinned(call: Call, history: History | None) -> int | None:
    """The id of the newest pinned message, None where there is none."""
    if history is None:
        return None
    places = call.service.selections.positions(history, Wish(marks=PINNED))
    return history.id_at(places[0]) if places else None


@method(functions.messages.GetFullChatRequest)
def get_full_chat(call: Call) -> TLObject:
    """A basic group with its members; of one that the account is no longer in nobody learns them."""
    world = call.service.world
    chat_id = chat_of(call, call.request.chat_id)
    chat = world.chats[chat_id]
    ids = () if chat.deactivated else members_of(call, -chat_id)
    members: Any = types.ChatParticipantsForbidden(chat_id)
    if ids:
        creator = ids[min(CREATOR, len(ids) - 1)]
        rows = [
            types.ChatParticipantCreator(number)
            if number == creator
            else types.ChatParticipant(number, creator, chat.date)
            for number in ids
        ]
        members = types.ChatParticipants(chat_id, rows, chat.version)
    pinned = _pinned(call, world.histories.get(-chat_id))
    full = types.ChatFull(chat_id, "", members, types.PeerNotifySettings(), pinned_msg_id=pinned)
    return types.messages.ChatFull(full, [chat], [world.users[number] for number in ids])
