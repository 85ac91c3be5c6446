"""adaptive_connections against throttles that it is not told of, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.virtual import now, virtually
from tests.plugins.throttled import DC, MB, Demand, Throttled, mixed
from tobs.engine.pool import CorePool, PoolLimits
from tobs.ports import InvokeBand, Pool
from tobs_adaptive_connections.pool import AdaptivePool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIXED = [(connections, in_flight) for connections in (1, 4, 8) for in_flight in (2, 4, 8, 16)]

THROTTLES: dict[str, dict[str, Any]] = {
    "connection": {"connection": 1.5},
    "slow connection, far": {"connection": 0.5, "rtt": 0.3},
    "fast connection, far, few": {"connection": 4.0, "rtt": 0.25, "cap": 3},
    "account": {"account": 10.0},
    "narrow account": {"account": 2.5, "rtt": 0.1, "jitter": 0.02},
    "wide account, far": {"account": 20.0, "rtt": 0.3},
    "both": {"connection": 1.5, "account": 8.0, "rtt": 0.17, "jitter": 0.017},
    "both, connections bind": {"connection": 1.0, "account": 20.0, "rtt": 0.05},
}


def adaptive(server: Throttled, **knobs: int) -> tuple[AdaptivePool, Any]:
    given = {"connections": 8, "start": 4, "in_flight": 32, "history": 16, **knobs}
    pool = AdaptivePool(server.dial, DC, deadline=30.0, shortest=3.0, **given)
    return pool, [(InvokeBand.DEADLINE, pool.layer)]


def fixed(connections: int, in_flight: int) -> Callable[[Throttled], tuple[Pool, Any]]:
    return lambda server: (CorePool(server.dial, PoolLimits(connections, in_flight), DC), ())


@dataclass
class Course:
    """What a run did: the targets second by second, and what came when."""

    server: Throttled
    demand: Demand
    targets: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    rooms: list[int] = field(default_factory=list)

    def rate(self, since: float, until: float) -> float:
        return self.server.brought(since, until)


def run(
    make: Callable[[Throttled], tuple[Pool, Any]],
    seconds: float,
    *,
    seed: int = 0,
    sizes: Callable[[int], Iterator[int]] = mixed,
    **throttle: Any,
) -> Course:
    """Demand without end for so many seconds."""

    async def main() -> Course:
        server = Throttled(seed=seed, **throttle)
        pool, layers = make(server)
        course = Course(server, Demand(pool, sizes(seed), layers))

        async def watch() -> None:
            while isinstance(pool, AdaptivePool):
                course.targets.append(pool.centre(DC).climb.target)
                course.open.append(len(server.alive()))
                course.rooms.append(pool.room(DC))
                await asyncio.sleep(1)

        watching = asyncio.ensure_future(watch())
        await course.demand.run(seconds)
        watching.cancel()
        await pool.close()
        assert not server.alive()
        return course

    return virtually(main)


def best(since: float, until: float, seed: int = 0, **throttle: Any) -> float:
    """MB/s between two moments with the best fixed setting."""
    return max(run(fixed(*setting), until, seed=seed, **throttle).rate(since, until) for setting in FIXED)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("throttle", THROTTLES.values(), ids=THROTTLES)
def test_it_finds_what_the_best_fixed_setting_brings(throttle: dict[str, Any], seed: int) -> None:
    course = run(adaptive, 45, seed=seed, **throttle)
    assert course.rate(15, 45) >= 0.95 * best(15, 45, seed, **throttle)
    assert course.demand.lost == 0
    assert course.server.most <= min(8, throttle.get("cap", 8))


@pytest.mark.parametrize("throttle", THROTTLES.values(), ids=THROTTLES)
def test_it_starts_at_once(throttle: dict[str, Any]) -> None:
    """Of what could come in the first 20 s, once a connection can be open, it brings nearly nine tenths."""
    course = run(adaptive, 20, seed=3, **throttle)
    opened = 5 * throttle.get("rtt", 0.04)
    limit = min(throttle.get("account", 1e9), throttle.get("connection", 1e9) * throttle.get("cap", 8))
    assert course.rate(opened, 20) >= 0.88 * limit


def test_the_same_seed_takes_the_same_course() -> None:
    first, second = (run(adaptive, 20, seed=5, connection=1.5, jitter=0.01) for _ in range(2))
    assert first.server.arrived == second.server.arrived
    assert first.targets == second.targets


def test_connections_that_bring_nothing_are_closed() -> None:
    course = run(adaptive, 30, account=10.0)
    assert max(course.open) == 8
    assert course.targets[-1] == course.open[-1] == 2


def test_connections_that_pay_stay() -> None:
    course = run(adaptive, 25, connection=1.5)
    assert course.targets[3:] == course.open[3:] == [8] * len(course.open[3:])


def test_a_higher_ceiling_is_climbed_step_by_step() -> None:
    course = run(lambda server: adaptive(server, connections=16), 60, connection=1.0, cap=16)
    assert course.targets[0] == 4
    assert max(course.open) == 16
    assert course.rate(20, 60) >= 0.95 * 16


@pytest.mark.parametrize("in_flight", [1, 3])
def test_the_ceilings_hold(in_flight: int) -> None:
    course = run(lambda server: adaptive(server, connections=3, in_flight=in_flight), 15, account=30.0, rtt=0.3)
    assert course.server.most == 3
    assert max(line.most for line in course.server.opened) == in_flight


def test_requests_in_flight_hide_the_round_trip_and_no_more() -> None:
    """Full parts at 1.5 MB/s and 40 ms: two on a connection, however long it goes on."""

    def parts(_: int) -> Iterator[int]:
        while True:
            yield 1 << 20

    course = run(adaptive, 30, sizes=parts, connection=1.5)
    assert max(line.most for line in course.server.opened) == 2
    assert course.rate(10, 30) >= 0.97 * 8 * 1.5

    def photos(_: int) -> Iterator[int]:
        while True:
            yield 80_000

    far = run(adaptive, 30, sizes=photos, connection=1.5, rtt=0.3)
    aim = 1 + 0.3 * 1.5 * MB / 80_000
    assert aim <= max(line.most for line in far.server.opened) <= 2.5 * aim
    assert far.rate(10, 30) >= 0.97 * 8 * 1.5


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a wide account becomes narrow": ({"account": ((0, 10.0), (20, 3.0))}, {"account": 3.0}),
    "a narrow account becomes wide": ({"account": ((0, 2.0), (20, 12.0))}, {"account": 12.0}),
    "connections instead of the account": (
        {"account": ((0, 10.0), (20, 100.0)), "connection": ((0, 100.0), (20, 1.5))},
        {"connection": 1.5},
    ),
    "the account instead of connections": (
        {"account": ((0, 100.0), (20, 5.0)), "connection": ((0, 1.5), (20, 100.0))},
        {"account": 5.0},
    ),
    "faster connections": ({"connection": ((0, 0.5), (20, 3.0))}, {"connection": 3.0}),
    "slower connections": ({"connection": ((0, 3.0), (20, 0.5))}, {"connection": 0.5}),
}


@pytest.mark.parametrize(("throttle", "after"), CHANGES.values(), ids=CHANGES)
def test_it_follows_a_capacity_that_changes(throttle: dict[str, Any], after: dict[str, Any]) -> None:
    course = run(adaptive, 75, seed=4, **throttle)
    assert course.rate(35, 75) >= 0.95 * best(15, 45, 4, **after)


def test_without_work_nothing_is_learnt() -> None:
    """One file after the other after a busy time: what was found stays, and what is open."""

    async def main() -> None:
        server = Throttled(connection=1.5)
        pool, layers = adaptive(server)
        demand = Demand(pool, mixed(1), layers)
        await demand.run(10)
        climb = pool.centre(DC).climb
        before = vars(climb).copy()
        before.pop("_since"), before.pop("_began")
        assert climb.target == 8
        await demand.run(120, at_once=1)
        assert climb.target == 8
        assert not climb.trying
        assert len(server.alive()) == 8
        await asyncio.sleep(3600)
        assert len(server.alive()) == 8
        began = now()
        await demand.run(10)
        assert server.brought(began, began + 10) >= 0.95 * 12
        await pool.close()

    virtually(main)


def test_little_work_opens_little() -> None:
    async def main() -> None:
        server = Throttled(connection=0.2)
        pool, layers = adaptive(server)
        await Demand(pool, mixed(1), layers).run(30, at_once=2)
        assert server.most == 2
        await pool.close()

    virtually(main)


def test_losses_cost_connections() -> None:
    """Where a fifth of the answers does not come in time, it goes down to where it never is alone; and comes back."""

    async def main() -> None:
        server = Throttled(account=4.0, stalls=0.2, stalled=1000.0, seed=2)
        pool, layers = adaptive(server)
        demand = Demand(pool, mixed(2), layers)
        await demand.run(120)
        assert demand.lost >= 8
        assert pool.centre(DC).climb.target == 2
        assert pool.centre(DC).share < 1.0
        server.stalls, server.connection = 0.0, 0.5
        for line in server.alive():
            await line.close()
        await demand.run(120)
        assert pool.centre(DC).climb.target == 8
        assert pool.centre(DC).share == 1.0
        await pool.close()

    virtually(main)


def test_a_few_stalls_cost_little() -> None:
    """One answer in a hundred comes 8 s late: it is asked for again before that, and nothing else is."""

    async def main() -> None:
        server = Throttled(account=3.0, rtt=0.15, jitter=0.075, stalls=0.01, stalled=8.0, seed=1)
        pool, layers = adaptive(server)
        demand = Demand(pool, mixed(1), layers)
        await demand.run(120)
        stalled = round(server.served * 0.01)
        assert 1 <= demand.lost <= 2 * stalled
        assert server.brought(30, 120) >= 0.93 * 3.0
        await pool.close()

    virtually(main)


def test_a_link_that_becomes_slow_is_waited_for() -> None:
    """Deadlines stretch until answers come: no part is asked for again and again."""

    async def main() -> None:
        server = Throttled(connection=((0.0, 1.0), (30.0, 0.04)), rtt=0.1, cap=2)
        pool, layers = adaptive(server)
        demand = Demand(pool, mixed(6), layers)
        await demand.run(180)
        assert demand.lost <= 12
        assert server.brought(60, 180) >= 0.75 * 0.08
        await pool.close()

    virtually(main)


def test_a_flood_takes_back_what_was_on_trial() -> None:
    async def main() -> None:
        server = Throttled(connection=0.5)
        pool, layers = adaptive(server)
        demand = Demand(pool, mixed(1), layers)
        asking = asyncio.ensure_future(demand.run(60))
        await asyncio.sleep(0.5)
        centre = pool.centre(DC)
        assert (centre.climb.target, centre.climb.trying) == (8, True)
        pool.flooded("messages.getHistory")
        assert (centre.climb.target, centre.share) == (8, 1.0)
        pool.flooded("upload.getFile")
        assert (centre.climb.target, centre.climb.trying, centre.share) == (4, False, 0.5)
        await asking
        assert (centre.climb.target, centre.share) == (8, 1.0), "with work for it, it tries again"
        await pool.close()

    virtually(main)
