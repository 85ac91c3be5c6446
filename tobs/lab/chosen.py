"""The answer to a request for those messages of a chat that meet a wish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.lab.peers import seconds
from tobs.lab.rpc import Call, Reply

if TYPE_CHECKING:
    from tobs.lab.history import History
    from tobs.lab.selection import Wish


def chosen(call: Call, history: History, wish: Wish) -> Reply:
    """The page that the request's offsets, limit and bounds select; not every such request has an offset date."""
    request, service = call.request, call.service
    part = service.selections.slice(
        history,
        wish,
        offset_id=request.offset_id,
        offset_date=seconds(getattr(request, "offset_date", None)),
        add_offset=request.add_offset,
        limit=request.limit,
        max_id=request.max_id,
        min_id=request.min_id,
    )
    return Reply(service.content.messages(part, history, whole=False))
