"""Whoever hammers through floods is never faster than whoever paces: in virtual time, for any bucket and any strategy.

A pacing client knows its bucket: it sends what the bucket holds at once and then keeps to the refill. Where what is
left after a wait is worth more than the wait costs (one request granted after X seconds, of which fewer than one
would have been refilled), a few requests may come earlier; no profile has such a bucket for history or files.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tobs.lab.floods import FloodBucket, Pending
from tobs.lab.scenario import Bucket, load, shipped

if TYPE_CHECKING:
    from collections.abc import Callable

PROFILES = [name for name in shipped("profiles") if load(f"profile_{name}").limits.history]
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Strategy:
    """Sends `group` requests at once, again after `gap` seconds, or after `heed` times the wait it was told.

    `late` are the seconds that an answer takes to leave, in which a flood may still refuse it.
    """

    group: int
    gap: float
    heed: float
    late: float = 0.0


def granted_at(limits: Bucket, strategy: Strategy, wanted: int, until: float) -> list[float]:
    """When each answer left that a client got with this strategy, up to `wanted` and until a moment."""
    bucket, now = FloodBucket(limits, Random(1)), 0.0
    answers: list[list[float]] = []  # one moment each, emptied when it is refused after all

    def grant(answer: list[float]) -> None:
        answers.append(answer)
        bucket.grant(now, Pending(answer[0], lambda _: answer.clear()))

    got = 0
    while got < wanted and now < until:
        told = 0
        for _ in range(strategy.group):
            refused = bucket.take(now, now)
            told = max(told, refused)
            if not refused:
                grant([now + strategy.late])
        got = sum(map(len, answers))
        now += max(strategy.gap, told * strategy.heed)
    return sorted(moment for answer in answers for moment in answer)[:wanted]


def paced_at(limits: Bucket, number: int) -> float:
    """When a pacing client has its answer of this number, counted from 1."""
    return max(0.0, number - limits.burst) / limits.refill


buckets = st.builds(
    lambda burst, refill, low, more: Bucket(burst, refill, (low, low + more)),
    st.integers(1, 100),
    st.floats(0.01, 100),
    st.integers(1, 900),
    st.integers(0, 30),
)
strategies = st.builds(
    Strategy,
    st.integers(1, 40),
    st.floats(0.001, 5),
    st.sampled_from([0.0, 0.3, 1.0, 1.5]),
    st.sampled_from([0.0, 2.0]),
)


@given(buckets, strategies)
def test_no_answer_comes_before_it_comes_to_one_that_paces(limits: Bucket, strategy: Strategy) -> None:
    assume(limits.refill * limits.wait[0] >= 1)
    until = min(4000 * strategy.gap, 20 * limits.wait[1])
    for number, moment in enumerate(granted_at(limits, strategy, 3 * limits.burst + 50, until), 1):
        assert moment - strategy.late >= paced_at(limits, number) - ROUNDING


@given(st.integers(1, 20), st.integers(1, 900), st.floats(0.01, 1), st.integers(1, 40), st.sampled_from([0.0, 1.0]))
def test_where_a_wait_is_shorter_than_a_refill_it_is_worth_one_request_and_no_more(
    burst: int, wait: int, share: float, group: int, heed: float
) -> None:
    limits = Bucket(burst, share / wait, (wait, wait))
    until = 20.0 * wait
    got = granted_at(limits, Strategy(group, wait / 10, heed), 10_000, until)
    for number, moment in enumerate(got, 1):
        waits = int(moment / wait + ROUNDING)
        assert number <= burst + limits.refill * moment + waits + ROUNDING


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", ["history", "file"])
@pytest.mark.parametrize("heed", [0.0, 0.5, 1.0])
def test_in_every_profile_hammering_is_slower_than_pacing(profile: str, kind: str, heed: float) -> None:
    limits: Bucket = getattr(load(f"profile_{profile}").limits, kind)
    wanted = 3 * limits.burst
    for group in (1, 8):
        hammer = Strategy(group, 0.2 / limits.refill, heed)
        got = granted_at(limits, hammer, wanted, 20 * paced_at(limits, wanted))
        last = got[-1] if len(got) == wanted else float("inf")
        assert last > 1.5 * paced_at(limits, wanted)


def test_all_profiles_but_the_free_one_have_buckets() -> None:
    assert PROFILES == ["flaky", "flood_prone", "home_broadband", "multi_dc"]


def test_a_bucket_lets_go_of_answers_that_have_left() -> None:
    """Each may hold a part of a file, so what is kept is what is on its way and no more."""
    bucket = FloodBucket(Bucket(1_000, 10.0, (5, 5)), Random(1))

    def answered(now: float) -> weakref.ref[Callable[[int], None]]:
        def refuse(_: int) -> None:
            """Nobody is refused here."""

        bucket.take(now, now)
        bucket.grant(now, Pending(now + 2.5, refuse))
        return weakref.ref(refuse)

    answers = [answered(float(number)) for number in range(500)]
    assert [number for number, answer in enumerate(answers) if answer() is not None] == [497, 498, 499]
