"""How adaptive_connections steps up and down, by the bytes a second that it is told of."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import pytest

from tobs_adaptive_connections.climb import AGAIN, ANSWERS, Climb

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 100_000
MB = 1_000_000


@dataclass
class Work:
    """Answers one after another at a rate by the number of connections, in MB/s."""

    climb: Climb
    rate: Callable[[int], float]
    fastest: float = 1.0
    now: float = 0.0
    starved: float = 0.0
    asked: int = 0

    def answers(self, many: int, *, opened: int | None = None) -> None:
        for _ in range(many):
            target = self.climb.target
            self.now += SIZE / self.rate(target) / MB
            self.climb.came(
                SIZE,
                self.now - 0.001,
                self.now,
                opened=target if opened is None else opened,
                settled=True,
                fastest=self.fastest * MB,
                trip=0.04,
            )
            self.asked += 1
            if self.asked * self.starved % 1 < self.starved:
                self.climb.idle()

    def seconds(self, many: float) -> None:
        until = self.now + many
        while self.now < until:
            self.answers(1)

    def steps(self, many: float) -> list[int]:
        """The targets that it goes through in so many seconds."""
        seen = [self.climb.target]
        until = self.now + many
        while self.now < until:
            self.answers(1)
            if seen[-1] != self.climb.target:
                seen.append(self.climb.target)
        return seen


def by_connection(connections: int) -> float:
    return 1.0 * connections


def by_account(_: int) -> float:
    return 6.0


def test_the_first_step_is_made_when_as_many_wait() -> None:
    climb = Climb(4, 8)
    climb.wanted(3, 0.0)
    assert climb.target == 4
    climb.wanted(4, 0.0)
    assert (climb.target, climb.trying) == (8, True)
    climb.wanted(100, 0.0)
    assert climb.target == 8


def test_connections_that_bring_what_each_did_stay() -> None:
    climb = Climb(4, 8)
    climb.wanted(4, 0.0)
    assert Work(climb, by_connection).steps(AGAIN - 5) == [8]


def test_where_half_of_them_would_do_it_goes_down_to_two() -> None:
    climb = Climb(4, 8)
    climb.wanted(4, 0.0)
    work = Work(climb, by_account, fastest=5.0)
    assert work.steps(15) == [8, 4, 2]
    assert not climb.trying
    assert work.steps(AGAIN) == [2, 4, 2], "a trial now and then"


def test_without_the_first_step_it_climbs_by_windows() -> None:
    work = Work(Climb(2, 16), lambda connections: min(connections, 9))
    assert work.steps(30) == [2, 4, 8, 16, 10, 5, 10], "one more than bring it all, and half of that brings less"


def test_nothing_is_learnt_while_there_is_no_work() -> None:
    climb = Climb(2, 16)
    work = Work(climb, by_connection, starved=0.2)
    assert work.steps(60) == [2]
    work.starved = 0.05
    assert work.steps(10)[:3] == [2, 4, 8]


def test_nothing_is_learnt_while_connections_are_opened() -> None:
    climb = Climb(4, 16)
    work = Work(climb, by_connection)
    work.answers(200, opened=3)
    assert climb.target == 4
    assert work.steps(10)[:2] == [4, 8]


def test_answers_to_what_was_asked_before_do_not_count() -> None:
    climb = Climb(4, 8)
    climb.wanted(4, 10.0)
    for number in range(1000):
        climb.came(SIZE, 9.9, 10.0 + number, opened=8, settled=True, fastest=inf, trip=0.0)
    assert (climb.target, climb.trying) == (8, True)


def test_a_hopeless_trial_of_fewer_ends_early() -> None:
    climb = Climb(4, 8)
    climb.wanted(4, 0.0)
    work = Work(climb, by_connection)
    work.seconds(AGAIN - 5)
    before = work.now
    while climb.target == 8:
        work.answers(1)
    tried = work.now
    assert climb.target == 4
    work.seconds(1.5)
    assert climb.target == 8
    assert 10 < tried - before + 5 < 40
    needed = ANSWERS * 4 + 4
    work.climb = Climb(4, 8)
    assert needed * SIZE / by_connection(4) / MB < 1.5, "the window itself is as long as its shortest"


@pytest.mark.parametrize("rate", [2.0, 9.0])
def test_a_capacity_that_changes_is_looked_into(rate: float) -> None:
    climb = Climb(4, 8)
    climb.wanted(4, 0.0)
    work = Work(climb, by_account, fastest=6.0)
    work.seconds(20)
    assert climb.target == 2
    work.rate = lambda connections: rate * connections / 2
    assert work.steps(20)[:3] == [2, 4, 8]


def test_a_drop_goes_back_or_down_a_quarter_and_never_to_none() -> None:
    climb = Climb(4, 8)
    climb.wanted(4, 0.0)
    climb.drop(0.0)
    assert (climb.target, climb.trying) == (4, False), "back to before the trial"
    seen = []
    for _ in range(4):
        climb.drop(0.0)
        seen.append(climb.target)
    assert seen == [3, 2, 2, 2]
    single = Climb(1, 1)
    single.drop(0.0)
    assert single.target == 1


def test_after_a_drop_more_are_tried_soon() -> None:
    climb = Climb(8, 8)
    work = Work(climb, by_connection)
    work.seconds(10)
    climb.drop(work.now)
    assert climb.target == 6
    assert work.steps(15) == [6, 8]
    assert not climb.trying or climb.target == 8


def test_a_flood_takes_back_a_step_up_and_no_other() -> None:
    climb = Climb(4, 8)
    climb.wanted(4, 0.0)
    climb.flood(0.0)
    assert (climb.target, climb.trying) == (4, False)
    climb.flood(0.0)
    assert climb.target == 4
    assert Work(climb, by_connection).steps(15)[:2] == [4, 8], "with work for it, it tries again"


def test_the_server_s_ceiling_holds_until_it_is_lifted() -> None:
    climb = Climb(4, 8)
    climb.wanted(4, 0.0)
    climb.limit(6, 0.0)
    work = Work(climb, by_connection)
    assert work.steps(10) == [6]
    climb.limit(3, work.now)
    assert climb.target == 3
    assert work.steps(10) == [3]
    climb.limit(8, work.now)
    assert climb.target == 8, "those that were wanted when it was lowered are tried again"


def test_what_is_opened_ahead_counts_until_something_is_known() -> None:
    climb = Climb(2, 8)
    climb.at_least(1)
    assert climb.target == 2
    climb.at_least(5)
    assert climb.target == 5
    climb.at_least(99)
    assert climb.target == 8
    work = Work(climb, by_account, fastest=6.0)
    work.seconds(20)
    climb.at_least(8)
    assert climb.target == 2


def test_when_another_data_centre_ends_more_connections_are_tried_and_at_most_every_ten_seconds() -> None:
    climb = Climb(4, 16)
    climb.freed(1.0)
    assert climb.target == 4, "nothing was asked for yet"
    climb.wanted(4, 2.0)
    assert climb.target == 8
    climb.freed(20.0)
    assert climb.target == 16
    other = Climb(4, 16)
    other.wanted(4, 2.0)
    other.freed(20.0)
    other.drop(21.0)
    other.freed(29.0)
    assert other.target == 8
    other.freed(30.0)
    assert other.target == 16
