"""adaptive_connections as a pool: what every pool promises, and its own way of opening and closing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.any_pool import HOME, AnyPool, borrow, give_back
from tests.engine.fakes import Dialler, FakeSender
from tests.engine.virtual import settle_down, virtually
from tobs.api import Call, LostError, RpcError, Traffic
from tobs_adaptive_connections.pool import REFUSED, SLOWEST, AdaptivePool


def pool_of(dialler: Dialler, **limits: int) -> AdaptivePool:
    given = {"connections": 8, "start": 4, "in_flight": 32, "history": 16, **limits}
    return AdaptivePool(dialler, HOME, deadline=30.0, shortest=3.0, **given)


class TestAdaptivePool(AnyPool):
    def pool_of(self, dialler: Dialler, **limits: int) -> AdaptivePool:
        return pool_of(dialler, **limits)


def media(sender: Any, size: int = 1000) -> Call:
    return Call(None, "upload.getFile", Traffic.MEDIA, HOME, size, sender)


async def test_what_waits_opens_the_first_connections_at_once() -> None:
    dialler = Dialler(hold=asyncio.Event())
    pool = pool_of(dialler, start=3)
    waiting = await borrow(pool, 2)
    assert len(dialler.asked) == 2, "one for each who waits"
    waiting += await borrow(pool, 2)
    assert len(dialler.asked) == 3
    assert dialler.hold is not None
    dialler.hold.set()
    await settle_down()
    served = Counter(id(one.sender) for one in waiting if one.sender)
    assert sum(served.values()) == 4
    await give_back(waiting)
    await pool.close()


async def test_when_as_many_wait_as_are_open_it_opens_as_many_again() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, start=2, connections=8)
    borrowers = await borrow(pool, 40)
    assert len(dialler.opened) == 4
    served = Counter(id(one.sender) for one in borrowers if one.sender)
    assert list(served.values()) == [2, 2, 2, 2], "two each while no rate is known"
    assert pool.centre(None).climb.trying
    for one in borrowers:
        one.done.set()
    await settle_down()
    assert len(dialler.opened) == 4, "the next step wants to be measured"
    await give_back(borrowers)
    await pool.close()


async def test_history_gets_a_connection_that_media_do_not_fill() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, start=2)
    borrowers = await borrow(pool, 1)
    first = await borrow(pool, 1, Traffic.HISTORY)
    later = await borrow(pool, 1, Traffic.HISTORY)
    assert len(dialler.opened) == 2
    assert first[0].sender is borrowers[0].sender, "it does not wait for the new connection"
    assert later[0].sender is not borrowers[0].sender
    await give_back([*borrowers, *first, *later])
    await pool.close()


def test_a_refused_connection_lowers_the_ceiling_for_a_while() -> None:
    async def main() -> None:
        dialler = Dialler(lambda alive: LostError("too many") if alive >= 2 else None)
        pool = pool_of(dialler)
        borrowers = await borrow(pool, 20)
        assert pool.senders() == pool.centre(None).climb.ceiling == 2
        asked = len(dialler.asked)
        await give_back(borrowers)
        await give_back(await borrow(pool, 20))
        assert len(dialler.asked) == asked, "it does not ask again"
        await asyncio.sleep(REFUSED)
        dialler.refuses = lambda _: None
        async with pool.lease(None, Traffic.MEDIA) as sender:
            await pool.layer(answered)(media(sender))
        assert pool.centre(None).climb.ceiling == 8
        await give_back(await borrow(pool, 20))
        assert pool.senders() == 8, "those that it wanted, and as many again for who waits"
        await pool.close()

    virtually(main)


async def answered(call: Call) -> Any:
    return call


async def test_warm_opens_ahead_within_the_ceiling() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=6)
    await pool.warm(4, 2)
    assert pool.senders(4) == 2
    await pool.warm(4, 9)
    assert dialler.asked == [4] * 6
    await pool.close()


async def test_a_request_on_another_s_connection_is_let_through() -> None:
    pool = pool_of(Dialler())
    call = media(FakeSender(HOME))
    assert await pool.layer(answered)(call) is call
    assert pool.deadline(call) == 30.0 + 1000 / SLOWEST


async def test_the_lightest_connection_is_lent() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, start=2, connections=2)
    await pool.warm(HOME, 2)
    hold = asyncio.Event()

    async def held(call: Call) -> Any:
        await hold.wait()
        return call

    async def once(size: int) -> Any:
        async with pool.lease(None, Traffic.MEDIA) as sender:
            await pool.layer(held)(media(sender, size))
        return sender

    tasks = []
    for size in (900_000, 1000, 1000):
        tasks.append(asyncio.ensure_future(once(size)))
        await settle_down()
    hold.set()
    large, small, other = await asyncio.gather(*tasks)
    assert small is other
    assert small is not large
    await pool.close()


async def test_a_connection_that_stays_silent_is_replaced() -> None:
    dialler = Dialler()
    pool = pool_of(dialler)

    async def silent(call: Call) -> Any:
        raise LostError(f"{call.method}: no answer")

    async def refused(call: Call) -> Any:
        raise RpcError(303, "FILE_MIGRATE", 4, call.method)

    async def ask(inner: Any, error: type[Exception]) -> None:
        async with pool.lease(None, Traffic.MEDIA) as sender:
            with pytest.raises(error):
                await pool.layer(inner)(media(sender))

    for inner, error in [(silent, LostError)] * 2 + [(refused, RpcError)] + [(silent, LostError)] * 2:
        await ask(inner, error)
    assert len(dialler.alive()) == 1, "a refusal is an answer"
    await ask(silent, LostError)
    await settle_down()
    assert not dialler.alive()
    await ask(refused, RpcError)
    assert len(dialler.alive()) == 1
    await pool.close()


@given(
    seed=st.integers(0, 10_000),
    connections=st.integers(1, 6),
    start=st.integers(1, 6),
    in_flight=st.integers(1, 4),
    history=st.integers(1, 6),
)
@settings(max_examples=60)
def test_whatever_happens_the_ceilings_hold_and_all_are_served(
    seed: int, connections: int, start: int, in_flight: int, history: int
) -> None:
    """Borrowers come, work, are cancelled and lost, connections break and dials fail, at random."""
    chance = random.Random(seed)

    async def main() -> None:
        dialler = Dialler(lambda alive: LostError("no more") if alive and chance.random() < 0.1 else None)
        pool = pool_of(dialler, connections=connections, start=start, in_flight=in_flight, history=history)
        busy: Counter[tuple[int, Traffic]] = Counter()
        served = 0

        async def work(call: Call) -> Any:
            await asyncio.sleep(chance.random())
            sender = call.sender
            assert sender is not None
            if chance.random() < 0.05:
                await sender.close()
            if sender.closed or chance.random() < 0.05:
                raise LostError("lost")
            return call

        send = pool.layer(work)

        async def once(traffic: Traffic, dc: int) -> None:
            nonlocal served
            async with pool.lease(dc, traffic) as sender:
                key = id(sender), traffic
                busy[key] += 1
                assert sender.dc == dc
                alive = [one for one in dialler.alive() if one.dc == dc]
                assert len(alive) <= connections
                assert busy[id(sender), Traffic.MEDIA] <= in_flight
                assert sum(busy[id(one), Traffic.HISTORY] for one in alive) <= history
                try:
                    call = Call(None, "m", traffic, dc, chance.randrange(1, 1 << 20), sender)
                    await send(call)
                except LostError:
                    pass
                finally:
                    busy[key] -= 1
            served += 1

        tasks: list[asyncio.Task[None]] = []
        for _ in range(80):
            tasks.append(asyncio.ensure_future(once(chance.choice(list(Traffic)), chance.choice([2, 4]))))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random())
            if chance.random() < 0.1:
                chance.choice(tasks).cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
        assert served == outcomes.count(None)
        assert not +busy
        await pool.close()
        assert not dialler.alive()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtually(main)
