"""Request buckets, by a clock that the test holds."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon import errors
from telethon.tl import functions, types

from tests.lab.fakes import CHANNEL_ID, FILES, ME_ID, NEAR_FILE, connected, make_world, running
from tobs.lab.floods import REACTION, FloodBucket, Pending, PremiumWait
from tobs.lab.scenario import Bucket, Limits, Premium


def bucket(burst: int = 3, refill: float = 2.0, wait: tuple[int, int] = (5, 5)) -> FloodBucket:
    return FloodBucket(Bucket(burst, refill, wait), Random(0))


def flood(held: FloodBucket, now: float) -> int:
    """Ask at once until refused: X."""
    while not (wait := held.take(now, now)):
        pass
    return wait


def test_a_burst_is_granted_and_then_the_refill() -> None:
    held = bucket()
    assert [held.take(0.0, 0.0) for _ in range(3)] == [0, 0, 0]
    assert held.take(0.5, 0.5) == 0
    assert held.take(0.6, 0.6) == 5
    assert held.floods == 1


def test_while_it_waits_everything_is_refused_for_what_is_left() -> None:
    held = bucket()
    assert flood(held, 10.0) == 5
    assert [held.take(10.0 + t, 10.0) for t in (0.1, 1.0, 3.5, 4.9)] == [5, 4, 2, 1]
    assert held.floods == 1


def test_after_a_wait_there_is_one_seconds_refill_at_least_one() -> None:
    held = bucket(burst=10, refill=4.0)
    flood(held, 0.0)
    assert [held.take(5.0, 5.0) for _ in range(5)] == [0, 0, 0, 0, 10]
    slow = bucket(burst=10, refill=0.1)
    flood(slow, 0.0)
    assert slow.take(5.0, 5.0) == 0
    assert slow.take(5.0, 5.0) > 0


def test_an_overflow_within_ten_minutes_doubles_the_wait_up_to_four_times() -> None:
    held, now, waits = bucket(), 0.0, []
    for _ in range(7):
        waits.append(flood(held, now))
        now += waits[-1]
    assert waits == [5, 10, 20, 40, 80, 80, 80]
    assert flood(held, now + 601.0) == 5


def test_an_overflow_refuses_what_has_not_left_yet() -> None:
    held = bucket()
    refused: list[tuple[str, int]] = []
    assert held.take(0.0, 0.0) == 0
    held.grant(0.0, Pending(0.5, lambda wait: refused.append(("left", wait))))
    assert held.take(0.0, 0.0) == 0
    held.grant(0.0, Pending(2.0, lambda wait: refused.append(("waiting", wait))))
    assert flood(held, 1.0) == 5
    assert refused == [("waiting", 5)]


def test_only_what_was_sent_after_the_refusal_was_delivered_counts_as_sent_during_the_wait() -> None:
    held = bucket()
    flood(held, 0.0)
    held.take(1.0, 0.9)
    assert held.during == 0  # nobody knows of the wait yet
    held.delivered(1.0)
    held.take(1.1, 0.95)  # on its way when the refusal came
    held.take(1.2, 1.0 + REACTION / 2)  # in the client's socket, unread
    assert held.during == 0
    held.take(2.0, 1.0 + 2 * REACTION)
    assert held.during == 1
    held.take(5.0, 5.0)
    assert held.during == 1


@given(st.integers(1, 20), st.floats(1, 50), st.integers(1, 30))
def test_one_that_paces_is_never_refused_and_one_that_hammers_gets_no_more(
    burst: int, refill: float, wait: int
) -> None:
    # Below one request a second the one that is granted after a wait may be worth more than a short wait costs.
    horizon, paced, hammered = 100.0, bucket(burst, refill, (wait, wait)), bucket(burst, refill, (wait, wait))
    got = sum(not paced.take(now, now) for now in _times(1 / refill * (1 + 1e-9), horizon))
    assert paced.floods == 0
    step = min(0.1, 0.5 / refill)
    forced = sum(not hammered.take(now, now) for now in _times(step, horizon))
    assert forced <= got + burst


def _times(step: float, end: float) -> list[float]:
    return [n * step for n in range(int(end / step))]


async def test_a_flooded_client_is_told_how_long_and_counted_when_it_does_not_wait() -> None:
    world = make_world(history=Bucket(2, 0.001, (7, 7)))
    request = functions.messages.GetHistoryRequest(types.InputPeerChannel(CHANNEL_ID, 21), 0, None, 0, 1, 0, 0, 0)
    async with running(world) as lab, connected(lab) as client:
        for _ in range(2):
            await client(request)
        with pytest.raises(errors.FloodWaitError) as flooded:
            await client(request)
        assert flooded.value.seconds == 7
        held = next(iter(lab._service.buckets.values()))
        held._delivered = float("-inf")  # long ago
        client._flood_waited_requests.clear()
        with pytest.raises(errors.FloodWaitError):
            await client(request)
        counters = lab.counters()
        assert (counters["floods"], counters["refused"], counters["requests_during_flood"]) == (1, 2, 1)
        assert counters["history_pages"] == 2
        await client.get_me()  # another method is free


async def test_one_request_too_many_refuses_all_that_wait_for_the_link_with_the_same_number() -> None:
    world = make_world(history=Bucket(6, 0.001, (9, 9)), connection_rate=20_000.0)
    async with running(world) as lab, connected(lab) as client:

        async def ask(number: int) -> int:
            peer = types.InputPeerChannel(CHANNEL_ID, 21)
            try:
                await client(functions.messages.GetHistoryRequest(peer, 0, None, number, 100, 0, 0, 0))
            except errors.FloodWaitError as flooded:
                return int(flooded.seconds)
            return 0

        answers = await asyncio.gather(*(ask(number) for number in range(12)))
        assert set(answers) == {9}
        counters = lab.counters()
        assert (counters["floods"], counters["refused"], counters["history_pages"]) == (1, 12, 0)
        assert counters["requests_during_flood"] == 0


def test_a_premium_wait_comes_each_time_so_many_bytes_were_granted() -> None:
    held = PremiumWait(1000, (4, 4), Random(0))
    assert held.take(0.0, 0.0) == 0
    held.grant(999)
    assert held.take(0.0, 0.0) == 0
    held.grant(500)
    assert [held.take(t, t) for t in (1.0, 1.5, 4.9)] == [4, 4, 1]
    assert held.take(5.0, 5.0) == 0
    held.grant(501)
    assert held.take(6.0, 6.0) == 4
    assert held.floods == 2


async def test_a_client_without_premium_is_told_to_wait_for_files_alone() -> None:
    world = make_world(limits=Limits(None, None, None, premium=Premium(200_000, (6, 6))))
    spec = FILES[NEAR_FILE]
    where = types.InputDocumentFileLocation(spec.id, spec.access_hash, spec.file_reference, "")
    async with running(world) as lab, connected(lab) as client:
        for offset in (0, 131_072):
            await client(functions.upload.GetFileRequest(where, offset, 131_072))
        with pytest.raises(errors.FloodPremiumWaitError) as flooded:
            await client(functions.upload.GetFileRequest(where, 262_144, 131_072))
        assert flooded.value.seconds == 6
        await client.get_me()
        counters = lab.counters()
        assert (counters["floods"], counters["refused"], counters["file_parts"]) == (1, 1, 2)
        lab._service.premium_waits[ME_ID]._delivered = float("-inf")  # long ago
        client._flood_waited_requests.clear()
        with pytest.raises(errors.FloodPremiumWaitError):
            await client(functions.upload.GetFileRequest(where, 262_144, 131_072))
        assert lab.counters()["requests_during_flood"] == 1


def test_a_bucket_serves_as_many_more_as_a_takeout_widens_it_and_holds_a_seconds_refill_after_a_wait() -> None:
    bucket = FloodBucket(Bucket(10, 2.0, (5, 5)), Random(1))
    assert [bucket.take(0.0, 0.0, 1.5) for _ in range(16)] == [0] * 15 + [5]
    assert bucket.take(4.9, 4.9) == 1, "outside of it, too"
    assert [bucket.take(5.0, 5.0, 1.5) for _ in range(4)] == [0] * 3 + [10]


def test_what_a_bucket_never_holds_is_no_bar() -> None:
    bucket = FloodBucket(Bucket(2, 0.5, (1, 1)), Random(1))
    assert [bucket.take(0.0, 0.0, 0.001), bucket.take(0.0, 0.0, 0.001), bucket.take(1.0, 1.0, 0.001)] == [0, 1, 0]
