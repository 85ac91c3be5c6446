"""The baseline Source: one range after another, one page after another, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tobs.values import Span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from tobs.ports import Range
    from tobs.values import Chat, Page

    AskPage = Callable[[Chat, Range], Awaitable[Page]]


class SequentialSource:
    """Walks each range down from its newest message; `ask` is core's own history request."""

    def __init__(self, ask: AskPage) -> None:
        self._ask = ask

    async def __call__(self, chat: Chat, ranges: Sequence[Range]) -> AsyncGenerator[Page]:
        """Yield the pages of all ranges."""
        for whole in ranges:
            left = whole
            while left.span.low <= left.span.high:
                page = await self._ask(chat, left)
                yield page
                if page.ended:
                    break
                left = type(whole)(Span(whole.span.low, page.span.low - 1), whole.wrap)
