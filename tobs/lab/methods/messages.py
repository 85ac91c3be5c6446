"""`messages.*`: dialogs, history by every offset rule, single messages."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from telethon.extensions import BinaryReader
from telethon.tl import functions, types

from tobs.lab.content import CHANNEL_BASE, channel_mark, empty_message, is_empty_message, peer_of
from tobs.lab.marks import PINNED
from tobs.lab.peers import channel_of, marked_of
from tobs.lab.rpc import Call, Reply, Result, RpcFault, method
from tobs.lab.selection import Wish
from tobs.lab.takeout import within
from tobs.lab.tl import vector

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tobs.lab.world import History, Slice

MAX_DIALOGS = 100
MAX_IDS = 100


def _history(call: Call, marked: int) -> History | None:
    history = call.service.world.histories.get(marked)
    if history is None and marked < -CHANNEL_BASE:
        raise RpcFault("CHANNEL_PRIVATE")
    return history


def _seconds(date: datetime | None) -> int:
    return int(date.timestamp()) if date is not None else 0


@method(functions.messages.GetHistoryRequest, limit="history")
def get_history(call: Call) -> Result:
    """One page of a chat's messages, newest first."""
    request, service = call.request, call.service
    history = _history(call, marked_of(call, request.peer))
    if history is None:
        return types.messages.Messages([], [], [], [])
    where = (
        request.offset_id,
        _seconds(request.offset_date),
        request.add_offset,
        request.limit,
        request.max_id,
        request.min_id,
    )
    body, messages = service.content.page(history, where, call.range)
    return Reply(body, lambda: service.counters.served_page(messages))


@method(functions.channels.GetMessagesRequest)
def get_channel_messages(call: Call) -> Result:
    """Messages of a channel by id."""
    history = _history(call, channel_mark(channel_of(call, call.request.channel)))
    if history is None:
        raise RpcFault("CHANNEL_INVALID")
    ids = [_id(call, given, history) for given in _given(call.request.id)]
    return Reply(call.service.content.messages(history.get(ids), history, whole=True))


@method(functions.messages.GetMessagesRequest)
def get_messages(call: Call) -> Result:
    """Messages of private chats and basic groups by id; these share one row of numbers."""
    service = call.service
    others = [history for history in service.world.histories.values() if history.kind != "channel"]
    found: list[bytes] = []
    users: set[int] = set()
    chats: set[int] = set()
    within_range = call.range
    for given in _given(call.request.id):
        number = given.id if isinstance(given, types.InputMessageID) else 0
        if within_range is not None and not within_range.min_id <= number <= within_range.max_id:
            found.append(empty_message(number))
            continue
        message = empty_message(number)
        for history in others:
            part = history.get([number or _id(call, given, history)])
            if not is_empty_message(part.messages[0]):
                message = part.messages[0]
                users |= part.user_ids
                chats |= part.chat_ids
                break
        found.append(message)
    head = struct.pack("<I", types.messages.Messages.CONSTRUCTOR_ID)
    return Reply((head, vector(found), vector(()), service.content.chats(chats), service.content.users(users)))


def _given(ids: Sequence[Any]) -> Sequence[Any]:
    if len(ids) > MAX_IDS:
        raise RpcFault("MESSAGE_IDS_TOO_MANY")
    return ids


def _id(call: Call, given: Any, history: History) -> int:
    """The id of the message that is meant: by its own, as the pinned one, or as what another replies to; 0 for none."""
    if isinstance(given, types.InputMessageID):
        return int(given.id)
    if isinstance(given, types.InputMessagePinned):
        places = call.service.selections.positions(history, Wish(marks=PINNED))
        return history.id_at(places[0]) if places else 0
    place = history.position(given.id) if isinstance(given, types.InputMessageReplyTo) else None
    if place is None:
        return 0
    header = BinaryReader(history.at([place]).messages[0]).tgread_object().reply_to
    here = isinstance(header, types.MessageReplyHeader) and header.reply_to_peer_id is None
    return int(header.reply_to_msg_id or 0) if here else 0


def dialog_of(call: Call, mark: int) -> tuple[bytes, Slice]:
    """The dialog of a chat, serialized, and its newest message."""
    history = call.service.world.histories[mark]
    top = _top(call, history)
    newest = BinaryReader(top.messages[0]).tgread_object().id if top.messages else 0
    dialog = types.Dialog(
        peer=peer_of(mark),
        top_message=newest,
        read_inbox_max_id=newest,
        read_outbox_max_id=newest,
        unread_count=0,
        unread_mentions_count=0,
        unread_reactions_count=0,
        unread_poll_votes_count=0,
        notify_settings=types.PeerNotifySettings(),
        pts=history.pts if history.kind == "channel" else None,
    )
    return bytes(dialog), top


def _dialogs(call: Call, marked: Sequence[int]) -> tuple[bytes, bytes, bytes, bytes]:
    content = call.service.content
    rows: list[bytes] = []
    messages: list[bytes] = []
    users: set[int] = set()
    chats: set[int] = set()
    for mark in marked:
        row, top = dialog_of(call, mark)
        rows.append(row)
        messages += top.messages
        users |= top.user_ids
        chats |= top.chat_ids
        if mark > 0:
            users.add(mark)
        else:
            chats.add(-mark - CHANNEL_BASE if mark < -CHANNEL_BASE else -mark)
    return vector(rows), vector(messages), content.chats(chats), content.users(users)


def _top(call: Call, history: History) -> Slice:
    """The newest message of a chat, of those in the range that was asked for."""
    where = (0, 0, 0, 1, 0, 0)
    return history.slice(*where) if call.range is None else within(history, call.range, where)


def _listed(call: Call) -> list[int]:
    """The chats that have messages in the range that was asked for."""
    world = call.service.world
    if call.range is None:
        return world.dialogs()
    return [mark for mark in world.dialogs() if _top(call, world.histories[mark]).count]


@method(functions.messages.GetDialogsRequest)
def get_dialogs(call: Call) -> Result:
    """The account's chats, newest message first, from an offset on; none are archived."""
    request, world = call.request, call.service.world
    every = [] if request.folder_id else _listed(call)
    rest = every
    if not isinstance(request.offset_peer, types.InputPeerEmpty):
        mark = marked_of(call, request.offset_peer)
        rest = every[every.index(mark) + 1 :] if mark in every else []
    elif before := _seconds(request.offset_date):
        rest = [mark for mark in every if world.histories[mark].newest[0] < before]
    chosen = rest[: max(1, min(request.limit or MAX_DIALOGS, MAX_DIALOGS))]
    if len(chosen) == len(every):
        head = struct.pack("<I", types.messages.Dialogs.CONSTRUCTOR_ID)
    else:
        head = struct.pack("<Ii", types.messages.DialogsSlice.CONSTRUCTOR_ID, len(every))
    return Reply((head, *_dialogs(call, chosen)))


@method(functions.messages.GetPeerDialogsRequest)
def get_peer_dialogs(call: Call) -> Result:
    """The dialogs of given peers."""
    world = call.service.world
    marked = [marked_of(call, given.peer) for given in call.request.peers if isinstance(given, types.InputDialogPeer)]
    head = struct.pack("<I", types.messages.PeerDialogs.CONSTRUCTOR_ID)
    rows = _dialogs(call, [mark for mark in marked if mark in world.histories])
    return Reply((head, *rows, bytes(call.service.feed.state())))


@method(functions.messages.GetPinnedDialogsRequest)
def get_pinned_dialogs(call: Call) -> Result:
    """No dialog is pinned."""
    head = struct.pack("<I", types.messages.PeerDialogs.CONSTRUCTOR_ID)
    return Reply((head, *_dialogs(call, ()), bytes(call.service.feed.state())))


@method(functions.messages.GetDialogFiltersRequest)
def get_dialog_filters(_call: Call) -> Result:
    """The account has no folders."""
    return types.messages.DialogFilters([])
