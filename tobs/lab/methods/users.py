"""`users.*` and `contacts.*`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.content import CHANNEL_BASE, peer_of
from tobs.lab.marks import PINNED
from tobs.lab.peers import user_of
from tobs.lab.rpc import Call, Result, RpcFault, method
from tobs.lab.selection import Wish
from tobs.lab.tl import vector

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject


@method(functions.users.GetUsersRequest)
def get_users(call: Call) -> Result:
    """The users that were asked for, `userEmpty` for those the caller cannot name rightly."""
    users = []
    for given in call.request.id:
        try:
            users.append(bytes(call.service.world.users[user_of(call, given)]))
        except RpcFault:
            users.append(bytes(types.UserEmpty(getattr(given, "user_id", 0))))
    return vector(users)


@method(functions.users.GetFullUserRequest)
def get_full_user(call: Call) -> TLObject:
    """What else there is to know about a user: the present photo and what is pinned in the chat with them."""
    world = call.service.world
    user_id = user_of(call, call.request.id)
    photos = world.ties.photos.get(user_id, ())
    history = world.histories.get(user_id)
    places = call.service.selections.positions(history, Wish(marks=PINNED)) if history is not None else ()
    full = types.UserFull(
        user_id,
        types.PeerSettings(),
        types.PeerNotifySettings(),
        0,
        profile_photo=photos[0] if photos else None,
        pinned_msg_id=history.id_at(places[0]) if history is not None and places else None,
    )
    return types.users.UserFull(full, [], [world.users[user_id]])


@method(functions.contacts.ResolveUsernameRequest)
def resolve_username(call: Call) -> Result:
    """Who has this username."""
    marked = call.service.world.usernames.get(call.request.username.lstrip("@").lower())
    if marked is None:
        raise RpcFault("USERNAME_NOT_OCCUPIED")
    content = call.service.content
    bare = -marked - CHANNEL_BASE if marked < 0 else marked
    head = struct.pack("<I", types.contacts.ResolvedPeer.CONSTRUCTOR_ID) + bytes(peer_of(marked))
    return head + content.chats({bare} if marked < 0 else ()) + content.users({bare} if marked > 0 else ())


@method(functions.contacts.GetContactsRequest)
def get_contacts(_call: Call) -> TLObject:
    """The account has no contacts."""
    return types.contacts.Contacts([], 0, [])
