"""bounded_memory's watch: the shares follow what the system says that the process holds, and what is free goes back."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tobs.meters import Level
from tobs_bounded_memory import watch
from tobs_bounded_memory.watch import MEGA, Reads, Watch


@dataclass
class Machine:
    """A process that holds `held` bytes, of which a trim gives `spare` back, at a time that is set by hand."""

    held: int | None = 70 * MEGA
    spare: int = 0
    now: float = 0.0
    trims: list[float] = field(default_factory=list)
    shares: tuple[int, int] = (-1, -1)

    def trim(self) -> None:
        self.trims.append(self.now)
        if self.held is not None:
            self.held -= self.spare
        self.spare = 0

    def resize(self, history: int, media: int) -> None:
        self.shares = (history, media)

    def watch(self, aim: int = 110 * MEGA) -> Watch:
        reads = Reads(lambda: self.held, self.trim, lambda: self.now)
        made = Watch(aim, Level("memory", aim), self.resize, reads)
        made.begin()
        return made

    def seconds(self, watched: Watch, many: float) -> None:
        for _ in range(round(many * 10)):
            self.now += 0.1
            watched.look()


def test_what_the_program_leaves_of_the_aim_is_shared_out() -> None:
    machine = Machine()
    machine.watch()
    assert machine.shares == (10 * MEGA, 20 * MEGA)


def test_an_aim_below_what_the_program_takes_leaves_no_share() -> None:
    machine = Machine()
    assert machine.watch(20 * MEGA).aim == 20 * MEGA
    assert machine.shares == (0, 0)


def test_near_the_aim_the_shares_shrink_and_far_from_it_they_grow_back_to_what_they_were() -> None:
    machine = Machine()
    watched = machine.watch()
    machine.held = 105 * MEGA
    machine.seconds(watched, 0.5)
    assert machine.shares[1] == pytest.approx(20 * MEGA * watch.SHRINK**5, abs=5)
    machine.held = 97 * MEGA  # neither near nor far: as it is
    before = machine.shares
    machine.seconds(watched, 1)
    assert machine.shares == before
    machine.held = 80 * MEGA
    machine.seconds(watched, 3)
    assert machine.shares == (10 * MEGA, 20 * MEGA)
    assert watched.level.peak == 105 * MEGA


def test_shares_never_shrink_to_nothing() -> None:
    machine = Machine()
    watched = machine.watch()
    machine.held = 200 * MEGA
    machine.seconds(watched, 30)
    assert machine.shares[0] > 0


def test_what_a_trim_gives_back_need_not_shrink_the_shares() -> None:
    machine = Machine()
    watched = machine.watch()
    machine.held, machine.spare = 105 * MEGA, 30 * MEGA
    machine.seconds(watched, 1)
    assert len(machine.trims) == 1
    assert machine.shares == (10 * MEGA, 20 * MEGA)
    assert (watched.trims, watched.given_back) == (1, 30 * MEGA)


def test_trims_are_made_when_memory_has_piled_up_and_seldom_where_they_give_nothing_back() -> None:
    machine = Machine()
    watched = machine.watch()
    machine.seconds(watched, 10)
    assert machine.trims == []
    for _ in range(3000):  # five minutes in which the process is near its aim, and nothing can be given back
        machine.held = 109 * MEGA
        machine.seconds(watched, 0.1)
    assert len(machine.trims) < 12
    pauses = [later - earlier for earlier, later in zip(machine.trims, machine.trims[1:], strict=False)]
    assert min(pauses) >= watch.TRIM
    assert max(pauses) == pytest.approx(watch.SELDOM, abs=0.2)


def test_a_look_is_made_ten_times_a_second_at_most() -> None:
    looks = 0

    def resident() -> int:
        nonlocal looks
        looks += 1
        return 70 * MEGA

    watched = Watch(110 * MEGA, Level("memory"), lambda *_: None, Reads(resident, lambda: None, lambda: now))
    now = 0.0
    for _ in range(1000):
        now += 0.001
        watched.look()
    assert 10 <= looks <= 11


def test_where_the_system_does_not_say_what_is_held_the_shares_stay() -> None:
    machine = Machine(held=None)
    watched = machine.watch(112 * MEGA)
    machine.seconds(watched, 5)
    assert machine.shares == (10 * MEGA, 20 * MEGA)
    assert machine.trims == []
