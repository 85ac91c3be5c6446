"""`updates.*`: nothing ever changes in this lab, and it says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.content import PTS
from tobs.lab.peers import channel_of
from tobs.lab.rpc import Call, method

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject

SEQ = 1
POLL_SECONDS = 30


def state() -> types.updates.State:
    """The state of the account's updates."""
    return types.updates.State(PTS, 0, datetime.now(UTC), SEQ, 0)


@method(functions.updates.GetStateRequest)
def get_state(_call: Call) -> TLObject:
    """The state of the account's updates."""
    return state()


@method(functions.updates.GetDifferenceRequest)
def get_difference(_call: Call) -> TLObject:
    """No difference."""
    return types.updates.DifferenceEmpty(datetime.now(UTC), SEQ)


@method(functions.updates.GetChannelDifferenceRequest)
def get_channel_difference(call: Call) -> TLObject:
    """No difference in a channel."""
    channel_of(call, call.request.channel)
    return types.updates.ChannelDifferenceEmpty(PTS, final=True, timeout=POLL_SECONDS)
