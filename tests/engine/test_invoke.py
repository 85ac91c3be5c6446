"""One request: retried when lost, bounded in time, seen by probes, wrapped in the order of the bands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.fakes import Dialler, FakeSender, Seen
from tests.engine.virtual import now, settle_down, virtually
from tobs.engine.invoke import deadline, fold, lease, observe, retry, waiting, wire
from tobs.engine.pool import CorePool, PoolLimits
from tobs.errors import ConnectError, LostError, RpcError, TobsError
from tobs.meters import Meters
from tobs.ports import Call, InvokeBand
from tobs.values import Traffic

if TYPE_CHECKING:
    from tobs.ports import Invoke

METHOD = "upload.getFile"


def call() -> Call:
    return Call("request", METHOD, Traffic.MEDIA)


class Failing:
    """Raises the errors it is given, one a request, then answers; keeps the times it was asked."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[float] = []

    async def __call__(self, _: Call) -> str:
        self.asked.append(now())
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.mark.parametrize(
    "error", [LostError("gone"), RpcError(500, "INTERNAL"), RpcError(-503, "Timeout"), RpcError(-500, "No workers")]
)
def test_what_may_pass_is_tried_five_more_times_a_second_apart(error: TobsError) -> None:
    async def main() -> None:
        inner = Failing(*[error] * 5)
        assert await retry(5, 1.0)(inner)(call()) == "answer"
        assert inner.asked == [0, 1, 2, 3, 4, 5]

    virtually(main)


def test_after_the_last_attempt_its_error_is_raised() -> None:
    async def main() -> None:
        errors = [LostError(str(number)) for number in range(6)]
        inner = Failing(*errors)
        with pytest.raises(LostError) as raised:
            await retry(5, 1.0)(inner)(call())
        assert raised.value is errors[5]
        assert now() == 5, "no pause after the last"

    virtually(main)


@pytest.mark.parametrize(
    "error", [RpcError(400, "LIMIT_INVALID"), RpcError(303, "FILE_MIGRATE", 4), RpcError(401, "X"), ConnectError("key")]
)
def test_what_will_not_pass_is_not_tried_again(error: TobsError) -> None:
    async def main() -> None:
        inner = Failing(error)
        with pytest.raises(TobsError) as raised:
            await retry(5, 1.0)(inner)(call())
        assert raised.value is error
        assert inner.asked == [0]

    virtually(main)


def test_no_retries_means_one_attempt() -> None:
    async def main() -> None:
        inner = Failing(LostError("gone"))
        with pytest.raises(LostError):
            await retry(0, 1.0)(inner)(call())
        assert len(inner.asked) == 1

    virtually(main)


def pool() -> CorePool:
    return CorePool(Dialler(), PoolLimits(deadline=30.0, in_flight=1, connections=1), 2)


def test_an_answer_that_does_not_come_is_lost_at_the_deadline() -> None:
    async def main() -> None:
        async def never(_: Call) -> Any:
            await asyncio.Event().wait()

        with pytest.raises(LostError, match=r"upload\.getFile: no answer within 30 s"):
            await deadline(pool())(never)(call())
        assert now() == pytest.approx(30)

    virtually(main)


def test_an_answer_in_time_passes_the_deadline() -> None:
    async def main() -> None:
        async def slow(_: Call) -> str:
            await asyncio.sleep(29)
            return "answer"

        assert await deadline(pool())(slow)(call()) == "answer"

    virtually(main)


def test_a_cancelled_request_is_cancelled_and_not_lost() -> None:
    async def main() -> None:
        async def never(_: Call) -> Any:
            await asyncio.Event().wait()

        task = asyncio.ensure_future(retry(5, 1.0)(deadline(pool())(never))(call()))
        await settle_down()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtually(main)


class Sized(str):
    wire_size = 77
    __slots__ = ()


async def test_probes_see_every_attempt_and_its_outcome() -> None:
    seen = Seen()
    answers: list[Any] = [Sized("answer"), RpcError(420, "FLOOD_WAIT", 3), LostError("gone"), ConnectError("key")]

    async def inner(_: Call) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    invoke = observe([seen])(inner)
    for expected in [None, RpcError, LostError, ConnectError]:
        one = call()
        one.sender = FakeSender(4)
        if expected is None:
            assert await invoke(one) == "answer"
        else:
            with pytest.raises(expected):
                await invoke(one)
    assert [attempt.outcome for attempt in seen.attempts] == ["ok", "FLOOD_WAIT", "lost", "lost"]
    assert [attempt.size for attempt in seen.attempts] == [77, 0, 0, 0]
    assert {(one.method, one.traffic, one.dc, one.in_flight) for one in seen.attempts} == {
        (METHOD, Traffic.MEDIA, 4, 1)
    }


async def test_a_data_centre_s_lane_tells_what_is_under_way_and_what_came() -> None:
    meters, go = Meters(), asyncio.Event()
    answers: list[Any] = [Sized("answer"), RpcError(400, "WRONG", 0), LostError("gone"), LostError("gone")]

    async def inner(_: Call) -> Any:
        await go.wait()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    invoke = observe([Seen()], meters)(inner)
    calls = [call() for _ in answers]
    for one in calls:
        one.sender = FakeSender(4)
    tasks = [asyncio.ensure_future(invoke(one)) for one in calls]
    await settle_down()
    lane = meters.lanes[4]
    assert (lane.in_flight, lane.answers, lane.used) == (4, 0, {})
    sent = lane.since
    go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (lane.in_flight, lane.answers, lane.size, lane.lost, lane.quiet) == (0, 2, 77, 2, 2)
    assert lane.since > sent, "the last answer"
    assert lane.used.keys() == {id(one.sender) for one in calls[:2]}
    lost_since = lane.since
    again = asyncio.ensure_future(invoke(calls[0]))
    answers.append("answer")
    await again
    assert lane.quiet == 0
    assert lane.since > lost_since


async def test_probes_see_how_many_are_in_flight() -> None:
    seen, go = Seen(), asyncio.Event()

    async def inner(_: Call) -> None:
        await go.wait()

    tasks = [asyncio.ensure_future(observe([seen])(inner)(call())) for _ in range(2)]
    together = observe([seen])(inner)
    tasks += [asyncio.ensure_future(together(call())) for _ in range(3)]
    await settle_down()
    go.set()
    await asyncio.gather(*tasks)
    assert [attempt.in_flight for attempt in seen.attempts] == [1, 1, 3, 2, 1]


def test_a_request_past_its_deadline_is_seen_as_lost() -> None:
    async def main() -> None:
        seen = Seen()

        async def never(_: Call) -> Any:
            await asyncio.Event().wait()

        with pytest.raises(LostError):
            await fold(never, [(InvokeBand.OBSERVE, observe([seen])), (InvokeBand.DEADLINE, deadline(pool()))])(call())
        assert [attempt.outcome for attempt in seen.attempts] == ["lost"]
        assert seen.attempts[0].in_flight == 1

    virtually(main)


def test_without_probes_nothing_is_wrapped() -> None:
    assert observe([])(wire) is wire


async def test_a_lease_lends_its_sender_for_the_request_alone() -> None:
    senders = pool()

    async def inner(one: Call) -> int:
        assert isinstance(one.sender, FakeSender)
        assert not one.sender.closed
        return one.sender.dc

    invoke = lease(senders)(inner)
    assert await asyncio.gather(*(invoke(call()) for _ in range(3))) == [2, 2, 2]
    one = call()
    one.dc = 4
    assert await invoke(one) == 4
    await senders.close()


async def test_a_failed_request_gives_its_lease_back() -> None:
    senders = pool()
    invoke = lease(senders)(Failing(LostError("gone")))
    with pytest.raises(LostError):
        await invoke(call())
    assert await invoke(call()) == "answer"
    await senders.close()


async def test_the_wire_is_the_sender() -> None:
    one = call()
    one.sender = FakeSender(2)
    assert await wire(one) == "request"


async def test_no_request_reaches_the_wire_without_a_sender() -> None:
    with pytest.raises(AssertionError, match=METHOD):
        await wire(call())


def named(name: str, log: list[str]) -> Any:
    def layer(inner: Invoke) -> Invoke:
        async def invoke(one: Call) -> Any:
            log.append(name)
            return await inner(one)

        return invoke

    return layer


async def test_bands_fold_from_the_outermost_to_the_wire() -> None:
    log: list[str] = []
    layers = [(band, named(band.name, log)) for band in reversed(InvokeBand)]
    one = call()
    one.sender = FakeSender(2)
    await fold(wire, layers)(one)
    assert log == ["RETRY", "SESSION", "PACE", "LEASE", "DEADLINE", "OBSERVE"]


def test_folding_nothing_leaves_the_wire_itself() -> None:
    assert fold(wire, []) is wire


def test_what_a_request_waits_for_is_told_apart() -> None:
    async def main() -> None:
        meters = Meters()
        before, within = waiting(meters.step("pace"))
        opener = Dialler()

        async def dial(dc: int | None, key: bytes | None = None) -> FakeSender:
            await asyncio.sleep(2)
            return await opener(dc, key)

        senders = CorePool(dial, PoolLimits(), 2)

        def hold(inner: Invoke) -> Invoke:
            async def invoke(call: Call) -> Any:
                await asyncio.sleep(1)
                return await inner(call)

            return invoke

        async def answer(_: Call) -> str:
            await asyncio.sleep(4)
            return "answer"

        bands = [(InvokeBand.PACE, before), (InvokeBand.PACE, hold), (InvokeBand.PACE, within)]
        bands += [(InvokeBand.LEASE, lease(senders, meters)), (InvokeBand.OBSERVE, observe([Seen()], meters))]
        clock = asyncio.get_running_loop().time
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tobs.meters.time.perf_counter", clock)
            await fold(answer, bands)(call())
        found = {kind: (step.count, step.active) for (kind, _), step in meters.steps.items()}
        assert found == {"pace": (1, 1.0), "lease": (1, 2.0), "media": (1, 4.0)}
        assert {step.under_way for step in meters.steps.values()} == {0}
        await senders.close()

    virtually(main)
