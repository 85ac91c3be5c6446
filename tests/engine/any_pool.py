"""What every pool promises, as tests that its own test file takes over, and borrowers of senders."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.engine.fakes import Dialler
from tests.engine.virtual import settle_down
from tobs.errors import ConnectError, LostError
from tobs.ports import Pool, Sender
from tobs.values import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = 2


class CountingPool(Pool, Protocol):
    """A pool that tells how many connections it has open."""

    def senders(self, dc: int | None = None) -> int: ...


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


class AnyPool(ABC):
    """Subclass it under a name that pytest collects."""

    @abstractmethod
    def pool_of(self, dialler: Dialler, **limits: int) -> CountingPool:
        """A pool; `limits` are `connections`, `in_flight` and `history`, its own defaults where they are not given."""

    async def test_one_at_a_time_opens_one_connection(self) -> None:
        dialler = Dialler()
        pool = self.pool_of(dialler)
        for traffic in [Traffic.HISTORY, Traffic.MEDIA] * 5:
            async with pool.lease(None, traffic) as sender:
                assert sender.dc == HOME
            await settle_down()
        assert dialler.asked == [HOME]
        await pool.close()

    async def test_none_is_home(self) -> None:
        dialler = Dialler()
        pool = self.pool_of(dialler)
        async with pool.lease(None, Traffic.HISTORY) as first, pool.lease(HOME, Traffic.HISTORY) as second:
            assert first is second
        assert pool.senders() == pool.senders(HOME) == 1
        assert pool.senders(4) == 0
        await pool.close()

    async def test_history_alone_stays_on_one_connection(self) -> None:
        dialler = Dialler()
        pool = self.pool_of(dialler, history=5)
        borrowers = await borrow(pool, 9, Traffic.HISTORY)
        assert sum(one.sender is not None for one in borrowers) == 5
        assert len(dialler.opened) == 1
        await give_back(borrowers)
        await pool.close()

    async def test_history_is_served_before_media(self) -> None:
        dialler = Dialler(hold=asyncio.Event())
        pool = self.pool_of(dialler, connections=1)
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

    async def test_a_closed_connection_is_replaced(self) -> None:
        dialler = Dialler()
        pool = self.pool_of(dialler)
        async with pool.lease(None, Traffic.MEDIA) as first:
            await first.close()
        async with pool.lease(None, Traffic.MEDIA) as second:
            assert second is not first
            assert not second.closed
        assert len(dialler.opened) == 2
        await pool.close()

    async def test_who_waits_for_a_full_connection_that_closes_gets_another(self) -> None:
        dialler = Dialler()
        pool = self.pool_of(dialler, connections=1, in_flight=1)
        held, waiting = await borrow(pool, 1), await borrow(pool, 3)
        dialler.opened[0].closed = True
        await give_back(held)
        await settle_down()
        await give_back(waiting)
        assert len(dialler.opened) == 2
        await pool.close()

    @pytest.mark.parametrize("error", [LostError("away"), ConnectError("unknown session"), RuntimeError("a bug")])
    async def test_a_failed_dial_fails_who_waits(self, error: Exception) -> None:
        dialler = Dialler(lambda _: error)
        pool = self.pool_of(dialler)
        borrowers = await borrow(pool, 3)
        for one in borrowers:
            with pytest.raises(type(error)):
                await one.task
        dialler.refuses = lambda _: None
        await give_back(await borrow(pool, 3))
        await pool.close()

    async def test_cancelled_borrowers_give_their_places_back(self) -> None:
        dialler = Dialler()
        pool = self.pool_of(dialler, connections=1, in_flight=1)
        held, waiting, last = await borrow(pool, 1), await borrow(pool, 1), await borrow(pool, 1)
        waiting[0].task.cancel()
        held[0].done.set()
        await settle_down()
        assert last[0].sender is not None
        last[0].task.cancel()
        await settle_down()
        await give_back(await borrow(pool, 1))
        await pool.close()

    async def test_a_borrower_cancelled_in_the_moment_it_is_served_gives_its_place_back(self) -> None:
        dialler = Dialler()
        pool = self.pool_of(dialler, connections=1, in_flight=1)
        held = pool.lease(None, Traffic.MEDIA)
        await held.__aenter__()
        waiting = await borrow(pool, 1)
        await held.__aexit__(None, None, None)
        waiting[0].task.cancel()  # it is served, and does not know yet
        await settle_down()
        await give_back(await borrow(pool, 1))
        await pool.close()

    async def test_close_fails_who_waits_and_who_comes_later(self) -> None:
        dialler = Dialler()
        pool = self.pool_of(dialler, connections=1, in_flight=1)
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

    async def test_close_during_a_dial_leaves_no_connection_and_no_task(self) -> None:
        dialler = Dialler(hold=asyncio.Event())
        pool = self.pool_of(dialler)
        waiting = await borrow(pool, 3)
        await pool.close()
        assert dialler.hold is not None
        dialler.hold.set()
        await settle_down()
        for one in waiting:
            with pytest.raises(LostError):
                await one.task
        assert dialler.alive() == []
        await pool.warm(HOME, 2)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_cancelled_while_it_closes_it_still_closes_everything(self) -> None:
        dial = Dialler()
        pool = self.pool_of(dial)
        async with pool.lease(None, Traffic.MEDIA):
            pass
        closing = asyncio.ensure_future(pool.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert dial.opened
        assert not dial.alive()
