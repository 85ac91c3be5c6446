"""Gaps of a history, divided where the server splits its messages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tobs.api import Range, Span
from tobs_takeout.requests import in_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from telethon.tl.types import MessageRange

    from tobs.api import Call, Chat, Invoke, Ranges


def divided(parts: Callable[[], Sequence[MessageRange]]) -> Callable[[Ranges], Ranges]:
    """A layer of Ranges by the server's `parts`, which are asked for when a chat's turn comes.

    They divide the ids that all private chats and basic groups of an account share. A channel numbers its own messages
    and stays whole; so does everything where there is but one part, and a range that has a layer of its own.
    """

    def layer(inner: Ranges) -> Ranges:
        async def ranges(chat: Chat, gaps: Sequence[Span]) -> list[Range]:
            found = await inner(chat, gaps)
            borders = parts()
            if chat.kind == "channel" or len(borders) < 2:
                return found
            return [piece for each in found for piece in ([each] if each.wrap else cut(each.span, borders))]

        return ranges

    return layer


def cut(span: Span, parts: Sequence[MessageRange]) -> Iterator[Range]:
    """The span in pieces, newest first: each id is in one of them, whatever the server's parts leave out or repeat."""
    top = span.high
    for part in sorted(parts, key=lambda part: part.min_id, reverse=True):
        low, high = max(part.min_id, span.low), min(part.max_id, top)
        if low > high:
            continue
        if high < top:
            yield Range(Span(high + 1, top))
        yield Range(Span(low, high), _within(part))
        top = low - 1
    if top >= span.low:
        yield Range(Span(span.low, top))


def _within(part: MessageRange) -> Callable[[Invoke], Invoke]:
    def layer(inner: Invoke) -> Invoke:
        async def invoke(call: Call) -> Any:
            return await inner(replace(call, request=in_range(part, call.request)))

        return invoke

    return layer
