"""takeout's session: everything inside it, one renewal that all share, a fallback that is announced, a proper end."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.tl import functions, types

from tobs.engine.invoke import retry
from tobs.engine.state import MemoryState
from tobs.errors import LostError, RpcError
from tobs.ports import Call, Range
from tobs.values import Chat, Span, Traffic
from tobs_takeout import requests
from tobs_takeout.ranges import cut, divided
from tobs_takeout.session import ALLOW, DELAYED, LOST, SCOPE, Session, TakeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

HISTORY = "messages.getHistory"
DAY = 86_400
HALVES = (types.MessageRange(1, 500), types.MessageRange(501, 2**31 - 1))
PRIVATE = Chat(7, "user", "Ann")
SETTLED = {HISTORY: 1, requests.SPLIT: 1, requests.FINISH: 1}


@dataclass
class Telegram:
    """A server's takeouts. `asked` has each request: its method, whether inside a session, and its scope.

    `delay` refuses new ones. `dies` are numbers of requests inside before which the session ends. `loses` names methods
    whose first answer is lost.
    """

    delay: int = 0
    dies: Sequence[int] = ()
    loses: set[str] = field(default_factory=set)
    parts: Sequence[types.MessageRange] = HALVES
    open: int | None = None
    begun: int = 0
    inside: int = 0
    finished: list[bool] = field(default_factory=list)
    asked: list[tuple[str, bool, str]] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)

    async def __call__(self, call: Call) -> Any:
        request, session, part = call.request, None, None
        self.sent.append(request)
        if isinstance(request, functions.InvokeWithTakeoutRequest):
            session, request = request.takeout_id, request.query
        if isinstance(request, functions.InvokeWithMessagesRangeRequest):
            part, request = request.range, request.query
        assert not isinstance(request, functions.InvokeWithTakeoutRequest), "wrapped twice"
        self.asked.append((call.method, session is not None, call.scope))
        await asyncio.sleep(0)
        if session is not None:
            self.inside += 1
            if self.inside in self.dies:
                self.open = None
            if session != self.open:
                raise RpcError(400, LOST, None, call.method)
        answer = self.answer(call.method, request, part)
        if call.method in self.loses:
            self.loses.remove(call.method)
            raise LostError(call.method)
        return answer

    def answer(self, method: str, request: Any, part: Any) -> Any:
        if method == requests.INIT:
            if self.delay:
                raise RpcError(420, DELAYED, self.delay, method)
            assert request.files
            assert request.file_max_size == 4 << 30
            self.begun += 1
            self.open = 1000 + self.begun
            return types.account.Takeout(self.open)
        if method == requests.FINISH:
            self.open = None
            self.finished.append(bool(request.success))
            return True
        if method == requests.SPLIT:
            return self.parts
        return part

    def requests_inside(self) -> Counter[str]:
        return Counter(method for method, inside, _ in self.asked if inside)


class Run:
    """A session of its own over a server and an account's state, and the way of its requests."""

    def __init__(
        self, server: Telegram, kept: MemoryState | None = None, *, required: bool = False, ranges: bool = True
    ) -> None:
        self.kept = kept or MemoryState()
        self.session = Session(required=required, ranges=ranges)
        self.invoke = retry(1, 0)(self.session.layer(server))

    def state(self, scope: str) -> MemoryState:
        assert scope == "account"
        return self.kept

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        ctx: Any = self
        async with self.session.held(ctx):
            yield

    async def history(self) -> Any:
        return await self.invoke(Call("a page", HISTORY, Traffic.HISTORY))


async def test_a_run_is_inside_from_its_first_request_to_its_last_and_finishes() -> None:
    server = Telegram()
    run = Run(server)
    await run.history()
    async with run.held():
        await run.history()
        kept = dict(run.kept.get("session"))
        await run.invoke(Call("a part", "upload.getFile", Traffic.MEDIA, dc=4))
        await run.invoke(Call("a login", "auth.exportAuthorization"))
    await run.history()
    plain, outside = (HISTORY, False, ""), ("auth.exportAuthorization", False, "")
    begin, split, finish = (requests.INIT, False, ""), (requests.SPLIT, True, SCOPE), (requests.FINISH, True, "")
    inside = [(HISTORY, True, SCOPE), ("upload.getFile", True, SCOPE)]
    assert server.asked == [plain, begin, split, *inside, outside, finish, plain]
    assert server.finished == [True]
    assert kept["id"] == 1001, "it is kept before the first request rests on it"
    assert run.kept.get("session") == {}


async def test_what_retries_send_again_is_wrapped_once_and_the_call_stays_as_it_was() -> None:
    server = Telegram(loses={HISTORY})
    run = Run(server)
    call = Call("a page", HISTORY)
    async with run.held():
        await run.invoke(call)
    assert server.requests_inside()[HISTORY] == 2
    assert call == Call("a page", HISTORY)


async def test_answers_are_read_as_the_requests_own() -> None:
    class Sized(functions.messages.GetHistoryRequest):  # type: ignore[misc]
        def read_result(self, reader: Any) -> Any:
            return "sized", reader

    inner = Sized(types.InputPeerSelf(), 0, None, 0, 1, 0, 0, 0)
    wrapped = requests.in_takeout(5, requests.in_range(HALVES[0], inner))
    assert wrapped.read_result("answer") == ("sized", "answer")
    plain = functions.InvokeWithMessagesRangeRequest(HALVES[0], inner)
    assert bytes(wrapped) == bytes(functions.InvokeWithTakeoutRequest(5, plain))


async def test_a_run_that_fails_leaves_its_session_to_the_next_which_finishes_it() -> None:
    server, kept = Telegram(), MemoryState()
    run = Run(server, kept)
    with pytest.raises(ZeroDivisionError):
        async with run.held():
            raise ZeroDivisionError
    assert server.finished == []
    async with Run(server, kept).held():
        pass
    assert server.begun == 1
    assert server.finished == [True]
    assert kept.get("session") == {}


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_kept_session_that_is_gone_is_replaced_before_history_begins(ranges: bool) -> None:
    server, kept = Telegram(), MemoryState()
    kept.put("session", {"id": 77, "exports": requests.EXPORTS})
    run = Run(server, kept, ranges=ranges)
    async with run.held():
        assert server.begun == 1
        await run.history()
        server.open = None
        await run.history()
        assert server.begun == 2, "what was kept is not what may be replaced once"
    assert server.requests_inside()[HISTORY] == 3
    assert server.finished == [True]


async def test_a_kept_session_that_is_gone_and_must_wait_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Strict(Telegram):
        def answer(self, method: str, request: Any, part: Any) -> Any:
            if method == requests.SPLIT and self.open is None:
                raise RpcError(403, "TAKEOUT_REQUIRED", None, method)
            return super().answer(method, request, part)

    server, kept = Strict(delay=DAY), MemoryState()
    kept.put("session", {"id": 77, "exports": requests.EXPORTS})
    run = Run(server, kept)
    async with run.held():
        await run.history()
    assert [record.levelno >= logging.WARNING for record in caplog.records].count(True) == 1
    assert "24 hours" in caplog.text
    assert kept.get("session") == {}


async def test_a_kept_session_for_something_else_is_finished_first() -> None:
    server, kept = Telegram(open=77), MemoryState()
    kept.put("session", {"id": 77, "exports": {"contacts": True}})
    async with Run(server, kept).held():
        assert server.asked[:2] == [(requests.FINISH, True, ""), (requests.INIT, False, "")]
    assert server.finished == [False, True]


@pytest.mark.parametrize("kept", [{"id": "77"}, {"id": None, "exports": requests.EXPORTS}, {"id": True}, {"x": 1}])
async def test_damaged_state_is_no_session(kept: dict[str, Any]) -> None:
    server, state = Telegram(), MemoryState()
    state.put("session", kept)
    async with Run(server, state).held():
        assert server.asked[0][0] == requests.INIT


@pytest.mark.parametrize("workers", [1, 2, 16])
async def test_requests_that_find_it_gone_share_one_new_session(workers: int) -> None:
    server = Telegram(dies=[5])
    run = Run(server)
    async with run.held():
        await asyncio.gather(*(run.history() for _ in range(workers)))
        for _ in range(4):
            await asyncio.gather(*(run.history() for _ in range(workers)))
    assert server.begun == 2
    assert server.finished == [True]
    assert all(inside for method, inside, _ in server.asked if method == HISTORY)
    assert server.requests_inside()[HISTORY] <= 6 * workers, "nobody asks in vain while another begins one"


async def test_lost_twice_the_run_goes_on_without_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    server = Telegram(dies=[3, 6])
    run = Run(server)
    part = HALVES[0]
    async with run.held():
        for _ in range(4):
            await run.history()
        assert run.session.parts() == ()
        assert await run.invoke(Call(requests.in_range(part, "a page"), HISTORY)) is None, "outside no range is asked"
    assert [inside for method, inside, _ in server.asked if method == HISTORY] == [
        True,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert server.begun == 2
    assert server.finished == []
    assert run.kept.get("session") == {}
    [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "second time" in warning
    assert "without a takeout" in warning


async def test_a_delay_is_explained_once_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    server = Telegram(delay=DAY)
    run = Run(server)
    async with run.held():
        await asyncio.gather(*(run.history() for _ in range(5)))
        assert run.session.parts() == ()
    assert not server.requests_inside()
    assert [method for method, _, _ in server.asked].count(requests.INIT) == 1
    [warning] = [record.getMessage() for record in caplog.records]
    assert "24 hours" in warning
    assert "without a takeout" in warning
    assert ALLOW in warning


@pytest.mark.parametrize(
    ("seconds", "said"), [(90_000, "25 hours"), (7300, "3 hours"), (600, "10 minutes"), (50, "50 seconds")]
)
async def test_a_required_takeout_that_must_wait_fails_with_what_to_do(seconds: int, said: str) -> None:
    server = Telegram(delay=seconds)
    run = Run(server, required=True)
    with pytest.raises(TakeoutError, match=said) as failed:
        async with run.held():
            raise AssertionError("the run must not begin")
    assert failed.value.hint == ALLOW
    assert [method for method, _, _ in server.asked] == [requests.INIT]


async def test_a_required_takeout_that_is_lost_lets_nothing_out() -> None:
    server = Telegram(dies=[3, 6])
    run = Run(server, required=True)
    async with run.held():
        outcomes = [outcome async for outcome in _outcomes(run, 6)]
        assert outcomes == [None, None, None, TakeoutError, TakeoutError, TakeoutError]
    assert all(inside for method, inside, _ in server.asked if method == HISTORY)


async def _outcomes(run: Run, many: int) -> AsyncIterator[type | None]:
    for _ in range(many):
        try:
            await run.history()
        except TakeoutError as error:
            yield type(error)
        else:
            yield None


async def test_a_refusal_nobody_knows_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(Telegram):
        def answer(self, method: str, request: Any, part: Any) -> Any:
            if method == requests.INIT:
                raise RpcError(400, "SOMETHING_NEW", None, method)
            return super().answer(method, request, part)

    run = Run(Refusing())
    async with run.held():
        await run.history()
    assert "SOMETHING_NEW" in caplog.text


async def test_whoever_is_cancelled_while_it_begins_one_leaves_that_to_another() -> None:
    reached, hold = asyncio.Event(), asyncio.Event()

    class Slow(Telegram):
        async def __call__(self, call: Call) -> Any:
            if call.method == requests.INIT and self.begun == 1:
                reached.set()
                await hold.wait()
            return await super().__call__(call)

    server = Slow(dies=[2])
    run = Run(server)
    async with run.held():
        first, second = (asyncio.ensure_future(run.history()) for _ in range(2))
        await reached.wait()
        first.cancel()
        hold.set()
        await second
        assert first.cancelled()
    assert server.begun == 2
    assert server.finished == [True]


async def test_a_session_that_cannot_be_finished_is_left_to_the_next_run(caplog: pytest.LogCaptureFixture) -> None:
    class Silent(Telegram):
        def answer(self, method: str, request: Any, part: Any) -> Any:
            if method == requests.FINISH and not self.finished:
                raise LostError(method)
            return super().answer(method, request, part)

    server, kept = Silent(), MemoryState()
    async with Run(server, kept).held():
        pass
    assert "the next run will" in caplog.text
    assert kept.get("session")["id"] == server.open
    server.finished.append(False)
    async with Run(server, kept).held():
        pass
    assert server.begun == 1
    assert server.open is None


async def test_ranges_that_are_refused_leave_chats_whole(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(Telegram):
        def answer(self, method: str, request: Any, part: Any) -> Any:
            if method == requests.SPLIT:
                raise RpcError(400, "METHOD_INVALID", None, method)
            return super().answer(method, request, part)

    run = Run(Refusing())
    async with run.held():
        assert run.session.parts() == ()
        await run.history()
    assert "chats are read whole" in caplog.text


@pytest.mark.parametrize("ranges", [True, False])
async def test_ranges_are_asked_for_where_they_are_wanted(ranges: bool) -> None:
    server = Telegram()
    run = Run(server, ranges=ranges)
    async with run.held():
        assert run.session.parts() == (HALVES if ranges else ())
        await run.history()
    assert server.requests_inside() == {
        name: many for name, many in SETTLED.items() if ranges or name != requests.SPLIT
    }


# ---------------------------------------------------------------- ranges


async def whole(chat: Chat, gaps: Sequence[Span]) -> list[Range]:  # noqa: ARG001 - the port
    return [Range(span) for span in gaps]


async def test_private_chats_and_basic_groups_are_divided_and_channels_are_not() -> None:
    ranges = divided(lambda: HALVES)(whole)
    gaps = [Span(400, 2**31 - 1), Span(3, 9)]
    for kind in ("user", "chat"):
        found = await ranges(Chat(1, kind, ""), gaps)
        assert [each.span for each in found] == [Span(501, 2**31 - 1), Span(400, 500), Span(3, 9)]
        assert all(each.wrap for each in found)
    for kind, parts in (("channel", HALVES), ("user", HALVES[1:]), ("user", ())):
        alone = divided(lambda parts=parts: parts)(whole)  # type: ignore[misc]
        assert await alone(Chat(1, kind, ""), gaps) == [Range(span) for span in gaps]


async def test_a_range_asks_inside_its_part_and_the_takeout_stands_around_it() -> None:
    server = Telegram()
    run = Run(server)
    async with run.held():
        for each in await divided(run.session.parts)(whole)(PRIVATE, [Span(1, 2**31 - 1)]):
            assert each.wrap is not None
            call = Call("a page", HISTORY)
            part = await each.wrap(run.invoke)(call)
            assert part.min_id <= each.span.low <= each.span.high <= part.max_id
            assert call.request == "a page"
    assert [type(sent) for sent in server.sent if "a page" in _innermost(sent)] == [requests.InTakeout] * 2


def _innermost(request: Any) -> Any:
    while not isinstance(request, str):
        request = getattr(request, "query", "")
    return request


async def test_a_range_with_a_layer_of_its_own_stays_as_it_is() -> None:
    async def wrapped(chat: Chat, gaps: Sequence[Span]) -> list[Range]:  # noqa: ARG001 - the port
        return [Range(span, lambda invoke: invoke) for span in gaps]

    found = await divided(lambda: HALVES)(wrapped)(PRIVATE, [Span(1, 900)])
    assert [each.span for each in found] == [Span(1, 900)]


def _ids(pieces: Sequence[Range]) -> list[int]:
    return [number for piece in pieces for number in range(piece.span.high, piece.span.low - 1, -1)]


borders = st.lists(st.integers(1, 80), max_size=10)


@given(st.integers(1, 60), st.integers(0, 60), borders)
def test_every_id_is_in_one_piece_and_in_its_part(low: int, length: int, ends: list[int]) -> None:
    ends = sorted(set(ends))
    parts = [types.MessageRange(*pair) for pair in zip(ends[::2], ends[1::2], strict=False)]
    pieces = list(cut(Span(low, low + length), parts))
    assert _ids(pieces) == list(range(low + length, low - 1, -1))
    for piece in pieces:
        around = [part.min_id <= piece.span.low <= piece.span.high <= part.max_id for part in parts]
        assert sum(around) == (piece.wrap is not None)


@given(st.integers(1, 60), st.integers(0, 60), borders)
def test_no_id_is_lost_or_read_twice_where_parts_make_no_sense(low: int, length: int, ends: list[int]) -> None:
    parts = [types.MessageRange(*pair) for pair in zip(ends[::2], ends[1::2], strict=False)]
    assert _ids(list(cut(Span(low, low + length), parts))) == list(range(low + length, low - 1, -1))
