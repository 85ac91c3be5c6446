"""A snapshot of a run: what its meters say, and for how long it has waited."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.test_telemetry import page
from tobs.engine.tally import Tally
from tobs.meters import Meters
from tobs.telemetry.live import (
    CentreNow,
    LevelNow,
    Live,
    MethodNow,
    QueueNow,
    StageNow,
    memory_limit,
    resident,
)
from tobs.values import Attempt, Chat, MediaRef, Page, Settled, Span, Traffic

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = "messages.getHistory"


class Clock:
    """A time that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def live(meters: Meters | None = None, tally: Tally | None = None) -> tuple[Live, Clock]:
    clock = Clock()
    return Live(meters or Meters(), tally or Tally(), clock=clock), clock


def committed(looker: Live, tally: Tally, chat: int, messages: int, count: int) -> None:
    """A page of some chat, as the runner tells of it."""
    _, batch = page(messages)
    seen = Page(Chat(chat, "user", "Some"), Span(1, messages), [], [], count, ended=True, doubtful=False, size=10)
    for probe in (tally, looker):
        probe.batch(seen, batch, 0.1)


def test_a_run_that_has_just_begun_is_nothing_yet() -> None:
    looker, clock = live()
    clock.now += 2
    now = looker.snapshot()
    assert (now.seconds, now.messages, now.expected, now.requests, now.wait, now.free) == (2, 0, 0, 0, 0, None)
    assert (now.stages, now.queues, now.centres, now.methods, now.levels) == ((), (), (), (), ())


def test_stages_queues_and_shares_are_as_the_meters_have_them() -> None:
    meters = Meters()
    stage = meters.stage("fetch", 3)
    stage.busy, stage.wait_get, stage.blocked_put, stage.items = 1.0, 2.0, 3.0, 4
    meters.queue("pages", 8).change(5)
    looker, _ = live(meters)
    looker.shares = lambda: [("budget_media", 5, 10)]
    meters.level("pages", 70).change(60)
    meters.level("memory", 1000).change(900)
    looker.free = lambda: 77
    now = looker.snapshot()
    assert now.stages == (StageNow("fetch", 3, 1.0, 2.0, 3.0, 4),)
    assert now.queues == (QueueNow("pages", 5, 8),)
    assert now.levels == (LevelNow("budget_media", 5, 10), LevelNow("pages", 60, 70))
    assert now.memory.aim == 1000, "what the run aims at is held against the process's own memory"
    assert now.free == 77


def test_a_run_without_stages_tells_of_the_steps_that_core_takes() -> None:
    meters = Meters()
    looker, clock = live(meters)
    clock.now = time.perf_counter()
    one, two, turn = meters.step("media", 2), meters.step("media", 4), meters.step("pace")
    for step in (one, two, turn):
        step.begin()
    started = meters.activity.since
    two.end()
    turn.end()
    clock.now = meters.activity.since + 5
    media, pace = looker.snapshot().stages
    assert (media.name, media.workers, media.items, media.wait) == ("media requests", 1, 2, 0.0)
    assert 5 <= media.busy <= clock.now - started + 1, "until now, though it has not ended"
    assert (pace.name, pace.busy, pace.items) == ("pace", 0.0, 1)
    assert 0 < pace.wait < media.busy, "to wait for a turn is no work"
    meters.stage("fetch")
    assert [stage.name for stage in looker.snapshot().stages] == ["fetch"]


def test_what_is_held_back_stands_beside_what_was_asked() -> None:
    tally = Tally()
    looker, _ = live(tally=tally)
    for _ in range(3):
        tally.attempt(Attempt(HISTORY, Traffic.HISTORY, 2, 0.1, 10, "ok", 1))
    looker.flood(HISTORY, 4)
    looker.held = lambda: [(HISTORY, 2.5, 3.0), (f"takeout:{HISTORY}", math.inf, 0.0)]
    now = looker.snapshot()
    assert now.methods == (MethodNow(HISTORY, 2.5, 3.0, 3, 1), MethodNow(f"takeout:{HISTORY}", math.inf, 0.0, 3, 1))
    assert now.wait == 3.0
    assert now.requests == 3


def test_data_centres_are_told_apart_and_resting_connections_left_out() -> None:
    meters = Meters()
    looker, clock = live(meters)
    two, four = meters.lane(4), meters.lane(2)
    for lane, connection in ((two, 1), (two, 2), (four, 3)):
        lane.sent(clock.now)
        lane.ended(clock.now, connection, 1000, lost=False)
    clock.now += 20
    two.sent(clock.now)
    two.ended(clock.now, 1, 500, lost=False)
    two.wanted = 70
    meters.lane(0)
    assert looker.snapshot().centres == (CentreNow(2, 0, 0, 1, 1000, 0, 0), CentreNow(4, 1, 0, 3, 2500, 0, 70))


def test_a_data_centre_is_silent_only_while_something_is_wanted_of_it() -> None:
    meters = Meters()
    looker, clock = live(meters)
    lane = meters.lane(2)

    def silent() -> float:
        return looker.snapshot().centres[0].silent

    assert silent() == 0
    lane.sent(clock.now)
    clock.now += 5
    assert silent() == 5
    looker.flood(HISTORY, 10)  # nobody may ask: what is on its way is not waited for yet
    clock.now += 12
    assert silent() == 2
    lane.ended(clock.now, 1, 0, lost=True)
    assert silent() == 0, "lost, and nothing more is wanted"
    lane.wanted = 100
    clock.now += 3
    assert silent() == 5
    lane.sent(clock.now)
    lane.ended(clock.now, 2, 10, lost=False)
    clock.now += 50
    assert silent() == 0


def test_what_is_needed_is_what_waits_and_what_unread_messages_may_have() -> None:
    meters, tally = Meters(), Tally()
    looker, _ = live(meters, tally)
    committed(looker, tally, 1, 50, 150)
    committed(looker, tally, 2, 50, 150)
    ref = MediaRef(1, 1, "photo", 1, 2, 600, None, "image/jpeg", "", "photo", 1, b"", "y")
    tally.file(Settled(ref, "done", size=600), 0.1)
    meters.lane(2).wanted = 400
    now = looker.snapshot()
    assert (now.messages, now.expected, now.waiting, now.needed) == (100, 300, 400, 400 + 200 * 10)
    looker.before = 150
    now = looker.snapshot()
    assert (now.expected, now.needed) == (150, 400 + 50 * 10), "what the archive had is not read again"
    committed(looker, tally, 1, 100, 150)
    assert (looker.snapshot().expected, looker.snapshot().needed) == (200, 400)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 15)), max_size=12), st.integers(0, 30))
def test_time_in_which_any_method_waits_counts_once(floods: list[tuple[int, int]], rest: int) -> None:
    looker, clock = live()
    waits: set[int] = set()
    for passed, seconds in floods:
        clock.now += passed
        looker.flood(HISTORY, seconds)
        waits |= set(range(round(clock.now), round(clock.now) + seconds))
    clock.now += rest
    assert looker.snapshot().waited == pytest.approx(sum(second < clock.now for second in waits))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells it")
def test_memory_is_what_the_system_says(tmp_path: Path) -> None:
    assert 5_000_000 < (resident() or 0) < 100_000_000_000
    assert resident(tmp_path / "none") is None
    meminfo, cgroups, root = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "fs"
    inner = root / "user" / "mine"
    inner.mkdir(parents=True)
    assert memory_limit(meminfo, cgroups, root) is None
    meminfo.write_text("MemTotal:       4000 kB\nMemFree:  1 kB\n")
    assert memory_limit(meminfo, cgroups, root) == 4_096_000
    cgroups.write_text("0::/user/mine\n")
    (inner / "memory.max").write_text("max\n")
    assert memory_limit(meminfo, cgroups, root) == 4_096_000
    (inner.parent / "memory.max").write_text("2000000\n")
    assert memory_limit(meminfo, cgroups, root) == 2_000_000
    (root / "memory.max").write_text("1000000\n")
    assert memory_limit(meminfo, cgroups, root) == 1_000_000
    cgroups.write_text("12:memory:/old\n")
    assert memory_limit(meminfo, cgroups, root) == 4_096_000


def test_elsewhere_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert resident() is None
    assert memory_limit() is None
    assert live()[0].snapshot().memory.resident == 0
