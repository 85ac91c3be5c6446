"""The pool: as many connections as are asked for, never more than the knobs allow, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.any_pool import HOME, AnyPool, borrow, give_back
from tests.engine.fakes import Dialler
from tobs.engine.pool import SLOWEST, CorePool, PoolLimits
from tobs.errors import LostError
from tobs.ports import Call
from tobs.values import Traffic


def pool_of(dialler: Dialler, **limits: int) -> CorePool:
    return CorePool(dialler, PoolLimits(**limits), HOME)


class TestCorePool(AnyPool):
    def pool_of(self, dialler: Dialler, **limits: int) -> CorePool:
        names = {"history": "history_in_flight"}
        return pool_of(dialler, **{names.get(name, name): value for name, value in limits.items()})


async def test_media_grow_up_to_the_knobs() -> None:
    dialler = Dialler()
    pool = pool_of(dialler, connections=3, in_flight=2)
    borrowers = await borrow(pool, 20)
    served = Counter(id(one.sender) for one in borrowers if one.sender)
    assert len(dialler.opened) == 3
    assert list(served.values()) == [2, 2, 2]
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


async def test_a_bug_in_a_further_dial_leaves_the_open_connections_in_use() -> None:
    dialler = Dialler(lambda alive: RuntimeError("a bug") if alive else None)
    pool = pool_of(dialler, in_flight=1)
    await give_back(await borrow(pool, 4))
    assert pool.senders() == 1
    await pool.close()


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
