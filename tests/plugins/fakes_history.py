"""A chat's history as a server hands it out, with every liberty that a server may take."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.engine.fakes import CHAT
from tobs.engine.spans import NEWEST
from tobs.meters import Meters
from tobs.ports import Range
from tobs.telegram.service import as_page
from tobs.values import PAGE, Page, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tobs.ports import Invoke, Source
    from tobs.values import Chat


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Message:
    """As much of a message as a source looks at."""

    id: int


@dataclass(frozen=True)
class Wrap:
    """What a takeout puts around the requests of a range: the server then hands out what lies in `span` alone."""

    span: Span

    def __call__(self, invoke: Invoke) -> Invoke:
        return invoke


@dataclass
class History:
    """Ids of a chat behind a wire, and the `Context` that asks for them.

    `delay` gives each request its seconds. `positions`, `offsets`: whether the server says positions and obeys
    add_offset. `shorten` may leave messages out of an answer's end. `meanwhile` is called before each answer. `hidden`
    messages are counted and never handed out. `fails` names the request that is refused. Positions and counts inside of
    a `Wrap` are those of its own messages, or if not `own` those of the whole history.
    """

    ids: Sequence[int]
    delay: Callable[[], float] = lambda: 0.1
    positions: bool = True
    offsets: bool = True
    shorten: Callable[[int], int] = lambda many: many
    meanwhile: Callable[[History], None] = lambda _: None
    hidden: int = 0
    own: bool = True
    fails: int | None = None
    in_flight: int = 0
    most: int = 0
    asked: list[tuple[Range, int]] = field(default_factory=list)
    answered: int = 0
    meters: Meters = field(default_factory=Meters)
    knobs: dict[str, Any] = field(default_factory=lambda: {"history_in_flight": 16})

    def __post_init__(self) -> None:
        self.newest_first = sorted(self.ids, reverse=True)

    async def page(self, chat: Chat, within: Range, *, skip: int = 0) -> Page:
        """See `tobs.ports.Context`. The answer is made half way."""
        self.asked.append((within, skip))
        number = len(self.asked)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            seconds = self.delay()
            await asyncio.sleep(seconds / 2)
            if number == self.fails:
                raise ConnectionError(f"request {number}")
            self.meanwhile(self)
            page = as_page(chat, within.span, self.answer(within, skip), skip)
            await asyncio.sleep(seconds / 2)
        finally:
            self.in_flight -= 1
        self.answered += 1
        return page

    def answer(self, within: Range, skip: int) -> Any:
        """As core.telegram.org/api/offsets has it: first the slice, then what is below the lower limit drops out."""
        span, wrap = within.span, within.wrap
        seen = [
            one for one in self.newest_first if not isinstance(wrap, Wrap) or wrap.span.low <= one <= wrap.span.high
        ]
        counted = seen if self.own else self.newest_first
        start = 0
        if span.high < NEWEST:
            start = next((at for at, one in enumerate(seen) if one <= span.high), len(seen))
        start += skip if self.offsets else 0
        found = [one for one in seen[start : start + PAGE] if one >= span.low]
        found = found[: self.shorten(len(found))]
        return SimpleNamespace(
            messages=[Message(one) for one in found],
            users=[],
            chats=[],
            count=len(counted) + self.hidden,
            offset_id_offset=start + sum(one > seen[0] for one in counted if seen) if self.positions else None,
            wire_size=100 * len(found),
        )

    def inside(self, ranges: Iterable[Range]) -> list[int]:
        """Ids that are there now in some ranges."""
        return [one for one in self.newest_first if any(each.span.low <= one <= each.span.high for each in ranges)]

    def worth(self, ranges: Iterable[Range]) -> int:
        """Pages that a straight reader asks for: each range ends with the page that shows its end."""
        return sum(max(-(-len(self.inside([each])) // PAGE), 1) for each in ranges)


def with_gaps(count: int, gaps: float, seed: int) -> list[int]:
    """`count` ids with a share of `gaps` left out, here densely and there thinly."""
    chance = random.Random(seed)
    ids: list[int] = []
    last = 0
    while len(ids) < count:
        stretch = min(chance.randint(1, 400), count - len(ids))
        share = chance.choice((0.0, gaps, gaps))
        for _ in range(stretch):
            last += 1
            while chance.random() < share:
                last += 1
            ids.append(last)
    return ids


def whole() -> list[Range]:
    """Everything."""
    return [Range(Span(1, NEWEST))]


async def read(source: Source, ranges: Sequence[Range]) -> list[Page]:
    """All pages of a source."""
    return [page async for page in source(CHAT, ranges)]


def unread(pages: Iterable[Page], ranges: Sequence[Range], newest: int) -> list[Span]:
    """What no page proves of the ranges, up to the newest message. No page may prove what was not asked for."""
    spans = sorted(page.span for page in pages if page.span.low <= page.span.high)
    lacking: list[Span] = []
    for each in ranges:
        at, top = each.span.low, min(each.span.high, newest)
        for span in spans:
            if span.high < at or span.low > top:
                continue
            if span.low > at:
                lacking.append(Span(at, span.low - 1))
            at = max(at, span.high + 1)
        if at <= top:
            lacking.append(Span(at, top))
    outside = [span for span in spans if not any(r.span.low <= span.low and span.high <= r.span.high for r in ranges)]
    assert not outside, outside
    return lacking


def ids_of(pages: Iterable[Page]) -> list[int]:
    """Ids of all messages, as often as they came, rising."""
    return sorted(message.id for page in pages for message in page.messages)
