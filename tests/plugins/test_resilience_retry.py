"""resilience's requests, in virtual time: how often, after which pauses, and when no more."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.virtual import now, settle_down, virtually
from tobs.errors import ConnectError, LostError, RpcError, TobsError, UnreachableError
from tobs.ports import Call
from tobs.values import Traffic
from tobs_resilience.breaker import UNKNOWN, Breaker, Rules, State
from tobs_resilience.budget import RetryBudget
from tobs_resilience.retry import Attempts, Retry
from tobs_resilience.told import Told

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = 2
AWAY = UnreachableError("data centre cannot be reached")
FAULT = RpcError(500, "RPC_CALL_FAIL")


@dataclass
class Server:
    """Answers by what `says` of the time and the call; keeps who asked when."""

    says: Callable[[float, Call], object]
    rtt: float = 0.1
    asked: list[tuple[float, int | None]] = field(default_factory=list)

    async def __call__(self, call: Call) -> Any:
        self.asked.append((now(), call.dc))
        await asyncio.sleep(self.rtt)
        answer = self.says(now(), call)
        if isinstance(answer, Exception):
            raise answer
        return answer


def retry_of(
    *,
    seed: int = 0,
    retries: int = 10,
    base: float = 1.0,
    cap: float = 8.0,
    patience: float = 300.0,
    failures: int = 1000,
    share: float = 1.0,
    minimum: int = 1000,
) -> Retry:
    return Retry(
        Attempts(retries, base, cap, patience),
        Rules(failures, base, cap, patience),
        RetryBudget(share, minimum),
        random.Random(seed),
        Told(),
        lambda: HOME,
    )


def call(dc: int | None = None, whole: Callable[[Any], bool] | None = None) -> Call:
    return Call("request", "upload.getFile", Traffic.MEDIA, dc, whole=whole)


def state(breaker: Breaker) -> State:
    """As it is just now."""
    return breaker.state


def first(errors: int, error: Exception) -> Callable[[float, Call], object]:
    """Fails so often, then answers."""
    left = [error] * errors
    return lambda _time, _call: left.pop() if left else "answer"


# ---------------------------------------------------------------- what is tried again


@pytest.mark.parametrize(
    "error",
    [
        LostError("gone"),
        RpcError(500, "INTERNAL"),
        RpcError(-503, "Timeout"),
        RpcError(-500, "No workers"),
        RpcError(400, "MSG_WAIT_FAILED"),
        RpcError(400, "RPC_CALL_FAIL"),
    ],
)
def test_what_may_pass_is_tried_again(error: TobsError) -> None:
    async def main() -> None:
        retry, server = retry_of(), Server(first(10, error))
        assert await retry.layer(server)(call()) == "answer"
        assert len(server.asked) == 11

    virtually(main)


@pytest.mark.parametrize(
    "error",
    [
        RpcError(400, "LIMIT_INVALID"),
        RpcError(303, "FILE_MIGRATE", 4),
        RpcError(400, "FILE_REFERENCE_EXPIRED"),
        RpcError(420, "FLOOD_WAIT", 7),
        RpcError(401, "X"),
        ConnectError("key"),
    ],
)
def test_what_will_not_pass_or_is_another_s_passes_at_once(error: TobsError) -> None:
    async def main() -> None:
        retry, server = retry_of(), Server(first(1, error))
        with pytest.raises(type(error)) as raised:
            await retry.layer(server)(call())
        assert raised.value is error
        assert len(server.asked) == 1
        assert state(retry.breaker(None)) is State.CLOSED

    virtually(main)


def test_a_key_used_twice_says_what_to_do() -> None:
    async def main() -> None:
        server = Server(first(99, RpcError(406, "AUTH_KEY_DUPLICATED")))
        with pytest.raises(ConnectError, match="ended this session") as raised:
            await retry_of().layer(server)(call())
        assert "tobs login" in raised.value.hint
        assert len(server.asked) == 1

    virtually(main)


@given(seed=st.integers(0, 10_000), retries=st.integers(0, 12))
@settings(max_examples=60)
def test_pauses_are_drawn_from_nothing_to_twice_as_much_each_time(seed: int, retries: int) -> None:
    async def main() -> None:
        retry = retry_of(seed=seed, retries=retries)
        errors = [LostError(str(number)) for number in range(retries + 1)]
        server = Server(lambda _time, _call: errors[len(server.asked) - 1])
        with pytest.raises(LostError) as raised:
            await retry.layer(server)(call())
        assert raised.value is errors[-1], "the last one's error is raised"
        assert len(server.asked) == retries + 1
        times = [at for at, _ in server.asked]
        for number, (one, other) in enumerate(pairwise(times)):
            assert 0 <= other - one - server.rtt <= min(8.0, 2.0**number) + 1e-3

    virtually(main)


def test_requests_that_fail_together_do_not_come_back_together() -> None:
    async def main() -> None:
        retry, server = retry_of(), Server(lambda time, _call: LostError("gone") if time < 0.2 else "answer")
        await asyncio.gather(*(retry.layer(server)(call()) for _ in range(100)))
        again = sorted(at for at, _ in server.asked[100:])
        assert len(again) == 100
        assert again[75] - again[25] > 0.3, "spread over the second that the first pause may take"

    virtually(main)


def test_a_short_answer_is_asked_for_again_at_once_and_then_after_pauses() -> None:
    async def main() -> None:
        retry = retry_of(retries=4)
        server = Server(lambda _time, _call: "short" if len(server.asked) < 2 else "whole")
        assert await retry.layer(server)(call(whole=lambda answer: answer == "whole")) == "whole"
        assert server.asked[1][0] == pytest.approx(server.rtt)
        server = Server(lambda _time, _call: "short")
        assert await retry.layer(server)(call(whole=lambda answer: answer == "whole")) == "short", "core says what is"
        assert len(server.asked) == 5

    virtually(main)


# ---------------------------------------------------------------- the budget


@given(minimum=st.integers(1, 100), share=st.sampled_from([0.0, 0.1, 0.5]), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_server_that_answers_nothing_right_is_not_hammered(minimum: int, share: float, seed: int) -> None:
    """However many requests there are, further attempts are a share of them and some a minute."""

    async def main() -> None:
        retry = retry_of(seed=seed, minimum=minimum, share=share, base=0.0, patience=10.0)
        server = Server(lambda _time, _call: FAULT)
        invoke = retry.layer(server)
        refused = await asyncio.gather(*(invoke(call()) for _ in range(200)), return_exceptions=True)
        assert all(error is FAULT for error in refused)
        further = len(server.asked) - 200
        assert further <= minimum + share * 200 + minimum / 60 * now() + 1
        assert further >= min(minimum, 2000)

    virtually(main)


def test_an_empty_budget_is_waited_for_and_not_longer_than_allowed() -> None:
    async def main() -> None:
        budget = RetryBudget(0.0, 6)
        for _ in range(6):
            assert await budget.take(0.001)
        assert now() == 0
        assert not await budget.take(5)
        assert now() == pytest.approx(5)
        assert await budget.take(10)
        assert now() == pytest.approx(10, abs=0.01), "six a minute is one in ten seconds"
        assert not await budget.take(1)

    virtually(main)


def test_requests_fill_the_budget() -> None:
    async def main() -> None:
        budget = RetryBudget(0.25, 2)
        assert await budget.take(0.001)
        assert await budget.take(0.001)
        for _ in range(3):
            budget.requested()
        assert not await budget.take(0.001)
        budget.requested()
        assert await budget.take(0.001)

    virtually(main)


# ---------------------------------------------------------------- the breaker


def away(begin: float, end: float, dc: int = 4) -> Callable[[float, Call], object]:
    return lambda time, one: AWAY if one.dc == dc and begin <= time < end else "answer"


@given(seed=st.integers(0, 10_000), many=st.integers(1, 40), seconds=st.floats(1, 250))
@settings(max_examples=40, deadline=None)
def test_while_a_data_centre_is_away_one_request_at_a_time_asks_for_it(seed: int, many: int, seconds: float) -> None:
    async def main() -> None:
        retry, server = retry_of(seed=seed), Server(away(0.15, 0.15 + seconds))
        invoke = retry.layer(server)
        assert await invoke(call(4)) == "answer"
        assert await asyncio.gather(*(invoke(call(4)) for _ in range(many))) == ["answer"] * many
        lost, after = server.asked[1 : 1 + many], server.asked[1 + many :]
        assert [at for at, _ in lost] == pytest.approx([0.1] * many)
        probes = [at for at, _ in after if at < 0.15 + seconds - server.rtt]
        gaps = [other - one for one, other in zip([0.2, *probes], probes, strict=False)]
        for number, gap in enumerate(gaps):
            most = min(8.0, 2.0**number)
            assert most / 2 - 1e-3 <= gap <= most + server.rtt + 1e-3
        assert len(after) == len(probes) + many, "then all others, each once"
        assert state(retry.breaker(4)) is State.CLOSED
        assert retry._told.away[4] == pytest.approx(now() - 0.2, abs=9)

    virtually(main)


def test_other_data_centres_go_on() -> None:
    async def main() -> None:
        retry, server = retry_of(), Server(away(0, 60))
        invoke = retry.layer(server)
        waiting = asyncio.ensure_future(invoke(call(4)))
        await asyncio.sleep(1)
        for _ in range(5):
            assert await invoke(call()) == "answer"
        assert now() == pytest.approx(1.5)
        assert not waiting.done()
        assert await waiting == "answer"

    virtually(main)


def test_home_is_one_data_centre_by_whichever_name() -> None:
    retry = retry_of()
    assert retry.breaker(None) is retry.breaker(HOME)
    assert retry.breaker(4) is not retry.breaker(HOME)


def test_after_patience_all_who_wait_get_the_error() -> None:
    async def main() -> None:
        retry, server = retry_of(patience=60.0), Server(lambda time, _call: AWAY if time > 1 else "answer")
        invoke = retry.layer(server)
        await invoke(call(4))
        await asyncio.sleep(2)
        began = now()
        ended = await asyncio.gather(*(invoke(call(4)) for _ in range(10)), return_exceptions=True)
        assert ended == [AWAY] * 10
        assert 60 <= now() - began <= 60 + 8 + 1
        asked = len(server.asked)
        with pytest.raises(UnreachableError):
            await invoke(call(4))
        assert len(server.asked) <= asked + 1, "who comes later does not wait as long once more"

    virtually(main)


def test_with_a_server_that_never_answered_there_is_little_patience() -> None:
    async def main() -> None:
        retry, server = retry_of(), Server(lambda _time, _call: AWAY)
        with pytest.raises(UnreachableError):
            await retry.layer(server)(call())
        assert UNKNOWN <= now() <= UNKNOWN + 10

    virtually(main)


def test_failures_in_a_row_open_it_and_those_of_one_moment_are_one() -> None:
    async def main() -> None:
        retry = retry_of(failures=3, base=0.01, cap=0.01)
        bad = True
        server = Server(lambda _time, _call: LostError("gone") if bad else "answer")
        invoke, breaker = retry.layer(server), retry.breaker(4)
        tasks = [asyncio.ensure_future(invoke(call(4))) for _ in range(20)]
        await asyncio.sleep(0.105)
        assert state(breaker) is State.CLOSED, "twenty at once are one failure"
        await asyncio.sleep(1)
        assert state(breaker) is not State.CLOSED
        bad = False
        await asyncio.gather(*tasks)
        assert state(breaker) is State.CLOSED

    virtually(main)


def test_a_probe_that_is_cancelled_leaves_its_place_to_another() -> None:
    async def main() -> None:
        told = Told()
        breaker = Breaker(4, Rules(5, 1.0, 8.0, 300.0), random.Random(0), lambda: True, told)
        breaker.failed(await breaker.enter(), AWAY)
        assert state(breaker) is State.OPEN
        probe = await breaker.enter()
        assert state(breaker) is State.HALF_OPEN
        other = asyncio.ensure_future(breaker.enter())
        await settle_down()
        assert not other.done()
        breaker.left(probe)
        await other
        assert state(breaker) is State.HALF_OPEN
        breaker.answered()
        assert state(breaker) is State.CLOSED
        assert told.away[4] == pytest.approx(now())

    virtually(main)


def test_what_failed_before_the_breaker_opened_does_not_open_it_longer() -> None:
    async def main() -> None:
        breaker = Breaker(4, Rules(1, 1.0, 8.0, 300.0), random.Random(0), lambda: True, Told())
        one, other = await breaker.enter(), await breaker.enter()
        breaker.failed(one, FAULT)
        due = breaker._due
        breaker.failed(other, FAULT)
        assert (breaker._due, state(breaker)) == (due, State.OPEN)
        breaker.answered()
        assert state(breaker) is State.CLOSED, "an answer on its way all the same tells that it is there"

    virtually(main)


def test_a_cancelled_request_is_cancelled() -> None:
    async def main() -> None:
        retry, server = retry_of(), Server(lambda _time, _call: AWAY)
        task = asyncio.ensure_future(retry.layer(server)(call()))
        await asyncio.sleep(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtually(main)


def test_what_happened_is_told_in_a_line() -> None:
    told = Told()
    assert told.line() == ""
    told.retries.update(["lost", "lost", "too short"])
    told.away[4] = 12.4
    told.mended = 2
    told.resumed = 3_500_000
    assert told.line() == (
        "tried again 3 requests (2 lost, 1 too short); data centre 4 was away for 12 s; 2 blocks fetched again; "
        "3.5 MB were there already"
    )
