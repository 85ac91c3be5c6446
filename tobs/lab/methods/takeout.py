"""Taking out everything: begin and finish a takeout session, and what only such a session may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.rpc import Call, Result, RpcFault, method
from tobs.lab.takeout import split
from tobs.lab.tl import vector

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject


@method(functions.account.InitTakeoutSessionRequest)
def init_takeout_session(call: Call) -> TLObject:
    """Begin a takeout, if its delay has passed or the account allowed it; the one before it is invalid then."""
    takeouts = call.service.takeouts
    if wait := takeouts.wait(call.user_id, call.now):
        raise RpcFault(f"TAKEOUT_INIT_DELAY_{wait}", 420)
    return types.account.Takeout(takeouts.begin(call.user_id, call.client.login, call.request))


@method(functions.account.FinishTakeoutSessionRequest)
def finish_takeout_session(call: Call) -> Result:
    """End the takeout that this is wrapped in."""
    _inside(call)
    call.service.takeouts.finish(call.user_id)
    return True


@method(functions.messages.GetSplitRangesRequest)
def get_split_ranges(call: Call) -> Result:
    """The ranges of ids for `invokeWithMessagesRange`, oldest first; clients ask for them without a takeout too."""
    world = call.service.world
    return vector([bytes(part) for part in split(world, world.scenario.limits.takeout.ranges)])


@method(functions.channels.GetLeftChannelsRequest)
def get_left_channels(call: Call) -> TLObject:
    """The channels that the account has left, from `offset` on."""
    _inside(call)
    left = [chat for chat in call.service.world.chats.values() if isinstance(chat, types.Channel) and chat.left]
    if call.request.offset < 0:
        raise RpcFault("OFFSET_INVALID")
    return types.messages.Chats(left[call.request.offset :])


@method(functions.contacts.GetSavedRequest)
def get_saved(call: Call) -> Result:
    """The account has saved nobody's number."""
    _inside(call)
    return vector(())


def _inside(call: Call) -> None:
    if call.takeout is None:
        raise RpcFault("TAKEOUT_REQUIRED", 403)
