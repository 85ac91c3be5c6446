"""Round trips and bandwidth in virtual time, and how many connections a data centre takes."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.tl import functions, types

from tests.lab.fakes import AWAY, CHANNEL_ID, HOME, connected, hang_up, make_world, running
from tobs.lab.network import Delay, Link, Path
from tobs.lab.scenario import DataCentre


def path(rtt: float = 0.1, rate: float | None = None, jitter: float = 0.0) -> Path:
    return Path(0.0, Delay(rtt, jitter), rate, Random(1))


def test_connecting_costs_a_round_trip_and_each_way_half_of_one() -> None:
    way = path()
    assert way.arrival(0.0) == pytest.approx(0.15)
    assert way.arrival(1.0) == pytest.approx(1.05)
    assert way.delivery(1.05, 1000, None) == pytest.approx((1.05, 1.1))


def test_a_connections_rate_holds_for_all_its_replies() -> None:
    way = path(rate=1000.0)
    assert way.delivery(1.0, 500, None) == pytest.approx((1.5, 1.55))
    assert way.delivery(1.0, 500, None) == pytest.approx((2.0, 2.05))
    assert way.delivery(9.0, 500, None) == pytest.approx((9.5, 9.55))


def test_an_account_shares_one_link_between_its_connections() -> None:
    shared, one, other = Link(1000.0), path(), path()
    assert one.delivery(0.0, 1000, shared)[0] == pytest.approx(1.0)
    assert other.delivery(0.0, 1000, shared)[0] == pytest.approx(2.0)


def test_the_narrower_of_two_links_decides() -> None:
    way = path(rate=100.0)
    assert way.delivery(0.0, 100, Link(1000.0))[0] == pytest.approx(1.0)
    way = path(rate=1000.0)
    assert way.delivery(0.0, 100, Link(100.0))[0] == pytest.approx(1.0)


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
        left, at = ways[which].delivery(now, size, shared)
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


async def test_delayed_replies_come_whole_and_in_order() -> None:
    centres = (DataCentre(HOME, 0.02, 0.01), DataCentre(AWAY, 0.0, 0.0))
    world = make_world(dcs=centres, connection_rate=2_000_000.0, account_rate=3_000_000.0)
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
