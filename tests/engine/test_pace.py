"""PACE: no request during a wait, few floods, and what was learned stays learned."""

from __future__ import annotations

import asyncio
import math
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.fakes import Seen
from tests.engine.virtual import FloodServer, now, settle_down, virtually
from tobs.engine.pace import CUT, MARGIN, SHARE, Pace, drained, refill
from tobs.engine.state import MemoryState
from tobs.errors import LostError, RpcError
from tobs.ports import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tobs.ports import Invoke

HISTORY = "messages.getHistory"
HISTORIES = (30, 3, (5, 12))
SCARCE = (30, 1, (12, 30))
FILES = (60, 40, (5, 12))


def pace_of(state: MemoryState, *probes: Any) -> Pace:
    """A Pace whose clocks are the running loop's."""
    return Pace(state, probes, clock=now, wall=now)


def through(pace: Pace, server: Invoke) -> Invoke:
    """Both halves of PACE before a server."""
    return pace.layer(pace.gate(server))


def test_what_is_held_back_can_be_read() -> None:
    async def main() -> None:
        pace, waits = pace_of(MemoryState()), [RpcError(420, "FLOOD_WAIT", 7)]

        async def server(_: Call) -> None:
            if waits:
                raise waits.pop()

        invoke = through(pace, server)
        assert pace.held() == []
        asked = asyncio.ensure_future(invoke(Call(None, HISTORY)))
        await asyncio.sleep(2)
        ((name, rate, left),) = pace.held()
        assert (name, rate) == (HISTORY, pace.rate(HISTORY))
        assert left == pytest.approx(5 + MARGIN)
        assert math.isfinite(pace.rate(HISTORY))
        await asked
        assert pace.held() == [(HISTORY, pace.rate(HISTORY), 0.0)]

    virtually(main)


async def ask_for(seconds: float, invoke: Invoke, workers: int) -> None:
    """Send history requests for so long, `workers` at once."""
    end = now() + seconds

    async def work() -> None:
        while now() < end:
            await invoke(Call(None, HISTORY))

    tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}


async def fetch(requests: int, invoke: Callable[[Call], Awaitable[Any]], workers: int) -> float:
    """Get so many answers, `workers` at once; the seconds that took."""
    began, left = now(), iter(range(requests))

    async def work() -> None:
        for _ in left:
            await invoke(Call(None, HISTORY))

    await asyncio.gather(*(work() for _ in range(workers)))
    return now() - began


def hammer(server: FloodServer) -> Callable[[Call], Awaitable[Any]]:
    """A client that takes a refusal for an invitation to ask again."""

    async def invoke(call: Call) -> Any:
        while True:
            try:
                return await server(call)
            except RpcError:
                await asyncio.sleep(0.5)

    return invoke


@given(
    burst=st.integers(1, 60),
    refill=st.sampled_from([0.2, 1, 3, 10, 40]),
    low=st.integers(1, 12),
    rtt=st.sampled_from([0.0, 0.01, 0.08, 0.5]),
    workers=st.integers(1, 24),
    seed=st.integers(0, 99),
)
@settings(max_examples=40)
def test_no_request_leaves_during_a_wait(
    burst: int, refill: float, low: int, rtt: float, workers: int, seed: int
) -> None:
    async def main() -> None:
        server = FloodServer(burst, refill, (low, 2 * low), rtt, seed)
        pace = pace_of(MemoryState())
        await fetch(burst + 60, through(pace, server), workers)
        assert server.during == 0
        assert server.served == burst + 60

    virtually(main)


@given(requests=st.integers(60, 90), workers=st.integers(1, 4), seed=st.integers(0, 999))
@settings(max_examples=8)
def test_pacing_beats_hammering(requests: int, workers: int, seed: int) -> None:
    async def main() -> None:
        paced, hammered = (FloodServer(*HISTORIES, seed=seed) for _ in range(2))
        slow = await fetch(requests, hammer(hammered), workers)
        fast = await fetch(requests, through(pace_of(MemoryState()), paced), workers)
        assert fast < slow
        assert paced.during == 0 < hammered.during

    virtually(main)


@pytest.mark.parametrize("workers", [1, 16])
@pytest.mark.parametrize("bucket", [HISTORIES, SCARCE, FILES])
def test_a_cold_start_floods_three_times_at_most_and_then_uses_the_refill(
    bucket: tuple[int, int, tuple[int, int]], workers: int
) -> None:
    async def main() -> None:
        server = FloodServer(*bucket, seed=workers)
        pace = pace_of(MemoryState())
        await ask_for(600, through(pace, server), workers)
        late = [at for at in server.served_at if at > 300]
        wanted = min(server.refill, workers / server.rtt)
        assert len(server.floods) <= 3
        assert server.during == 0
        assert len(late) >= 0.8 * wanted * 300

    virtually(main)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("leases", [16, 24])
@pytest.mark.parametrize("bucket", [HISTORIES, SCARCE, FILES])
def test_two_refusals_tell_the_refill_also_where_requests_wait_for_leases_and_answers_are_slow(
    bucket: tuple[int, int, tuple[int, int]], leases: int, seed: int
) -> None:
    """As well as the requests between the two can tell it."""

    async def main() -> None:
        server, free = FloodServer(*bucket, seed=seed), asyncio.Semaphore(leases)
        pace = pace_of(MemoryState())

        async def leased(call: Call) -> Any:
            async with free:
                return await gated(call)

        async def slow(call: Call) -> Any:
            answer = await server(call)
            await asyncio.sleep(0.04 * (server.served % 4))
            return answer

        gated = pace.gate(slow)
        await fetch(1000, pace.layer(leased), 32)
        assert len(server.floods) == 2
        between = sum(server.floods[0] < at < server.floods[1] for at in server.served_at)
        assert pace.rate(HISTORY) == pytest.approx(SHARE * server.refill, rel=0.05 + 1 / between)

    virtually(main)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pause", [60, 600])
def test_a_short_run_spares_the_next_one_the_second_flood_and_most_of_the_time(pause: int, seed: int) -> None:
    """80 requests are too few to find the refill where waits are long; what they prove is enough for the next 80.

    Where waits are short they do find it.
    """

    async def main() -> None:
        server, state = FloodServer(*HISTORIES, seed=seed), MemoryState()
        first = pace_of(state)
        await fetch(80, through(first, server), 16)
        first.save()
        if len(server.floods) == 2:
            assert 0.85 * server.refill <= first.rate(HISTORY) <= server.refill
            return
        assert state.get("pace")[HISTORY]["opening"] is not None
        await asyncio.sleep(pause)
        seconds = await fetch(80, through(pace_of(state), server), 16)
        assert len(server.floods) == 1
        assert (80 - server.burst) / server.refill / seconds >= 0.8  # a full bucket, and its refill

    virtually(main)


def test_what_a_short_run_sent_counts_when_the_refill_is_found_in_a_later_one() -> None:
    async def main() -> None:
        server, state = FloodServer(*HISTORIES), MemoryState()
        for _ in range(12):
            pace = pace_of(state)
            await fetch(60, through(pace, server), 16)
            pace.save()
        assert len(server.floods) == 2
        assert state.get("pace")[HISTORY]["opening"] is None
        assert 0.85 * server.refill <= pace.rate(HISTORY) <= server.refill

    virtually(main)


@pytest.mark.parametrize("pause", [0, 5, 600])
@pytest.mark.parametrize("bucket", [HISTORIES, SCARCE, FILES])
def test_what_was_learned_spares_the_next_run_every_flood(bucket: tuple[int, int, tuple[int, int]], pause: int) -> None:
    async def main() -> None:
        server, state = FloodServer(*bucket), MemoryState()
        first = pace_of(state)
        await ask_for(300, through(first, server), 16)
        first.save()
        assert len(server.floods) >= 2
        server.floods.clear()
        await asyncio.sleep(pause)
        await ask_for(300, through(pace_of(state), server), 16)
        assert server.floods == []

    virtually(main)


def test_a_kept_bucket_fills_between_runs() -> None:
    async def main() -> None:
        server, state = FloodServer(*SCARCE), MemoryState()
        first = pace_of(state)
        await ask_for(300, through(first, server), 16)
        first.save()
        await asyncio.sleep(600)
        assert await fetch(10, through(pace_of(state), server), 1) == pytest.approx(10 * server.rtt)

    virtually(main)


def test_a_group_refused_together_is_one_flood_and_teaches_once() -> None:
    async def main() -> None:
        server, seen, state = FloodServer(4, 1, (7, 7)), Seen(), MemoryState()
        pace = pace_of(state, seen)
        await fetch(10, through(pace, server), 10)
        assert seen.floods == [(HISTORY, 7.0)]
        assert len(server.floods) == 1
        assert state.get("pace")[HISTORY]["opening"] is not None

    virtually(main)


def test_a_method_is_free_until_its_first_refusal() -> None:
    async def main() -> None:
        pace = pace_of(MemoryState())
        invoke = through(pace, FloodServer(1000, 1, (5, 5), rtt=0.0))
        assert await fetch(500, invoke, 5) == 0
        assert math.isinf(pace.rate(HISTORY))

    virtually(main)


def test_one_method_waits_and_the_other_goes_on() -> None:
    async def main() -> None:
        servers = {HISTORY: FloodServer(1, 1, (50, 50)), "upload.getFile": FloodServer(100, 1, (5, 5))}
        pace = pace_of(MemoryState())
        invoke = through(pace, lambda call: servers[call.method](call))
        waiting = asyncio.ensure_future(fetch(2, invoke, 1))
        await asyncio.sleep(1)
        await invoke(Call(None, "upload.getFile"))
        assert now() < 2
        assert await waiting > 50

    virtually(main)


def test_a_scope_has_rates_of_its_own_and_obeys_a_wait_that_was_there_before() -> None:
    async def main() -> None:
        servers = {"": FloodServer(1, 1, (50, 50)), "takeout": FloodServer(3, 1, (5, 5))}
        state, seen = MemoryState(), Seen()
        pace = pace_of(state, seen)
        invoke = through(pace, lambda call: servers[call.scope](call))
        waiting = asyncio.ensure_future(fetch(2, invoke, 1))
        await asyncio.sleep(1)
        for _ in range(3):
            await invoke(Call(None, HISTORY, scope="takeout"))
        assert 50 < now() < 51, "nobody knows whose wait it is"
        await invoke(Call(None, HISTORY, scope="takeout"))
        assert 55 < now() < 60
        assert await waiting > 50
        assert seen.floods == [(HISTORY, 50.0), (HISTORY, 5.0)], "the probes are told the method"
        assert math.isinf(pace.rate(f"other:{HISTORY}")), "what one scope taught says nothing of another"
        pace.save()
        assert set(state.get("pace")) == {HISTORY, f"takeout:{HISTORY}"}
        later = pace_of(state)
        assert later.rate(f"takeout:{HISTORY}") == pace.rate(f"takeout:{HISTORY}")

    virtually(main)


def test_a_refusal_is_waited_out_with_a_margin() -> None:
    async def main() -> None:
        sent: list[float] = []

        async def once_refused(call: Call) -> str:
            sent.append(now())
            if len(sent) == 1:
                raise RpcError(420, "FLOOD_PREMIUM_WAIT", 9, call.method)
            return "answer"

        assert await through(pace_of(MemoryState()), once_refused)(Call(None, HISTORY)) == "answer"
        assert sent[1] >= 9 + MARGIN

    virtually(main)


def test_a_premium_wait_says_nothing_of_a_rate() -> None:
    async def main() -> None:
        sent: list[float] = []

        async def server(call: Call) -> str:
            sent.append(now())
            if len(sent) in (100, 200):
                raise RpcError(420, "FLOOD_PREMIUM_WAIT", 9, call.method)
            return "answer"

        seen = Seen()
        pace = pace_of(MemoryState(), seen)
        assert await fetch(300, through(pace, server), 1) == pytest.approx(2 * (9 + MARGIN))
        assert math.isinf(pace.rate(HISTORY))
        assert seen.floods == [(HISTORY, 9.0)] * 2

    virtually(main)


def test_a_premium_wait_leaves_a_learned_rate_and_the_next_run_waits_for_its_end() -> None:
    async def main() -> None:
        state = MemoryState()
        bucket, premium = FloodServer(*HISTORIES, seed=3), False

        async def server(call: Call) -> Any:
            if premium:
                raise RpcError(420, "FLOOD_PREMIUM_WAIT", 50, call.method)
            return await bucket(call)

        first = pace_of(state)
        await fetch(90, through(first, server), 4)
        learned = first.rate(HISTORY)
        premium = True
        refused = asyncio.ensure_future(through(first, server)(Call(None, HISTORY)))
        await asyncio.sleep(5)
        refused.cancel()
        assert first.rate(HISTORY) == learned
        premium = False
        fresh = MemoryState()
        fresh.put("pace", {HISTORY: {"until": now() + 30}})
        for kept in (fresh, state):
            began = now()
            await through(pace_of(kept), server)(Call(None, HISTORY))
            assert now() - began > 10

    virtually(main)


@pytest.mark.parametrize("error", [LostError("gone"), RpcError(400, "FILE_ID_INVALID"), RpcError(420, "FLOOD_WAIT")])
def test_what_asks_for_no_wait_passes(error: Exception) -> None:
    async def main() -> None:
        async def inner(_: Call) -> Any:
            raise error

        with pytest.raises(type(error)):
            await through(pace_of(MemoryState()), inner)(Call(None, HISTORY))
        assert now() == 0

    virtually(main)


def test_who_waited_for_a_lease_while_a_refusal_came_gives_it_back() -> None:
    """Between PACE and the wire stands LEASE: ten requests pass the first, one at a time gets the second."""

    async def main() -> None:
        server, place = FloodServer(3, 1, (20, 20)), asyncio.Semaphore(1)
        pace = pace_of(MemoryState())
        gate = pace.gate(server)

        async def leased(call: Call) -> Any:
            async with place:
                return await gate(call)

        await fetch(10, through(pace, leased), 10)
        assert server.during == 0
        assert server.served == 10

    virtually(main)


def test_cancelled_requests_leave_the_turn_to_others() -> None:
    async def main() -> None:
        server = FloodServer(1, 1, (5, 5))
        invoke = through(pace_of(MemoryState()), server)
        tasks = [asyncio.ensure_future(invoke(Call(None, HISTORY))) for _ in range(4)]
        await asyncio.sleep(1)
        for task in tasks[:3]:
            task.cancel()
        await settle_down()
        assert await tasks[3] == 0

    virtually(main)


def test_a_wait_outlives_the_run_that_met_it() -> None:
    async def main() -> None:
        server, state = FloodServer(3, 1, (60, 60)), MemoryState()
        killed = asyncio.ensure_future(fetch(9, through(pace_of(state), server), 1))
        await asyncio.sleep(10)
        killed.cancel()  # it never saves
        await settle_down()
        await fetch(1, through(pace_of(state), server), 1)
        assert now() > 60
        assert server.during == 0
        assert len(server.floods) == 1

    virtually(main)


GOOD: dict[str, Any] = {"rate": 3.0, "burst": 20.0, "tokens": 0.0, "opening": None, "at": 0.0, "until": 0.0}
OPENING: dict[str, Any] = {"opening": [16, 32, 0.1], "began": 9.0, "sent": [8.0, 7.0]}


@pytest.mark.parametrize(
    "kept",
    [
        "nonsense",
        None,
        [],
        {},
        {"rate": 3.0},
        *(GOOD | {"rate": rate} for rate in ("fast", 0, -1, math.nan, math.inf, None)),
        *(GOOD | {"burst": burst} for burst in (0, math.nan, math.inf, "full")),
        *(GOOD | {"until": until} for until in (math.nan, math.inf, "later")),
        *(GOOD | OPENING | {"sent": sent} for sent in ("abc", 7, [None], [math.nan], ["late"])),
        *(GOOD | OPENING | {"began": began} for began in (None, math.inf, "then")),
        *(GOOD | {"opening": opening} for opening in ([1], [1, 2], "abc", 7, [None, 2, 3], [math.inf, 1, 1])),
    ],
)
def test_damaged_state_is_no_state(kept: Any) -> None:
    async def main() -> None:
        state = MemoryState()
        state.put("pace", {HISTORY: kept})
        pace = pace_of(state)
        assert math.isinf(pace.rate(HISTORY))
        await fetch(5, through(pace, FloodServer(3, 1, (5, 5))), 1)
        assert pace.rate(HISTORY) < math.inf

    virtually(main)


def test_good_state_is_read_back() -> None:
    async def main() -> None:
        state = MemoryState()
        state.put("pace", {HISTORY: GOOD})
        assert pace_of(state).rate(HISTORY) == 3.0

    virtually(main)


def test_an_absurd_kept_wait_ends_within_a_day() -> None:
    async def main() -> None:
        state = MemoryState()
        state.put("pace", {HISTORY: GOOD | {"until": 1e12}})
        await fetch(1, through(pace_of(state), FloodServer(3, 1, (5, 5))), 1)
        assert 86_000 < now() < 87_000

    virtually(main)


def test_what_other_methods_taught_is_kept_beside() -> None:
    async def main() -> None:
        state = MemoryState()
        state.put("pace", {"upload.getFile": GOOD})
        pace = pace_of(state)
        await fetch(5, through(pace, FloodServer(3, 1, (5, 5))), 1)
        pace.save()
        assert state.get("pace")["upload.getFile"] == GOOD
        assert HISTORY in state.get("pace")

    virtually(main)


def test_a_limit_that_shrinks_is_found_again() -> None:
    async def main() -> None:
        server = FloodServer(30, 10, (5, 5))
        pace = pace_of(MemoryState())
        await ask_for(120, through(pace, server), 16)
        before = pace.rate(HISTORY)
        server.refill = 2
        await ask_for(1200, through(pace, server), 16)
        assert before > 8
        assert CUT * 1.5 < pace.rate(HISTORY) < 2.2

    virtually(main)


@given(
    rate=st.floats(0.5, 40),
    held=st.floats(5, 100),
    factor=st.floats(1.2, 3),
)
def test_the_refill_is_found_from_what_was_served(rate: float, held: float, factor: float) -> None:
    """Requests at `factor` times the refill, until the bucket refuses one."""
    sent, level, at = [], max(1.0, rate), 0.0
    while True:
        when = at + 1 / (rate * factor)
        level = min(max(held, rate), level + (when - at) * rate)
        sent.append(when)
        at = when
        if level < 1:
            break
        level -= 1
    found = refill(sent, 0.0, rate * factor, held, 0.0)
    assert rate * (0.95 - 2 / len(sent)) <= found <= rate * (1.03 + 2 / len(sent))


@given(
    rate=st.floats(0.5, 40),
    held=st.integers(1, 100),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=200),
)
def test_what_was_served_proves_no_more_than_the_bucket_has(rate: float, held: int, gaps: list[float]) -> None:
    """Requests as they come after a wait, those left out that the bucket would refuse."""
    full = max(1.0, rate, held)
    sent, level, at = [], max(1.0, rate), 0.0
    for when in accumulate(gaps):
        level = min(full, level + (when - at) * rate)
        at = when
        if level >= 1:
            sent.append(when)
            level -= 1
    assert drained(sent, rate) <= full + 1e-6
    assert refill(sent, 0.0, 50.0, full, 0.0, refused=False) <= max(rate, 50 * 0.97**199) * 1.04
