"""What an answer to getHistory proves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from telethon.tl import types

from tobs.engine.spans import NEWEST
from tobs.telegram.service import as_page
from tobs.values import Chat, Span

CHAT = Chat(-1_000_000_000_005, "channel", "T")
DATE = datetime(2024, 1, 31, tzinfo=UTC)


def slice_of(ids: list[int], count: int = 1000) -> Any:
    messages = [types.Message(number, types.PeerChannel(5), DATE, "") for number in ids]
    return types.messages.ChannelMessages(1, count, messages, [], [], [])


FULL = list(range(300, 200, -1))


@pytest.mark.parametrize(
    ("asked", "ids", "span", "ended", "doubtful"),
    [
        (Span(1, NEWEST), FULL, Span(201, 300), False, False),
        (Span(1, 400), FULL, Span(201, 400), False, False),
        (Span(201, NEWEST), FULL, Span(201, 300), True, False),
        (Span(205, 400), [300, 206], Span(205, 400), True, True),
        (Span(1, NEWEST), [30, 20, 1], Span(1, 30), True, False),
        (Span(1, NEWEST), [30, 20, 2], Span(1, 30), True, True),
        (Span(50, 90), [], Span(50, 90), True, False),
        (Span(50, NEWEST), [], Span(50, 49), True, False),
    ],
)
def test_a_page_proves_a_span(asked: Span, ids: list[int], span: Span, *, ended: bool, doubtful: bool) -> None:
    page = as_page(CHAT, asked, slice_of(ids))
    assert (page.span, page.ended, page.doubtful, page.count) == (span, ended, doubtful, 1000)


def test_a_whole_history_is_beyond_doubt() -> None:
    messages = [types.Message(number, types.PeerChat(7), DATE, "") for number in (30, 20)]
    page = as_page(CHAT, Span(1, NEWEST), types.messages.Messages(messages, [], [], []))
    assert (page.span, page.ended, page.doubtful, page.count) == (Span(1, 30), True, False, 2)
