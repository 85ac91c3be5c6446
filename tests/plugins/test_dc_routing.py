"""dc_routing's choices: who is asked, who is next, and what is opened before it is needed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.fakes import CHAT, FakeSender, ref
from tests.engine.virtual import virtually
from tobs.engine.state import MemoryState
from tobs.errors import LostError
from tobs.values import Attempt, Settled, Traffic
from tobs_dc_routing import manifest
from tobs_dc_routing.ahead import Ahead
from tobs_dc_routing.connections import Connections
from tobs_dc_routing.lanes import MOVED, RoundRobin, Routing, Smart, Sticky
from tobs_dc_routing.plugin import DcRouting

if TYPE_CHECKING:
    from collections.abc import Callable

HOME, KB = 2, 1024


@dataclass
class Pool:
    """Opens connections `seconds` after it is asked, and tells whom a dial layer would tell."""

    opened: Callable[[FakeSender], None] = lambda _: None
    seconds: float = 1.0
    error: Exception | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)
    senders: list[FakeSender] = field(default_factory=list)
    running: int = 0

    async def warm(self, dc: int, senders: int) -> None:
        self.asked.append((dc, senders))
        self.running += 1
        try:
            await asyncio.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            while sum(one.dc == dc for one in self.senders) < senders:
                self.senders.append(FakeSender(dc))
                self.opened(self.senders[-1])
        finally:
            self.running -= 1


@dataclass
class Surroundings:
    """A plugin's view of core."""

    pool: Pool = field(default_factory=Pool)
    home: int = HOME
    knobs: dict[str, Any] = field(default_factory=lambda: {"connections": 4})
    account: MemoryState = field(default_factory=MemoryState)

    def state(self, scope: str) -> MemoryState:
        assert scope == "account"
        return self.account


def made(**knobs: Any) -> DcRouting:
    return DcRouting({knob.name: knob.default for knob in manifest.knobs} | knobs)


def settled(size: int, dc: int, status: str = "done") -> Settled:
    return Settled(ref(1, size, dc=dc), status, size=size if status == "done" else 0)


# ---------------------------------------------------------------- lanes


def routing() -> Routing:
    ctx: Any = Surroundings()
    return Routing(Ahead(ctx, Connections(), KB), Sticky())


def test_a_file_is_asked_of_its_own_data_centre() -> None:
    lanes = routing()
    assert [lanes.lane(ref(number, dc=dc)) for number, dc in enumerate((4, HOME, 5))] == [4, HOME, 5]
    assert lanes.lane(ref(9, dc=0)) is None, "home, where the message does not say"


def test_what_the_server_says_of_a_file_is_remembered_for_it_alone() -> None:
    lanes = routing()
    lanes.moved(ref(1, dc=4), 5)
    assert lanes.lane(ref(1, dc=4)) == 5
    assert lanes.lane(ref(2, dc=4)) == 4
    lanes.moved(ref(1, dc=4), 1)
    assert lanes.lane(ref(1, dc=4)) == 1


def test_no_more_moves_are_remembered_than_fit() -> None:
    lanes = routing()
    for number in range(MOVED + 10):
        lanes.moved(ref(number, dc=4), 5)
    assert lanes.lane(ref(9, dc=4)) == 4
    assert lanes.lane(ref(10, dc=4)) == 5


# ---------------------------------------------------------------- who is next


def served(strategy: Callable[[dict[int, int]], int], files: list[tuple[int, int]]) -> list[int]:
    """The order of data centres in which files (data centre, size) are fetched one after another."""
    left, order = list(files), []
    while left:
        waiting: dict[int, int] = {}
        for dc, size in left:
            waiting[dc] = waiting.get(dc, 0) + size
        chosen = strategy(waiting)
        left.remove(next(file for file in left if file[0] == chosen))
        order.append(chosen)
    return order


FILES = [(4, 10), (1, 10), (4, 10), (5, 35), (1, 10), (4, 10), (1, 1)]


def test_smart_serves_whom_has_most_left() -> None:
    assert served(Smart(lambda _: False), FILES) == [5, 4, 1, 4, 1, 4, 1]


def test_smart_waits_for_no_connection_while_there_is_another() -> None:
    opening = {5}
    strategy = Smart(opening.__contains__)
    assert strategy({5: 35, 4: 1}) == 4
    assert strategy({5: 35}) == 5
    opening.clear()
    assert strategy({5: 35, 4: 1}) == 5


def test_sticky_stays_until_nothing_is_left_then_goes_by_arrival() -> None:
    assert served(Sticky(), FILES) == [4, 4, 4, 1, 1, 1, 5]


def test_round_robin_serves_each_in_turn() -> None:
    assert served(RoundRobin(), FILES) == [1, 4, 5, 1, 4, 1, 4]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 1000)), max_size=30), st.sets(st.integers(1, 5)))
def test_every_strategy_serves_every_file(files: list[tuple[int, int]], opening: set[int]) -> None:
    for strategy in (Smart(opening.__contains__), Sticky(), RoundRobin()):
        assert sorted(served(strategy, files)) == sorted(dc for dc, _ in files)


@pytest.mark.parametrize(("strategy", "next_"), [("smart", 5), ("sticky", 4), ("round_robin", 1)])
def test_the_knob_chooses_the_strategy(strategy: str, next_: int) -> None:
    ctx: Any = Surroundings()
    assert made(strategy=strategy).tobs_lanes(ctx).first({4: 10, 5: 20, 1: 10}) == next_


# ---------------------------------------------------------------- opened ahead


def run_ahead(main: Callable[[Surroundings, Ahead, Connections], Any], **pool: Any) -> Surroundings:
    """Run with an open `Ahead` that opens a connection for every 10 bytes; nothing is left of it."""
    ctx = Surroundings(Pool(**pool))

    async def whole() -> None:
        connections = Connections()
        ctx.pool.opened = connections.opened
        surroundings: Any = ctx
        ahead = Ahead(surroundings, connections, 10)
        ahead.open()
        try:
            await main(ctx, ahead, connections)
        finally:
            await ahead.close()
            assert len(asyncio.all_tasks()) == 1
            assert not ctx.pool.running

    virtually(whole)
    return ctx


def test_the_first_byte_opens_one_connection_and_more_bytes_more() -> None:
    async def main(ctx: Surroundings, ahead: Ahead, _: Connections) -> None:
        for size, asked in ((1, [1]), (8, [1]), (1, [1, 2]), (5, [1, 2]), (100, [1, 2, 4]), (10**9, [1, 2, 4])):
            ahead.wait(4, size)
            await asyncio.sleep(5)
            assert ctx.pool.asked == [(4, senders) for senders in asked], "core's knob allows four"

    assert len(run_ahead(main).pool.senders) == 4


def test_many_files_at_once_ask_once() -> None:
    async def main(_: Surroundings, ahead: Ahead, __: Connections) -> None:
        for _turn in range(200):
            ahead.wait(4, 1)
        await asyncio.sleep(5)

    assert run_ahead(main).pool.asked == [(4, 4)]


def test_what_is_wanted_while_it_opens_is_opened_next() -> None:
    async def main(ctx: Surroundings, ahead: Ahead, _: Connections) -> None:
        ahead.wait(4, 1)
        await asyncio.sleep(0.5)
        ahead.wait(4, 10)
        ahead.wait(4, 10)
        assert ctx.pool.running == 1
        await asyncio.sleep(5)

    assert run_ahead(main).pool.asked == [(4, 1), (4, 3)]


def test_data_centres_open_beside_one_another() -> None:
    async def main(ctx: Surroundings, ahead: Ahead, connections: Connections) -> None:
        for dc in (1, 4, 5):
            ahead.wait(dc, 1)
        await asyncio.sleep(0.5)
        assert ctx.pool.running == 3
        assert all(map(ahead.is_opening, (1, 4, 5)))
        assert not ahead.is_opening(HOME)
        await asyncio.sleep(1)
        assert not any(map(ahead.is_opening, (1, 4, 5)))
        assert [connections.count(dc) for dc in (1, 4, 5)] == [1, 1, 1]
        ahead.wait(4, 10)
        await asyncio.sleep(0.5)
        assert ctx.pool.running == 1
        assert not ahead.is_opening(4), "its first connection is there"

    run_ahead(main)


def test_files_that_are_settled_are_waited_for_no_more() -> None:
    async def main(_: Surroundings, ahead: Ahead, __: Connections) -> None:
        for _turn in range(20):
            ahead.wait(4, 9)
            await asyncio.sleep(2)
            ahead.wait(4, -9)
        ahead.wait(4, -100)
        ahead.wait(4, 9)
        await asyncio.sleep(2)

    assert run_ahead(main).pool.asked == [(4, 1)]


def test_a_failure_is_told_and_left_to_the_first_request(caplog: pytest.LogCaptureFixture) -> None:
    async def main(_: Surroundings, ahead: Ahead, __: Connections) -> None:
        for _turn in range(5):
            ahead.wait(4, 1)
            await asyncio.sleep(5)
        assert not ahead.is_opening(4)

    with caplog.at_level(logging.INFO):
        assert run_ahead(main, error=LostError("away")).pool.asked == [(4, 1)]
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "data centre 4" in record.getMessage()
    assert "away" in record.getMessage()


def test_a_pool_that_opens_nothing_and_says_nothing_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    async def main(ctx: Surroundings, ahead: Ahead, _: Connections) -> None:
        ctx.pool.opened = lambda _: None  # core's pool keeps a failure for whoever waits, and nobody does
        ahead.wait(5, 1)
        await asyncio.sleep(5)

    with caplog.at_level(logging.INFO):
        run_ahead(main)
    assert "data centre 5" in caplog.text


def test_a_bug_of_the_pool_is_not_hidden() -> None:
    async def main(_: Surroundings, ahead: Ahead, __: Connections) -> None:
        ahead.wait(4, 1)
        await asyncio.sleep(5)

    with pytest.raises(ZeroDivisionError):
        run_ahead(main, error=ZeroDivisionError())


def test_nothing_is_opened_before_the_run_or_after_it() -> None:
    async def main() -> None:
        ctx: Any = Surroundings()
        ahead = Ahead(ctx, Connections(), 10)
        ahead.wait(4, 1)
        ahead.open()
        await ahead.close()
        ahead.wait(4, 1)
        await asyncio.sleep(5)
        assert ctx.pool.asked == []

    virtually(main)


# ---------------------------------------------------------------- the plugin


def test_the_whole_plugin_opens_what_a_chat_needed_and_leaves_nothing() -> None:
    account = MemoryState()

    async def run(*, first: bool) -> None:
        ctx: Any = Surroundings(account=account)
        plugin = made()
        probe: Any = plugin.tobs_probe(ctx)
        ctx.pool.opened = probe.connections.opened
        lanes = plugin.tobs_lanes(ctx)

        async def whole(chat: Any, gaps: Any) -> Any:
            assert chat is CHAT
            return gaps

        ranges: Any = plugin.tobs_ranges(ctx)(whole)
        async with plugin.tobs_lifespan(ctx):
            assert await ranges(CHAT, ["gap"]) == ["gap"]
            await asyncio.sleep(5)
            assert ctx.pool.asked == ([] if first else [(5, 1), (4, 1)])
            for dc, size in ((4, 10), (5, 20), (1, 30)):
                lanes.expect(dc, size)
                probe.file(settled(size, dc, "failed" if dc == 1 else "done"), 1.0)
            probe.attempt(Attempt("m", Traffic.MEDIA, 4, 1.0, 1, "ok", 1, id(ctx.pool.senders)))
        assert len(asyncio.all_tasks()) == 1

    virtually(lambda: run(first=True))
    virtually(lambda: run(first=False))


@pytest.mark.parametrize(("every", "pings"), [(0.0, 0), (60.0, 2)])
def test_idle_connections_are_pinged_while_the_run_lasts(every: float, pings: int) -> None:
    class Pinged(FakeSender):
        count = 0

        async def ping(self) -> None:
            self.count += 1

    sender = Pinged(4)

    async def main() -> None:
        ctx: Any = Surroundings()
        plugin = made(keep_alive=every)
        probe: Any = plugin.tobs_probe(ctx)
        async with plugin.tobs_lifespan(ctx):
            probe.connections = probe.connections
            probe.connections.opened(sender)
            await asyncio.sleep(150)
        await asyncio.sleep(1_000)

    virtually(main)
    assert sender.count == pings
