"""`messages.search` and its kin: by text, kind, writer, date, thread; https://core.telegram.org/api/search."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from tobs.lab import marks
from tobs.lab.chosen import chosen
from tobs.lab.peers import bare_of, history_of, marked_of, seconds
from tobs.lab.rpc import Call, Reply, Result, RpcFault, method
from tobs.lab.selection import MYSELF, Wish
from tobs.lab.takeout import reach
from tobs.lab.tl import vector

if TYPE_CHECKING:
    from tobs.lab.history import History

FILTERS: dict[type[Any], int] = {
    types.InputMessagesFilterEmpty: 0,
    types.InputMessagesFilterPhotos: marks.PHOTO,
    types.InputMessagesFilterVideo: marks.VIDEO,
    types.InputMessagesFilterPhotoVideo: marks.PHOTO | marks.VIDEO,
    types.InputMessagesFilterDocument: marks.DOCUMENT,
    types.InputMessagesFilterUrl: marks.URL,
    types.InputMessagesFilterGif: marks.GIF,
    types.InputMessagesFilterVoice: marks.VOICE,
    types.InputMessagesFilterMusic: marks.MUSIC,
    types.InputMessagesFilterChatPhotos: marks.CHAT_PHOTO,
    types.InputMessagesFilterPhoneCalls: marks.PHONE_CALL,
    types.InputMessagesFilterRoundVoice: marks.ROUND | marks.VOICE,
    types.InputMessagesFilterRoundVideo: marks.ROUND,
    types.InputMessagesFilterMyMentions: marks.MENTION,
    types.InputMessagesFilterGeo: marks.GEO,
    types.InputMessagesFilterContacts: marks.CONTACT,
    types.InputMessagesFilterPinned: marks.PINNED,
    types.InputMessagesFilterPoll: marks.POLL,
}
MAX_FOUND = 100


def _wish(given: Any, **more: Any) -> Wish:
    """What a filter asks for, and more; INPUT_FILTER_INVALID where it is none."""
    if type(given) not in FILTERS:
        raise RpcFault("INPUT_FILTER_INVALID")
    return Wish(marks=FILTERS[type(given)], missed=bool(getattr(given, "missed", False)), **more)


def _peer(call: Call, given: Any) -> int:
    """The marked id of a peer that a search may name, 0 for none."""
    if given is None or isinstance(given, types.InputPeerEmpty):
        return 0
    return marked_of(call, given)


@method(functions.messages.SearchRequest)
def search(call: Call) -> Result:
    """One page of the messages of a chat that match, newest first; `count` counts all that do."""
    request = call.request
    if isinstance(request.peer, types.InputPeerEmpty):
        raise RpcFault("PEER_ID_INVALID")
    history = history_of(call, request.peer)
    sender = _peer(call, request.from_id)
    if sender == call.user_id and history.kind == "user" and history.peer_id != sender:
        sender = MYSELF
    wish = _wish(
        request.filter,
        thread=request.top_msg_id or None,
        text=request.q,
        sender=sender,
        saved_peer=_peer(call, request.saved_peer_id),
        after=seconds(request.min_date),
        before=seconds(request.max_date),
        ids=None if call.range is None else reach(history, call.range),
    )
    return chosen(call, history, wish)


@method(functions.messages.GetSearchCountersRequest)
def get_search_counters(call: Call) -> Result:
    """How many messages of a chat each filter finds."""
    request, service = call.request, call.service
    history = history_of(call, request.peer)
    thread, saved = request.top_msg_id or None, _peer(call, request.saved_peer_id)
    counters = []
    for given in request.filters:
        wish = _wish(given, thread=thread, saved_peer=saved)
        counters.append(bytes(types.messages.SearchCounter(given, service.selections.count(history, wish))))
    return vector(counters)


@method(functions.messages.SearchGlobalRequest)
def search_global(call: Call) -> Result:
    """Messages of all chats that match, newest first; `next_rate` is the date from which the next page goes on."""
    request, service = call.request, call.service
    wish = _wish(request.filter, text=request.q, after=seconds(request.min_date), before=seconds(request.max_date))
    if not request.q and not wish.marks:
        raise RpcFault("SEARCH_QUERY_EMPTY")
    found = [
        (-history.dates[place], history.peer_id, -history.id_at(place), place)
        for history in service.world.histories.values()
        if _is_asked_for(call, history)
        for place in service.selections.positions(history, wish)
    ]
    found.sort()
    start = 0
    if request.offset_id:
        behind = (-request.offset_rate, _peer(call, request.offset_peer), -request.offset_id)
        start = sum(entry[:3] <= behind for entry in found)
    chosen = found[start : start + max(1, min(request.limit or MAX_FOUND, MAX_FOUND))]
    messages: list[bytes] = []
    users: set[int] = set()
    chats: set[int] = set()
    for _, peer, _, place in chosen:
        part = service.world.histories[peer].at([place])
        messages += part.messages
        users |= part.user_ids
        chats |= part.chat_ids
    more = start + len(chosen) < len(found)
    head = struct.pack("<IIi", types.messages.MessagesSlice.CONSTRUCTOR_ID, 1 if more else 0, len(found))
    head += struct.pack("<i", -chosen[-1][0]) if more else b""
    content = service.content
    return Reply((head, vector(messages), vector(()), content.chats(chats), content.users(users)))


def _is_asked_for(call: Call, history: History) -> bool:
    request = call.request
    if request.folder_id:
        return False
    wanted = (request.broadcasts_only, request.groups_only, request.users_only)
    if not any(wanted):
        return True
    if history.kind == "user":
        return bool(request.users_only)
    chat = call.service.world.chats[bare_of(history.peer_id)]
    return bool(request.broadcasts_only if getattr(chat, "broadcast", False) else request.groups_only)
