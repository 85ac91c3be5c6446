"""Chats and channels themselves: `channels.getChannels`, `messages.getChats` and their full forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.content import channel_mark
from tobs.lab.peers import channel_of, chat_of
from tobs.lab.rpc import Call, method

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject


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
    world = call.service.world
    channel_id = channel_of(call, call.request.channel)
    chat = world.chats[channel_id]
    history = call.service.world.histories.get(channel_mark(channel_id))
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
    )
    return types.messages.ChatFull(full, [chat], [])


@method(functions.messages.GetFullChatRequest)
def get_full_chat(call: Call) -> TLObject:
    """A basic group with whoever is known to be in it."""
    world = call.service.world
    chat_id = chat_of(call, call.request.chat_id)
    members = types.ChatParticipantsForbidden(chat_id)
    full = types.ChatFull(chat_id, "", members, types.PeerNotifySettings())
    return types.messages.ChatFull(full, [world.chats[chat_id]], [])
