"""`stories.*`: whatever story a message mentions has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telethon.tl import functions, types

from tobs.lab.peers import marked_of
from tobs.lab.rpc import Call, method

if TYPE_CHECKING:
    from telethon.tl.tlobject import TLObject


@method(functions.stories.GetStoriesByIDRequest)
def get_stories(call: Call) -> TLObject:
    """None of the stories that were asked for."""
    marked_of(call, call.request.peer)
    return types.stories.Stories(count=0, stories=[], chats=[], users=[])
