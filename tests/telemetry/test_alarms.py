"""Warnings before it hurts: each rule by its edges, told once, and what is left at the end."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs.telemetry import alarms
from tobs.telemetry.alarms import CALM, DISK_MARGIN, SILENT, WINDOW, Alarm, Alarms, disk, floods, memory, silence
from tobs.telemetry.live import CentreNow, Memory, MethodNow, Snapshot

GB = 10**9
HISTORY = "messages.getHistory"
START = Snapshot(100.0, messages=5000, expected=10_000, size=GB, free=100 * GB, needed=GB, waiting=GB)


def later(seconds: float = WINDOW, **more: Any) -> Snapshot:
    return replace(START, seconds=START.seconds + seconds, **more)


def told(rule: Any, now: Snapshot, before: Snapshot = START) -> list[str]:
    return [alarm.name for alarm in rule(before, now)]


@pytest.mark.parametrize(
    ("held", "aim", "limit", "expected", "hurts"),
    [
        (799, 0, 1000, [], False),
        (800, 0, 1000, ["memory"], False),
        (950, 0, 1000, ["memory"], True),
        (10**12, 0, 0, [], False),
        (0, 100, 1000, [], False),
        (124, 100, 1000, [], False),
        (125, 100, 1000, ["memory"], False),
        (200, 100, 1000, ["memory"], True),
        (850, 800, 1000, ["memory"], False),
    ],
)
def test_memory(held: int, aim: int, limit: int, expected: list[str], *, hurts: bool) -> None:
    now = later(memory=Memory(held, aim, limit))
    assert told(memory, now) == expected
    assert any(alarm.hurts for alarm in memory(START, now)) is hurts


def test_files_that_do_not_fit_are_told_with_the_time_that_is_left() -> None:
    now = later(size=2 * GB, free=2 * GB + DISK_MARGIN, needed=5 * GB)
    (alarm,) = disk(START, now)
    assert alarm.text == (
        "About 5.1 GB of files are still to come, and the archive's disk has room for 2.0 GB; "
        "at 16.7 MB/s that is full in 2 min"
    )
    assert "Free 3.1 GB" in alarm.hint
    assert not alarm.hurts
    (full,) = disk(START, replace(now, free=DISK_MARGIN))
    assert full.hurts


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"free": None, "needed": 500 * GB}, []),
        ({"free": 0, "needed": 0}, []),
        ({"free": DISK_MARGIN + 102, "needed": 100}, []),
        ({"free": DISK_MARGIN + 101, "needed": 100}, ["disk"]),
        # Few messages tell nothing of the others: only what waits counts.
        ({"messages": 99, "expected": 10_000, "needed": 500 * GB, "waiting": 0}, []),
        ({"messages": 99, "expected": 10_000, "needed": 500 * GB, "waiting": 99 * GB}, ["disk"]),
        ({"messages": 50, "expected": 100, "needed": 500 * GB, "waiting": 0}, ["disk"]),
    ],
)
def test_disk(changes: dict[str, Any], expected: list[str]) -> None:
    assert told(disk, later(**changes)) == expected


@given(needed=st.integers(0, 10**13), free=st.integers(0, 10**13), came=st.integers(0, GB))
def test_a_disk_is_told_of_exactly_where_it_is_too_small(needed: int, free: int, came: int) -> None:
    now = later(needed=needed, waiting=needed, free=free, size=GB + came)
    fits = round(1.02 * needed) <= max(0, free - DISK_MARGIN)
    assert told(disk, now) == ([] if fits or not needed else ["disk"])


@pytest.mark.parametrize(
    ("count", "requests", "expected"),
    [
        (0, 10, []),
        (2, 10, []),  # what its rate is learned from
        (3, 10, [f"floods of {HISTORY}"]),
        (3, 1500, []),
        (4, 1500, [f"floods of {HISTORY}"]),
    ],
)
def test_floods_of_a_method(count: int, requests: int, expected: list[str]) -> None:
    before = replace(START, methods=(MethodNow(HISTORY, 2.0, 0, 1000, 7),))
    held = MethodNow(HISTORY, 2.0, 0, 1000 + requests, 7 + count)
    scoped = replace(held, name=f"takeout:{HISTORY}")
    assert told(floods, later(methods=(held, scoped)), before) == expected
    fresh = replace(held, requests=requests, floods=count)
    assert told(floods, later(methods=(fresh,))) == expected, "a method that is new"


@pytest.mark.parametrize(
    ("earlier", "window", "seconds", "expected"),
    [
        (0, 0, WINDOW, []),
        (0, 5.9, WINDOW, []),
        (0, 6.1, WINDOW, ["waits"]),
        (20, 15, WINDOW, []),  # a quarter of the time, after a fifth
        (20, 19, WINDOW, ["waits"]),
        (0, 25, 29, []),
    ],
)
def test_waits_that_take_more_and_more_of_the_time(
    earlier: float, window: float, seconds: float, expected: list[str]
) -> None:
    before = replace(START, waited=earlier)
    assert told(floods, later(seconds, waited=earlier + window), before) == expected


def test_at_the_beginning_there_is_nothing_to_compare_with() -> None:
    assert told(floods, later(waited=50), replace(START, seconds=29.0)) == []


@pytest.mark.parametrize(("silent", "lost", "hurts"), [(SILENT - 1, 3, None), (SILENT, 1, False), (SILENT, 2, True)])
def test_a_data_centre_that_answers_no_more(silent: float, lost: int, *, hurts: bool | None) -> None:
    before = replace(START, centres=(CentreNow(4, 1, 1, 10, 10, 1, 0),))
    now = later(centres=(CentreNow(2, 2, 4, 99, 99, 5, 0), CentreNow(4, 1, 2, 10, 10, lost, 0, silent)))
    found = list(silence(before, now))
    assert [alarm.name for alarm in found] == ([] if hurts is None else ["silence of 4"])
    assert [alarm.hurts for alarm in found] == ([] if hurts is None else [hurts])


@given(
    seconds=st.floats(2, 3600),
    rate=st.floats(0.1, 100),
    held=st.integers(10**6, 10**10),
    learned=st.integers(0, 2),
)
def test_nothing_is_told_of_a_run_that_is_well(seconds: float, rate: float, held: int, learned: int) -> None:
    requests = round(rate * seconds)
    now = later(
        seconds,
        size=START.size + requests * 10**5,
        memory=Memory(held, 0, 2 * 10**10),
        methods=(MethodNow(HISTORY, rate, 0, requests, learned), MethodNow("other", math.inf, 0, 1, 0)),
        centres=(CentreNow(2, 4, 8, requests, 10**6, 1, GB, 9.0),),
        waited=0.05 * min(seconds, WINDOW),
    )
    assert [alarm for rule in alarms.RULES for alarm in rule(START, now)] == []


def full(at: float, *, free: int = 0) -> Snapshot:
    return Snapshot(at, messages=10, expected=10, needed=GB, waiting=GB, free=free)


def test_an_alarm_is_told_when_it_begins_and_not_again_until_it_was_calm() -> None:
    looker = Alarms()
    begun = [[alarm.name for alarm in looker.look(full(at))] for at in (0, 2, 4)]
    assert begun == [["disk"], [], []]
    assert looker.look(full(6, free=100 * GB)) == []
    assert looker.active == {}
    assert looker.look(full(8)) == [], "it flutters"
    assert looker.look(full(10, free=100 * GB)) == []
    assert [alarm.name for alarm in looker.look(full(9 + CALM))] == ["disk"]


def test_at_the_end_stands_what_holds_still_or_has_hurt() -> None:
    looker = Alarms()
    looker.look(full(0, free=DISK_MARGIN + 10))
    assert [alarm.name for alarm in looker.rest()] == ["disk"], "it holds still"
    looker.look(full(2, free=100 * GB))
    assert looker.rest() == [], "it is over, and cost nothing"
    looker.look(full(4))
    looker.look(full(6, free=100 * GB))
    assert [alarm.hurts for alarm in looker.rest()] == [True]


def test_rules_see_what_was_a_minute_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: list[tuple[float, float]] = []

    def rule(before: Snapshot, now: Snapshot) -> tuple[()]:
        pairs.append((before.seconds, now.seconds))
        return ()

    monkeypatch.setattr(alarms, "RULES", (rule,))
    looker = Alarms()
    for at in (0.0, 10.0, 50.0, 65.0, 100.0, 111.0, 400.0):
        looker.look(Snapshot(at))
    assert pairs == [(0, 0), (0, 10), (0, 50), (0, 65), (10, 100), (50, 111), (111, 400)]
    assert len(looker._seen) == 2, "no more is kept"


def test_an_alarm_in_one_line_says_what_to_do() -> None:
    assert str(Alarm("x", "It burns", "Put it out.")) == "It burns. Put it out."


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (99, "99 s"), (130, "2 min"), (5999, "100 min"), (9000, "2 h")]
)
def test_times_in_words(seconds: float, said: str) -> None:
    assert alarms.minutes(seconds) == said
