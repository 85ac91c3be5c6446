"""Several workers on one study: who runs what, what becomes of a dead one's trial, and how unequal machines compare."""

from __future__ import annotations

import math
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from optuna.trial import TrialState

from tests.tuning.synthetic import START, Runs, best, wanted
from tests.tuning.working import STUDY, Process
from tobs.errors import TobsError
from tobs.tuning.beats import Watch, beating
from tobs.tuning.journal import CONTROL, OK, PROPOSED, WINNER, Done, Journal, tpe
from tobs.tuning.journal import START as FIRST
from tobs.tuning.search import search
from tobs.tuning.storage import connected

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.tuning.journal import Asked
    from tobs.tuning.rounds import Told

RANGES = wanted().ranges
no_kill = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")


@dataclass
class Clock:
    """Seconds that pass when somebody rests."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def worker(file: Path, name: str, clock: Clock | None = None) -> Journal:
    return Journal(file, STUDY, 1, tpe, name, Watch(30, clock or Clock()))


def came(asked: Asked, name: str, kind: str = "") -> Done:
    """A run that took ten seconds."""
    facts = {"wall": 10.0, "requests": 1.0}
    return Done(asked.number, kind or asked.kind, asked.values, OK, math.log(10), {}, "", 10.0, facts, (), name)


def states(journal: Journal) -> list[str]:
    return [one.state.name for one in journal._study.get_trials(deepcopy=False)]


def test_what_stands_in_line_is_given_to_one(tmp_path: Path) -> None:
    one, other = (worker(tmp_path / "j", name) for name in ("one", "other"))
    one.enqueue({**START, "b.depth": 16}, WINNER)
    asked = [one.ask(RANGES), other.ask(RANGES)]
    assert [which.kind for which in asked] == [WINNER, PROPOSED]
    assert asked[0].number != asked[1].number


def test_of_two_who_begin_the_last_trial_the_later_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (worker(tmp_path / "j", name) for name in ("one", "other"))
    other.tell(came(other.ask(RANGES), "other", FIRST))
    last = other.ask(RANGES)
    looked = one.others
    looks: list[list[tuple[int, str]]] = [[]]
    monkeypatch.setattr(one, "others", lambda: looks.pop() if looks else looked())
    monkeypatch.setattr(one, "rest", lambda: other.tell(came(last, "other")))
    one.enqueue(START, CONTROL)
    one.tell(came(one.ask(RANGES), "one"))
    runs = Runs()
    found = search(wanted(trials=2), one, runs, lambda _: None)
    assert runs.asked == []
    assert sum(trial.kind != CONTROL for trial in found.trials) == 2
    assert states(one)[-1] == "FAIL"


def test_a_run_of_the_start_is_for_who_needs_it(tmp_path: Path) -> None:
    one, other = (worker(tmp_path / "j", name) for name in ("one", "other"))
    one.enqueue(START, FIRST)
    assert other.ask(RANGES).kind == PROPOSED
    assert one.awaits_start()
    assert not other.awaits_start()
    assert one.ask(RANGES).kind == FIRST


def test_workers_propose_different_settings(tmp_path: Path) -> None:
    workers = [worker(tmp_path / "j", name) for name in ("one", "other", "third")]
    proposed = [one.ask(RANGES).values for one in workers for _ in range(1)]
    assert len({str(values) for values in proposed}) == 3


def test_alone_its_proposals_are_the_same_whatever_its_name(tmp_path: Path) -> None:
    proposed = []
    for name in ("one", "other"):
        journal = worker(tmp_path / name, name)
        search(wanted(trials=14), journal, Runs(noise=0.0), lambda _: None)
        proposed.append([one.values for one in journal.done()])
    assert proposed[0] == proposed[1]


def test_a_dead_ones_trial_is_given_back_once(tmp_path: Path) -> None:
    clock = Clock()
    dead, one, other = (worker(tmp_path / "j", name, clock) for name in ("dead", "one", "other"))
    dead.beat()
    lost = dead.ask(RANGES)
    assert one.others() == other.others() == [(lost.number, PROPOSED)]
    clock.now = 29
    dead.beat()
    assert one.others() == [(lost.number, PROPOSED)], "it has beaten since"
    clock.now = 61
    assert one.others() == other.others() == []
    again = [one.ask(RANGES), other.ask(RANGES)]
    assert [which.values == lost.values for which in again] == [True, False]
    assert states(one) == ["FAIL", "RUNNING", "RUNNING"]


def test_settings_that_kill_three_workers_are_left_alone(tmp_path: Path) -> None:
    clock = Clock()
    one = worker(tmp_path / "j", "one", clock)
    for name in ("first", "second", "third"):
        worker(tmp_path / "j", name, clock).ask(RANGES)
        one.others()
        clock.now += 31
        assert one.others() == []
    assert states(one) == ["FAIL"] * 3
    assert len({str(trial.user_attrs["values"]) for trial in one._in(TrialState.FAIL)}) == 1


def test_a_lab_that_does_not_start_gives_the_trial_back(tmp_path: Path) -> None:
    class Broken(Runs):
        def __call__(self, asked: Asked, cut: float | None) -> Told:
            if len(self.asked) == 4:
                raise TobsError("the lab did not start")
            return super().__call__(asked, cut)

    journal = worker(tmp_path / "j", "one")
    with pytest.raises(TobsError, match="did not start"):
        search(wanted(), journal, Broken(), lambda _: None)
    assert states(journal) == ["COMPLETE"] * 4 + ["FAIL", "WAITING"]


def test_two_who_see_it_at_the_same_time_put_it_in_line_once(tmp_path: Path) -> None:
    dead, one, other = (worker(tmp_path / "j", name) for name in ("dead", "one", "other"))
    dead.ask(RANGES)
    (seen,) = one._in(TrialState.RUNNING)
    assert [journal._give_back(seen) for journal in (one, other)] == [True, False]
    assert states(one) == ["FAIL", "WAITING"]


def test_who_was_taken_for_dead_is_told_that_its_trial_does_not_count(tmp_path: Path) -> None:
    clock = Clock()
    slow, one = worker(tmp_path / "j", "slow"), worker(tmp_path / "j", "one", clock)
    asked = slow.ask(RANGES)
    one.others()
    clock.now = 31
    assert one.others() == []
    again = one.ask(RANGES)
    assert not slow.tell(came(asked, "slow"))
    assert one.tell(came(again, "one"))
    assert [done.worker for done in one.done()] == ["one"]


def test_a_dead_ones_runs_of_the_start_are_nobodys(tmp_path: Path) -> None:
    clock = Clock()
    dead, one = worker(tmp_path / "j", "dead"), worker(tmp_path / "j", "one", clock)
    dead.enqueue(START, FIRST)
    dead.ask(RANGES)
    one.others()
    clock.now = 31
    assert one.others() == []
    assert states(one) == ["FAIL"]
    assert one.kinds() == []


def test_who_starts_again_takes_its_own_trial_up_at_once(tmp_path: Path) -> None:
    lost = worker(tmp_path / "j", "one").ask(RANGES)
    other = worker(tmp_path / "j", "other")
    assert other.resumed == 0
    assert other.others() == [(lost.number, PROPOSED)]
    assert worker(tmp_path / "j", "one").resumed == 1
    assert other.ask(RANGES).values == lost.values


def test_of_two_first_starts_the_earlier_is_the_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = (worker(tmp_path / "j", name) for name in ("early", "late"))
    early.enqueue(START, FIRST)
    late.enqueue(START, FIRST)
    first, second = early.ask(RANGES), late.ask(RANGES)
    rests: list[int] = []

    def rest() -> None:
        rests.append(1)
        early.tell(came(first, "early"))

    monkeypatch.setattr(late, "rest", rest)
    known = late.first_start(second.number)
    assert known is not None
    assert known.number == first.number
    assert rests == [1]
    assert early.first_start(first.number) == known


def test_the_later_does_not_wait_for_a_dead_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    dead, late = worker(tmp_path / "j", "dead"), worker(tmp_path / "j", "late", clock)
    dead.enqueue(START, FIRST)
    late.enqueue(START, FIRST)
    dead.ask(RANGES)
    second = late.ask(RANGES)
    monkeypatch.setattr(late, "rest", lambda: setattr(clock, "now", clock.now + 20))
    assert late.first_start(second.number) is None
    assert clock.now == 40


@dataclass
class Slow(Runs):
    """Another machine: all takes so many times as long."""

    factor: float = 2.0

    def true(self, asked: Asked) -> float:
        return self.factor * super().true(asked)


@dataclass
class Interrupted(Runs):
    """Ctrl+C in run number `after`."""

    after: int = 6

    def __call__(self, asked: Asked, cut: float | None) -> Told:
        if len(self.asked) == self.after:
            raise KeyboardInterrupt
        return super().__call__(asked, cut)


def test_a_slower_machine_is_measured_by_its_own_start(tmp_path: Path) -> None:
    what = wanted(trials=16)
    with pytest.raises(KeyboardInterrupt):
        search(what, worker(tmp_path / "j", "fast"), Interrupted(noise=0.0), lambda _: None)
    runs = Slow(noise=0.0)
    found = search(what, worker(tmp_path / "j", "slow"), runs, lambda _: None)
    slow = [one for one in found.trials if one.worker == "slow"]
    assert runs.asked[0].kind == CONTROL
    assert runs.asked[0].values == START
    assert found.factors == {"fast": 1.0, "slow": pytest.approx(2.0)}
    for one in slow:
        if one.outcome == OK:
            assert one.objective == pytest.approx(math.log(one.measurements["wall"] / 2))
    fast = min(one.objective for one in found.trials if one.worker == "fast" and one.feasible)
    assert runs.cuts[0] is None
    assert runs.cuts[1] == pytest.approx(2 * 2 * math.exp(fast)), "what is twice the best one's time takes longer here"
    assert found.trials[-1].kind != CONTROL
    assert sum(one.kind != CONTROL for one in found.trials) == 16


def test_each_worker_runs_a_control_every_eight_trials_of_its_own(tmp_path: Path) -> None:
    one, other = Interrupted(after=12), Runs(seed=1)
    with pytest.raises(KeyboardInterrupt):
        search(wanted(trials=40, stall=40), worker(tmp_path / "j", "one"), one, lambda _: None)
    search(wanted(trials=30, stall=40), worker(tmp_path / "j", "other"), other, lambda _: None)
    for runs in (one, other):
        starts = [place for place, asked in enumerate(runs.asked) if asked.values == START]
        assert starts[:2] == [0, 9]
    assert len(other.asked) > 18


def test_who_is_broken_off_gives_its_trial_back_at_once(tmp_path: Path) -> None:
    journal = worker(tmp_path / "j", "one")
    with pytest.raises(KeyboardInterrupt):
        search(wanted(), journal, Interrupted(), lambda _: None)
    assert states(journal) == ["COMPLETE"] * 6 + ["FAIL", "WAITING"]
    assert worker(tmp_path / "j", "other").others() == []


def test_the_last_waits_for_what_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (worker(tmp_path / "j", name) for name in ("one", "other"))
    asked = other.ask(RANGES)
    told: list[bool] = []

    def rest() -> None:
        told.append(other.tell(came(asked, "other")))

    monkeypatch.setattr(one, "rest", rest)
    found = search(wanted(trials=5), one, Runs(), lambda _: None)
    assert told == [True]
    assert sum(one.kind != CONTROL for one in found.trials) == 5, "not one more than were wanted"


def test_beats_go_on_through_failures_and_end_with_the_block() -> None:
    third, beats = threading.Event(), []

    def beat() -> None:
        beats.append(1)
        if len(beats) == 3:
            third.set()
        if len(beats) == 2:
            raise OSError

    with beating(beat, 0.001):
        assert third.wait(30)
    assert not [one for one in threading.enumerate() if one.name == "beats"]


def test_two_processes_share_a_journal_file(tmp_path: Path) -> None:
    shared_by_two(str(tmp_path / "study.journal"))


@no_kill
def test_a_worker_that_is_killed_loses_its_running_trial_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_is_killed(str(tmp_path / "study.journal"), monkeypatch)


def shared_by_two(storage: str) -> None:
    """Two processes, both begun with the start, run one study; no trial is lost and none is run twice."""
    processes = [Process(storage, name, 14) for name in ("one", "other")]
    assert {one.number() for one in processes} == {0, 1}
    for one in processes:
        one.go_on()
    made = [one.ended() for one in processes]
    with connected(storage) as opened:
        done = Journal(opened, STUDY, 1, worker="reader").done()
    assert len(done) == sum(made)
    assert sum(one.kind != CONTROL for one in done) == 14
    assert [one.kind for one in done if one.values == START][:2] == [FIRST, CONTROL]
    assert {sum(one.worker == name for one in done) for name in ("one", "other")} == set(made)
    proposed = [str(one.values) for one in done if one.kind == PROPOSED]
    assert len(set(proposed)) == len(proposed)


def one_is_killed(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process ran is found and run by another; all that it had finished counts."""
    killed = Process(storage, "killed", 12, at=4)
    number = killed.number()
    clock = Clock()
    with connected(storage) as opened:
        journal = Journal(opened, STUDY, 1, worker="one", watch=Watch(30, clock))
        assert journal.others() == [(number, PROPOSED)]
        killed.kill()
        assert killed.child.returncode == -signal.SIGKILL
        monkeypatch.setattr(journal, "rest", lambda: setattr(clock, "now", clock.now + 20))
        found = search(wanted(trials=12), journal, Runs(), lambda _: None)
        trials = {one.number: one for one in journal._study.get_trials(deepcopy=False)}
    assert [one.number for one in trials.values() if one.state == TrialState.FAIL] == [number]
    lost = trials[number].user_attrs["values"]
    assert [one.worker for one in found.trials if one.values == lost] == ["one"]
    assert [one.worker for one in found.trials][:4] == ["killed"] * 4
    assert sum(one.kind != CONTROL for one in found.trials) == 12
    assert best(found).feasible
