"""Saved messages by where they come from: https://core.telegram.org/api/saved-messages."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from telethon.extensions import BinaryReader
from telethon.tl import functions, types

from tobs.lab.chosen import chosen
from tobs.lab.content import CHANNEL_BASE, peer_of
from tobs.lab.peers import history_of, marked_of, seconds
from tobs.lab.people import mark
from tobs.lab.rpc import Call, Reply, Result, RpcFault, method
from tobs.lab.selection import Wish
from tobs.lab.tl import vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.lab.history import History

MAX_DIALOGS = 100
ORIGINS = "origins of saved messages"


def _own(call: Call) -> History:
    """The chat of the account with itself; there are no channels with direct messages here."""
    if call.request.parent_peer is not None:
        raise RpcFault("PARENT_PEER_INVALID")
    return history_of(call, types.InputPeerSelf())


def _origins(history: History) -> dict[int, int]:
    """The position of the newest message out of each origin (marked id), the newest first."""
    found: dict[int, int] = {}
    for first in range(0, history.count, 100):
        places = range(first, min(first + 100, history.count))
        for place, data in zip(places, history.at(places).messages, strict=True):
            found.setdefault(mark(BinaryReader(data).tgread_object().saved_peer_id), place)
    return found


def _dialogs(call: Call, history: History, origins: Sequence[tuple[int, int]], count: int) -> Reply:
    rows = [bytes(types.SavedDialog(peer_of(origin), history.id_at(place))) for origin, place in origins]
    part = history.at([place for _, place in origins])
    users = part.user_ids | {origin for origin, _ in origins if origin > 0}
    chats = part.chat_ids | {-origin - CHANNEL_BASE for origin, _ in origins if origin < -CHANNEL_BASE}
    if len(rows) == count:
        head = struct.pack("<I", types.messages.SavedDialogs.CONSTRUCTOR_ID)
    else:
        head = struct.pack("<Ii", types.messages.SavedDialogsSlice.CONSTRUCTOR_ID, count)
    content = call.service.content
    return Reply((head, vector(rows), vector(part.messages), content.chats(chats), content.users(users)))


@method(functions.messages.GetSavedDialogsRequest)
def get_saved_dialogs(call: Call) -> Result:
    """Where saved messages come from, that with the newest message first, from an offset on; none is pinned."""
    request = call.request
    history = _own(call)
    origins = call.service.selections.remembered(history, ORIGINS, _origins)
    every = list(origins.items())
    rest = every
    if not isinstance(request.offset_peer, types.InputPeerEmpty):
        behind = origins.get(marked_of(call, request.offset_peer))
        rest = [] if behind is None else [entry for entry in every if entry[1] > behind]
    elif before := seconds(request.offset_date):
        rest = [entry for entry in every if history.dates[entry[1]] < before]
    return _dialogs(call, history, rest[: max(1, min(request.limit or MAX_DIALOGS, MAX_DIALOGS))], len(every))


@method(functions.messages.GetSavedDialogsByIDRequest)
def get_saved_dialogs_by_id(call: Call) -> Result:
    """The given origins, but for those out of which nothing was saved."""
    history = _own(call)
    origins: dict[int, int] = call.service.selections.remembered(history, ORIGINS, _origins)
    asked = [marked_of(call, peer) for peer in call.request.ids]
    found = [(origin, origins[origin]) for origin in asked if origin in origins]
    return _dialogs(call, history, found, len(found))


@method(functions.messages.GetSavedHistoryRequest)
def get_saved_history(call: Call) -> Result:
    """One page of what was saved out of one origin, newest first."""
    history = _own(call)
    return chosen(call, history, Wish(saved_peer=marked_of(call, call.request.peer)))
