"""Round trips and bandwidth in virtual time, and how many connections a data centre takes."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.tl import functions, types

from tests.lab.fakes import AWAY, CHANNEL_ID, FILES, HOME, NEAR_FILE, connected, hang_up, make_world, running
from tobs.lab.network import Delay, Link, Path, Run
from tobs.lab.scenario import DataCentre


def path(rtt: float = 0.1, rate: float | None = None, jitter: float = 0.0) -> Path:
    return Path(0.0, Delay(rtt, jitter), Link(rate), Random(1))


def deliver(way: Path, now: float, size: int, shared: Link | None) -> tuple[float, float]:
    """When a reply has wholly left, and when the client has it."""
    start, left = way.departure(now, size, shared)
    return left, way.delivery(start, left, size)


def test_connecting_costs_a_round_trip_and_each_way_half_of_one() -> None:
    way = path()
    assert way.arrival(0.0, 100) == pytest.approx(0.15)
    assert way.arrival(1.0, 100) == pytest.approx(1.05)
    assert deliver(way, 1.05, 1000, None) == pytest.approx((1.05, 1.1))


def test_a_connections_rate_holds_for_all_its_replies() -> None:
    way = path(rate=1000.0)
    assert deliver(way, 1.0, 500, None) == pytest.approx((1.5, 1.55))
    assert deliver(way, 1.0, 500, None) == pytest.approx((2.0, 2.05))
    assert deliver(way, 9.0, 500, None) == pytest.approx((9.5, 9.55))


def test_an_account_shares_one_link_between_its_connections() -> None:
    shared, one, other = Link(1000.0), path(), path()
    assert deliver(one, 0.0, 1000, shared)[0] == pytest.approx(1.0)
    assert deliver(other, 0.0, 1000, shared)[0] == pytest.approx(2.0)


def test_the_narrower_of_two_links_decides() -> None:
    way = path(rate=100.0)
    assert deliver(way, 0.0, 100, Link(1000.0))[0] == pytest.approx(1.0)
    way = path(rate=1000.0)
    assert deliver(way, 0.0, 100, Link(100.0))[0] == pytest.approx(1.0)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 10_000), st.booleans()), min_size=1),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_no_link_is_ever_faster_than_its_rate_and_order_is_kept(
    packets: list[tuple[float, int, bool]], rtt: float, jitter: float
) -> None:
    shared, ways = Link(5000.0), [path(rtt, 2000.0, rtt * jitter), path(rtt, 2000.0, rtt * jitter)]
    now = 0.0
    due = [0.0, 0.0]
    sent = [0, 0]
    for pause, size, which in packets:
        now += pause
        left, at = deliver(ways[which], now, size, shared)
        sent[which] += size
        assert at >= left >= sent[which] / 2000.0 * (1 - 1e-9)
        assert left >= sum(sent) / 5000.0 * (1 - 1e-9)
        assert at >= due[which]
        due[which] = at


@given(st.floats(0, 1), st.floats(0, 1))
def test_jitter_stays_in_its_range(rtt: float, share: float) -> None:
    delay, random = Delay(rtt, rtt * share), Random(3)
    for _ in range(20):
        assert rtt * (1 - share) / 2 - 1e-9 <= delay.one_way(random) <= rtt * (1 + share) / 2 + 1e-9


def test_a_packet_under_way_goes_on_at_the_rate_that_holds_then() -> None:
    link = Link(1000.0, ((1.0, 500.0), (3.0, 4000.0)), Run(began=10.0))
    assert link.reserve(10.0, 1500) == pytest.approx((10.0, 12.0))
    assert link.reserve(10.0, 500) == pytest.approx((12.0, 13.0))
    assert link.reserve(10.0, 4000) == pytest.approx((13.0, 14.0))
    assert link.reserve(20.0, 4000) == pytest.approx((20.0, 21.0))


def test_a_rate_that_comes_later_limits_from_then_on() -> None:
    link = Link(None, ((1.0, 500.0),), Run(began=10.0))
    assert link.reserve(10.5, 10**9) == pytest.approx((10.5, 10.5))
    assert link.reserve(11.5, 500) == pytest.approx((11.5, 12.5))


def test_capacity_changes_only_in_a_run_that_has_begun() -> None:
    run = Run()
    link = Link(1000.0, ((1.0, 500.0),), run)
    assert link.reserve(50.0, 1000) == pytest.approx((50.0, 51.0))
    run.began = 50.0
    assert link.reserve(50.0, 1000) == pytest.approx((51.0, 53.0))


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(100, 5000)), max_size=4),
    st.lists(st.tuples(st.floats(0, 2), st.integers(1, 10_000)), min_size=1),
)
def test_no_link_passes_more_than_its_changing_rate_allows(
    steps: list[tuple[float, float]], packets: list[tuple[float, int]]
) -> None:
    steps.sort(key=lambda step: step[0])
    link, now, sent = Link(1000.0, tuple(steps), Run(began=0.0)), 0.0, 0

    def allowed(until: float) -> float:
        total, at, rate = 0.0, 0.0, 1000.0
        for when, then in steps:
            total, at, rate = total + max(0.0, min(when, until) - at) * rate, max(at, min(when, until)), then
        return total + (until - at) * rate

    for pause, size in packets:
        now += pause
        _, left = link.reserve(now, size)
        sent += size
        assert allowed(left) >= sent * (1 - 1e-9)


def test_the_clients_line_is_shared_and_nobody_waits_behind_a_slow_connection() -> None:
    line = Link(1000.0)
    slow = Path(0.0, Delay(0.0, 0.0), Link(100.0), Random(1), line=line)
    fast = Path(0.0, Delay(0.0, 0.0), Link(None), Random(1), line=line)
    first, second = slow.departure(0.0, 100, None), slow.departure(0.0, 100, None)
    assert slow.delivery(*first, 100) == pytest.approx(1.0)
    assert fast.delivery(*fast.departure(0.0, 500, None), 500) == pytest.approx(0.6)
    assert fast.delivery(*fast.departure(0.0, 500, None), 500) == pytest.approx(1.1)
    assert second == pytest.approx((1.0, 2.0))
    assert slow.delivery(*second, 100) == pytest.approx(2.0)


def test_what_a_client_sends_passes_its_line_up() -> None:
    up = Link(1000.0)
    one, other = (Path(0.0, Delay(0.1, 0.0), Link(None), Random(1), up=up) for _ in range(2))
    assert one.arrival(1.0, 500) == pytest.approx(1.55)
    assert other.arrival(1.0, 500) == pytest.approx(2.05)


@pytest.mark.parametrize("line", [{}, {"down_rate": 1_500_000.0}, {"down_rate": 1_500_000.0, "up_rate": 50_000.0}])
async def test_delayed_replies_come_whole_and_in_order(line: dict[str, Any]) -> None:
    centres = (DataCentre(HOME, 0.02, 0.01), DataCentre(AWAY, 0.0, 0.0))
    world = make_world(dcs=centres, connection_rate=2_000_000.0, account_rate=3_000_000.0, **line)
    peer = types.InputPeerChannel(CHANNEL_ID, 21)
    async with running(world) as lab, connected(lab) as client:
        requests = [
            functions.messages.GetHistoryRequest(peer, offset, None, 0, 50, 0, 0, 0) for offset in (0, 200, 100, 50)
        ]
        order: list[int] = []

        async def ask(number: int) -> list[int]:
            page = await client(requests[number])
            order.append(number)
            return [message.id for message in page.messages]

        pages = await asyncio.gather(*(ask(number) for number in range(4)))
        assert order == [0, 1, 2, 3]
        assert [len(page) for page in pages] == [50, 50, 50, 40]
        assert pages[3] == [number for number in range(49, 0, -1) if number % 5]


async def test_one_connection_too_many_is_closed() -> None:
    async with running(make_world(connections=1)) as lab, connected(lab) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports[HOME])
        with contextlib.suppress(ConnectionError):  # how it is closed is the system's business
            assert await reader.read(1) == b""
        await hang_up(writer)
        _, other = await asyncio.open_connection("127.0.0.1", lab.ports[AWAY])
        assert await client.get_me()
        counters = lab.counters()
        assert (counters["connections_opened"], counters["connections_refused"]) == (2, 1)
        await hang_up(other)


async def test_counters_begin_anew() -> None:
    async with running() as lab, connected(lab) as client:
        assert lab.counters()["first_accept"] is not None
        lab.reset()
        assert lab.counters()["first_accept"] is None
        await client.get_me()
        assert lab.counters()["requests"] == {"users.getUsers": 1}
        assert lab.counters()["last_activity"] is not None


async def test_every_byte_of_a_client_passes_its_line_up() -> None:
    sizes: list[int] = []

    class Noted(Link):
        def reserve(self, now: float, size: int) -> tuple[float, float]:
            sizes.append(size)
            return super().reserve(now, size)

    async with running(make_world(up_rate=10_000_000.0)) as lab:
        lab._service.up = Noted(10_000_000.0)
        async with connected(lab) as client:
            await client.get_dialogs()
            assert 0.8 * lab.counters()["bytes_in"] < sum(sizes) <= lab.counters()["bytes_in"]


async def test_what_waits_for_its_own_connection_does_not_hold_up_the_line_for_others() -> None:
    world = make_world(connection_rate=20_000.0, down_rate=1_000_000.0)
    spec = FILES[NEAR_FILE]
    where = types.InputDocumentFileLocation(spec.id, spec.access_hash, spec.file_reference, "")
    async with running(world) as lab, connected(lab) as slow, connected(lab) as other:
        parts = [
            slow._sender.send(functions.upload.GetFileRequest(where, offset, 65_536)) for offset in (0, 65_536, 131_072)
        ]
        while not lab._service.counters.requests["upload.getFile"]:
            await other._sender.send(functions.PingRequest(0))
        await other._sender.send(functions.PingRequest(1))
        assert not any(part.done() for part in parts)
        for part in parts:
            part.cancel()
