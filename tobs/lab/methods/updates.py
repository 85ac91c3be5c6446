"""`updates.*`: the state of the boxes and what one missed. Source: https://core.telegram.org/api/updates."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.content import CHANNEL_BASE, channel_mark
from tobs.lab.feed import ACCOUNT, SEQ, too_long
from tobs.lab.methods.messages import dialog_of
from tobs.lab.peers import channel_of
from tobs.lab.rpc import Call, Reply, Result, RpcFault, method
from tobs.lab.tl import Chunks, vector

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject

    from tobs.lab.feed import Difference

POLL_SECONDS = 30
MOST = 100
"""Changes in one answer."""

FINAL, TIMEOUT = 1, 2
"""Flags of `updates.channelDifference` and its like."""


@method(functions.updates.GetStateRequest)
def get_state(call: Call) -> TLObject:
    """The state of the account's updates."""
    return call.service.feed.state()


@method(functions.updates.GetDifferenceRequest)
def get_difference(call: Call) -> Result:
    """What changed in private chats and basic groups after `pts`; of channels only that they changed after `date`."""
    request, feed = call.request, call.service.feed
    if request.pts <= 0:
        raise RpcFault("PERSISTENT_TIMESTAMP_EMPTY")
    current = feed.pts(ACCOUNT)
    if request.pts_total_limit and request.pts + request.pts_total_limit < current:
        return types.updates.DifferenceTooLong(current)
    found, pts = feed.difference(ACCOUNT, request.pts, min(request.pts_limit or MOST, MOST))
    if pts >= current and request.date is not None:
        found.others.extend(
            too_long((-mark - CHANNEL_BASE, feed.pts(mark)) for mark in feed.changed_since(request.date))
        )
    if not (found.messages or found.others or pts < current):
        return types.updates.DifferenceEmpty(datetime.now(UTC), SEQ)
    kind = types.updates.Difference if pts >= current else types.updates.DifferenceSlice
    state = feed.state()
    state.pts = max(pts, 1)
    head = struct.pack("<I", kind.CONSTRUCTOR_ID)
    return Reply((head, vector(found.messages), vector(()), vector(found.others), *_named(call, found), bytes(state)))


@method(functions.updates.GetChannelDifferenceRequest)
def get_channel_difference(call: Call) -> Result:
    """What changed in a channel after `pts`; its newest messages instead when that is more than `limit` changes."""
    request, feed = call.request, call.service.feed
    mark = channel_mark(channel_of(call, request.channel))
    history = call.service.world.histories.get(mark)
    if history is None:
        raise RpcFault("CHANNEL_PRIVATE")
    current = feed.pts(mark)
    if request.pts <= 0:
        raise RpcFault("PERSISTENT_TIMESTAMP_EMPTY")
    if request.pts > current:
        raise RpcFault("PERSISTENT_TIMESTAMP_INVALID")
    if request.pts == current:
        return types.updates.ChannelDifferenceEmpty(current, final=True, timeout=POLL_SECONDS)
    if request.pts + max(1, request.limit) < current:
        row, _ = dialog_of(call, mark)
        newest = history.slice(limit=MOST)
        head = struct.pack("<IIi", types.updates.ChannelDifferenceTooLong.CONSTRUCTOR_ID, FINAL | TIMEOUT, POLL_SECONDS)
        content = call.service.content
        named = content.chats(newest.chat_ids), content.users(newest.user_ids)
        return Reply((head, row, vector(newest.messages), *named))
    found, pts = feed.difference(mark, request.pts, min(max(1, request.limit), MOST))
    flags = TIMEOUT | (FINAL if pts == current else 0)
    head = struct.pack("<IIii", types.updates.ChannelDifference.CONSTRUCTOR_ID, flags, pts, POLL_SECONDS)
    return Reply((head, vector(found.messages), vector(found.others), *_named(call, found)))


def _named(call: Call, found: Difference) -> Chunks:
    content = call.service.content
    return content.chats(found.chats), content.users(found.users)
