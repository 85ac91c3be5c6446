"""The pool: as many connections as are asked for, never more than the knobs allow, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.fakes import Dialler
from tests.engine.virtual import settle_down
from tobs.engine.pool import SLOWEST, CorePool, PoolLimits
from tobs.errors import ConnectError, LostError
from tobs.ports import Call, Pool, Sender
from tobs.values import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = 2


def pool_of(dialler: Dialler, **limits: int) -> CorePool:
    return CorePool(dialler, PoolLimits(**limits), HOME)


class Borrower:
    """Holds one lease until told to give it back."""

    def __init__(self, pool: Pool, traffic: Traffic = Traffic.MEDIA, dc: int | None = None) -> None:
        self.sender: Sender | None = None
        self.done = asyncio.Event()
        self.task = asyncio.ensure_future(self._hold(pool, traffic, dc))

    async def _hold(self, pool: Pool, traffic: Traffic, dc: int | None) -> None:
        async with pool.lease(dc, traffic) as sender:
            self.sender = sender
            await self.done.wait()

    async def give_back(self) -> None:
        self.done.set()
        await self.task


async def borrow(pool: Pool, many: int, traffic: Traffic = Traffic.MEDIA, dc: int | None = None) -> list[Borrower]:
    borrowers = [Borrower(pool, traffic, dc) for _ in range(many)]
    await settle_down()
    return borrowers


async def give_back(borrowers: Iterable[Borrower]) -> None:
    await asyncio.gather(*(one.give_back() for one in borrowers))


async def test_one_at_a_time_opens_one_connection() -> None:
    dialler = Dialler()
    pool = pool_of(dialler)
    for traffic in [Traffic.HISTORY, Traffic.MEDIA] * 5:
        async with pool.lease(None, traffic) as sender:
            assert sender.dc == HOME
        await settle_down()
    assert dialler.asked == [HOME]
    await pool.close()


async def test_none_is_home() -> None:
    dialler = Dialler()
    pool = pool_of(dialler)
    async with pool.lease(None, Traffic.HISTORY) as first, pool.lease(HOME, Traffic.HISTORY) as second:
        assert first is second
    assert pool.senders() == pool.senders(HOME) == 1
    assert pool.senders(4) == 0
    await pool.close()


async def test_media_grow_up_to_the_knobs() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=3, in_flight=2)
    borrowers = await borrow(pool, 20)
    served = Counter(id(one.sender) for one in borrowers if one.sender)
    assert len(dialler.opened) == 3
    assert list(served.values()) == [2, 2, 2]
    await give_back(borrowers)
    await pool.close()


async def test_history_alone_stays_on_one_connection() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, history_in_flight=5)
    borrowers = await borrow(pool, 9, Traffic.HISTORY)
    assert sum(one.sender is not None for one in borrowers) == 5
    assert len(dialler.opened) == 1
    await give_back(borrowers)
    await pool.close()


async def test_history_gets_a_connection_that_media_do_not_fill() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=2, in_flight=8)
    media = await borrow(pool, 1)
    first = await borrow(pool, 1, Traffic.HISTORY)
    later = await borrow(pool, 1, Traffic.HISTORY)
    assert len(dialler.opened) == 2
    assert first[0].sender is media[0].sender, "it does not wait for the new connection"
    assert later[0].sender is not media[0].sender
    await give_back([*media, *first, *later])
    await pool.close()


async def test_history_is_served_before_media() -> None:
    dialler = Dialler(hold=asyncio.Event())
    pool = pool_of(dialler, connections=1)
    order: list[Traffic] = []

    async def once(traffic: Traffic) -> None:
        async with pool.lease(None, traffic):
            order.append(traffic)

    tasks = [asyncio.ensure_future(once(traffic)) for traffic in [Traffic.MEDIA] * 2 + [Traffic.HISTORY] * 2]
    await settle_down()
    assert dialler.hold is not None
    dialler.hold.set()
    await asyncio.gather(*tasks)
    assert order == [Traffic.HISTORY] * 2 + [Traffic.MEDIA] * 2
    await pool.close()


async def test_a_refused_connection_lowers_the_ceiling() -> None:
    dialler = Dialler(lambda alive: LostError("too many") if alive >= 2 else None)
    pool = pool_of(dialler, connections=8, in_flight=1)
    borrowers = await borrow(pool, 10)
    assert pool.senders() == 2
    assert len(dialler.asked) == 3
    await give_back(borrowers)
    more = await borrow(pool, 10)
    assert len(dialler.asked) == 3, "it does not ask again"
    await give_back(more)
    await pool.close()


async def test_a_closed_connection_is_replaced() -> None:
    dialler = Dialler()
    pool = pool_of(dialler)
    async with pool.lease(None, Traffic.MEDIA) as first:
        await first.close()
    async with pool.lease(None, Traffic.MEDIA) as second:
        assert second is not first
        assert not second.closed
    assert len(dialler.opened) == 2
    await pool.close()


async def test_who_waits_for_a_full_connection_that_closes_gets_another() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=1, in_flight=1)
    held, waiting = await borrow(pool, 1), await borrow(pool, 3)
    dialler.opened[0].closed = True
    await give_back(held)
    await settle_down()
    await give_back(waiting)
    assert len(dialler.opened) == 2
    await pool.close()


@pytest.mark.parametrize("error", [LostError("away"), ConnectError("unknown session"), RuntimeError("a bug")])
async def test_a_failed_dial_fails_who_waits(error: Exception) -> None:
    dialler = Dialler(lambda _: error)
    pool = pool_of(dialler)
    borrowers = await borrow(pool, 3)
    for one in borrowers:
        with pytest.raises(type(error)):
            await one.task
    dialler.refuses = lambda _: None
    await give_back(await borrow(pool, 3))
    await pool.close()


async def test_a_bug_in_a_further_dial_leaves_the_open_connections_in_use() -> None:
    dialler = Dialler(lambda alive: RuntimeError("a bug") if alive else None)
    pool = pool_of(dialler, in_flight=1)
    await give_back(await borrow(pool, 4))
    assert pool.senders() == 1
    await pool.close()


async def test_cancelled_borrowers_give_their_places_back() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=1, in_flight=1)
    held, waiting, last = await borrow(pool, 1), await borrow(pool, 1), await borrow(pool, 1)
    waiting[0].task.cancel()
    held[0].done.set()
    await settle_down()
    assert last[0].sender is not None
    last[0].task.cancel()
    await settle_down()
    await give_back(await borrow(pool, 1))
    await pool.close()


async def test_a_borrower_cancelled_in_the_moment_it_is_served_gives_its_place_back() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=1, in_flight=1)
    held = pool.lease(None, Traffic.MEDIA)
    await held.__aenter__()
    waiting = await borrow(pool, 1)
    await held.__aexit__(None, None, None)
    waiting[0].task.cancel()  # it is served, and does not know yet
    await settle_down()
    await give_back(await borrow(pool, 1))
    await pool.close()


async def test_close_fails_who_waits_and_who_comes_later() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=1, in_flight=1)
    held, waiting = await borrow(pool, 1), await borrow(pool, 2)
    await pool.close()
    for one in waiting:
        with pytest.raises(LostError):
            await one.task
    assert all(sender.closed for sender in dialler.opened)
    await give_back(held)
    with pytest.raises(LostError):
        async with pool.lease(None, Traffic.MEDIA):
            pass
    assert len(dialler.opened) == 1


async def test_close_during_a_dial_leaves_no_connection() -> None:
    dialler = Dialler(hold=asyncio.Event())
    pool = pool_of(dialler)
    waiting = await borrow(pool, 1)
    await pool.close()
    assert dialler.hold is not None
    dialler.hold.set()
    await settle_down()
    with pytest.raises(LostError):
        await waiting[0].task
    assert dialler.alive() == []


async def test_warm_opens_ahead_within_the_ceiling() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=3)
    await pool.warm(4, 2)
    assert pool.senders(4) == 2
    await pool.warm(4, 9)
    assert dialler.asked == [4, 4, 4]
    await pool.close()


async def test_room_is_what_all_connections_take_and_shrinks_with_them() -> None:
    dialler = Dialler(refuses=lambda held: ConnectionError("too many") if held >= 2 else None)
    pool = CorePool(dialler, PoolLimits(connections=4, in_flight=3), HOME)
    assert pool.room(4) == 12
    await pool.warm(4, 2)
    await pool.warm(4, 3)
    assert pool.room(4) == 6
    await pool.close()


async def test_part_size_and_deadline_are_the_knobs() -> None:
    pool = CorePool(Dialler(), PoolLimits(part=65_536, deadline=12.0), HOME)
    assert pool.part_size(4, 10**9) == 65_536
    assert pool.deadline(Call(None, "messages.getHistory")) == 12.0
    assert pool.deadline(Call(None, "upload.getFile", limit=2 * SLOWEST)) == 14.0


@given(
    seed=st.integers(0, 10_000),
    connections=st.integers(1, 4),
    in_flight=st.integers(1, 4),
    history_in_flight=st.integers(1, 6),
)
@settings(max_examples=60)
def test_whatever_happens_the_knobs_hold_and_all_are_served(
    seed: int, connections: int, in_flight: int, history_in_flight: int
) -> None:
    """Borrowers come, work, are cancelled, connections break and dials fail, at random."""
    chance = random.Random(seed)

    async def main() -> None:
        dialler = Dialler(lambda alive: LostError("no more") if alive and chance.random() < 0.1 else None)
        pool = pool_of(dialler, connections=connections, in_flight=in_flight, history_in_flight=history_in_flight)
        busy: Counter[tuple[int, Traffic]] = Counter()
        served = 0

        async def once(traffic: Traffic, dc: int) -> None:
            nonlocal served
            async with pool.lease(dc, traffic) as sender:
                key = id(sender), traffic
                busy[key] += 1
                assert sender.dc == dc
                assert len([one for one in dialler.alive() if one.dc == dc]) <= connections
                assert busy[id(sender), Traffic.MEDIA] <= in_flight
                alive = [one for one in dialler.alive() if one.dc == dc]
                assert sum(busy[id(one), Traffic.HISTORY] for one in alive) <= history_in_flight
                try:
                    for _ in range(chance.randrange(4)):
                        await asyncio.sleep(0)
                    if chance.random() < 0.05:
                        await sender.close()
                finally:
                    busy[key] -= 1
            served += 1

        tasks: list[asyncio.Task[None]] = []
        for _ in range(60):
            tasks.append(asyncio.ensure_future(once(chance.choice(list(Traffic)), chance.choice([2, 4]))))
            if chance.random() < 0.3:
                await asyncio.sleep(0)
            if chance.random() < 0.1:
                chance.choice(tasks).cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
        assert served == outcomes.count(None)
        assert not +busy
        await pool.close()

    asyncio.run(asyncio.wait_for(main(), 20))


async def test_cancelled_while_it_closes_it_still_closes_everything() -> None:
    dial = Dialler()
    pool = pool_of(dial)
    async with pool.lease(None, Traffic.MEDIA):
        pass
    closing = asyncio.ensure_future(pool.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert dial.opened
    assert not dial.alive()
