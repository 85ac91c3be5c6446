"""Who is in a channel or supergroup: `channels.getParticipants` by filter, a page of at most 200 at a time.

Source: https://core.telegram.org/method/channels.getParticipants. In a broadcast channel only administrators may
ask, and the account is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from tobs.lab.content import channel_mark
from tobs.lab.peers import channel_of, marked_of
from tobs.lab.rpc import Call, RpcFault, method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telethon.tl.tlobject import TLObject

MAX_MEMBERS = 200
CREATOR, ADMINISTRATOR = 1, 2
"""Places among the members of whoever made the chat and of who helps to run it; the account is at place 0."""
_64_BITS = (1 << 64) - 1


def members_of(call: Call, marked: int) -> Sequence[int]:
    """Bare ids of a chat's members."""
    return call.service.world.ties.members.get(marked, ())


def hash_of(ids: Sequence[int]) -> int:
    """The hash by which a client says which list it knows: https://core.telegram.org/api/offsets#hash-generation."""
    found = 0
    for number in ids:
        found ^= found >> 21
        found ^= found << 35 & _64_BITS
        found ^= found >> 4
        found = found + number & _64_BITS
    return found


def participant(call: Call, members: Sequence[int], user_id: int, since: Any) -> Any:
    """A member of a channel as Telegram shows it, by the place among the members."""
    place = members.index(user_id)
    creator = members[min(CREATOR, len(members) - 1)]
    if place == CREATOR:
        rights = types.ChatAdminRights(change_info=True, delete_messages=True, add_admins=True, other=True)
        return types.ChannelParticipantCreator(user_id, rights, rank="Founder")
    if place == ADMINISTRATOR:
        rights = types.ChatAdminRights(delete_messages=True, pin_messages=True)
        return types.ChannelParticipantAdmin(user_id, creator, since, rights)
    if user_id == call.user_id:
        return types.ChannelParticipantSelf(user_id, creator, since)
    return types.ChannelParticipant(user_id, since)


def _chosen(call: Call, members: Sequence[int], given: Any) -> list[int]:
    """The members that a filter lets through."""
    users = call.service.world.users
    if isinstance(given, types.ChannelParticipantsAdmins):
        return list(members[CREATOR : ADMINISTRATOR + 1])
    if isinstance(given, types.ChannelParticipantsBots):
        return [number for number in members if users[number].bot]
    if isinstance(given, types.ChannelParticipantsKicked | types.ChannelParticipantsBanned):
        raise RpcFault("CHAT_ADMIN_REQUIRED")
    found = list(members)
    if isinstance(given, types.ChannelParticipantsContacts):
        found = [number for number in found if users[number].contact]
    query = (getattr(given, "q", None) or "").casefold()
    return [number for number in found if _is_called(users[number], query)]


def _is_called(user: Any, query: str) -> bool:
    """Whether a word of somebody's names or the username begins with the query."""
    names = (user.first_name, user.last_name, user.username)
    words = [word for name in names if name for word in (name, *name.split())]
    return not query or any(word.casefold().startswith(query) for word in words)


@method(functions.channels.GetParticipantsRequest)
def get_participants(call: Call) -> TLObject:
    """One page of the members that a filter lets through; nothing new where the client knows them by their hash."""
    request, world = call.request, call.service.world
    channel_id = channel_of(call, request.channel)
    channel = world.chats[channel_id]
    if channel.broadcast:
        raise RpcFault("CHAT_ADMIN_REQUIRED")
    members = members_of(call, channel_mark(channel_id))
    chosen = _chosen(call, members, request.filter)
    start = max(0, request.offset)
    page = chosen[start : start + max(0, min(request.limit, MAX_MEMBERS))]
    if request.hash and request.hash & _64_BITS == hash_of(page):
        return types.channels.ChannelParticipantsNotModified()
    rows = [participant(call, members, number, channel.date) for number in page]
    return types.channels.ChannelParticipants(len(chosen), rows, [], [world.users[number] for number in page])


@method(functions.channels.GetParticipantRequest)
def get_participant(call: Call) -> TLObject:
    """One member; the account may ask for itself in a broadcast channel, too."""
    world = call.service.world
    channel_id = channel_of(call, call.request.channel)
    channel = world.chats[channel_id]
    user_id = marked_of(call, call.request.participant)
    if channel.broadcast and user_id != call.user_id:
        raise RpcFault("CHAT_ADMIN_REQUIRED")
    members = members_of(call, channel_mark(channel_id))
    if user_id not in members:
        raise RpcFault("USER_NOT_PARTICIPANT")
    row = participant(call, members, user_id, channel.date)
    return types.channels.ChannelParticipant(row, [], [world.users[user_id]])
