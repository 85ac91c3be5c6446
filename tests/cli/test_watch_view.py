"""The picture of a run: what it says, and that it fits whatever the terminal's size."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from tobs.cli.watch_view import ASCII, UNICODE, View, bottleneck, clock, compact, shares, wrapped
from tobs.telemetry.alarms import Alarm
from tobs.telemetry.live import CentreNow, LevelNow, Memory, MethodNow, QueueNow, Snapshot, StageNow

HISTORY, FILE = "messages.getHistory", "upload.getFile"
MB = 10**6
BEFORE = Snapshot(
    115.0,
    messages=10_000,
    expected=20_000,
    files=40,
    size=30 * MB,
    requests=300,
    stages=(
        StageNow("fetch", 4, 100.0, 10.0, 0.0, 100),
        StageNow("commit", 1, 3.0, 90.0, 0.0, 100),
    ),
    queues=(QueueNow("pages", 1, 8), QueueNow("batches", 0, 2)),
    centres=(CentreNow(2, 2, 3, 250, 20 * MB, 0, 0), CentreNow(4, 1, 1, 40, 9 * MB, 0, 90 * MB)),
    methods=(MethodNow(HISTORY, 12.5, 0.0, 100, 1),),
)
NOW = Snapshot(
    125.0,
    messages=12_345,
    expected=20_000,
    files=48,
    size=62 * MB,
    requests=500,
    floods=1,
    waited=7.0,
    waiting=58 * MB,
    needed=110 * MB,
    free=3200 * MB,
    memory=Memory(101 * MB, 128 * MB, 16_000 * MB),
    stages=(
        StageNow("fetch", 4, 136.0, 12.0, 1.0, 124),
        StageNow("commit", 1, 3.5, 99.0, 0.0, 123),
        StageNow("media", 8, 30.0, 8.0, 0.0, 8),
    ),
    queues=(QueueNow("pages", 6, 8), QueueNow("batches", 0, 2), QueueNow("files", 120, 2000)),
    centres=(CentreNow(2, 4, 8, 350, 36 * MB, 0, 12 * MB), CentreNow(4, 2, 4, 120, 25 * MB, 2, 46 * MB, 12.4)),
    methods=(MethodNow(HISTORY, 12.5, 0.0, 124, 1), MethodNow(FILE, math.inf, 0.0, 340, 0)),
    levels=(LevelNow("budget_history", 18 * MB, 64 * MB), LevelNow("budget_media", 0, 256 * MB)),
)
ALARMS = {
    "disk": Alarm(
        "disk",
        "About 5.1 GB of files are still to come, and the archive's disk has room for 3.2 GB",
        "Free 1.9 GB meanwhile, or leave out what is large with --max-size or --kinds.",
    )
}
FOLDER = Path(__file__).parent / "pictures"


def drawn(width: int, height: int, now: Snapshot = NOW, marks: str = UNICODE, *, alarms: bool = True) -> list[str]:
    lines = View(marks).lines(BEFORE, now, ALARMS if alarms else {}, width, height)
    return [line.plain for line in lines]


@pytest.mark.parametrize(("width", "height"), [(80, 23), (120, 40), (50, 12)])
def test_a_run_looks_like_its_picture(width: int, height: int) -> None:
    shown = "\n".join(line.rstrip() for line in drawn(width, height)) + "\n"
    assert shown == (FOLDER / f"{width}.txt").read_text(encoding="utf-8")


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    stages=st.integers(0, 12),
    centres=st.integers(0, 6),
    alarms=st.booleans(),
)
def test_a_picture_fits(width: int, height: int, stages: int, centres: int, *, alarms: bool) -> None:
    now = replace(
        NOW,
        stages=tuple(StageNow(f"stage {number}", 2, number, 1.0, 0.0, number) for number in range(stages)),
        centres=tuple(CentreNow(number, 1, 1, 10, 10, 0, 10) for number in range(1, centres + 1)),
    )
    shown = drawn(width, height, now, alarms=alarms)
    assert 1 <= len(shown) <= height
    assert max(map(len, shown)) <= width
    if height >= 12 and alarms and width >= 20:
        assert "warnings" in shown


def test_with_few_lines_the_first_rows_and_the_warnings_stay() -> None:
    shown = "\n".join(drawn(100, 13))
    for words in ("tobs export", "12,345 of 20,000", "data centres +1", "warnings", "About 5.1 GB"):
        assert words in shown
    assert "queues" not in shown


def test_without_utf_8_there_is_none() -> None:
    assert all(line.isascii() for line in drawn(80, 40, marks=ASCII))
    assert any("####" in line for line in drawn(80, 40, marks=ASCII))


def test_a_flood_wait_is_seen_at_once() -> None:
    waiting = replace(NOW, methods=(MethodNow(FILE, math.inf, 0.0), MethodNow(HISTORY, 2.5, 11.2)))
    shown = drawn(80, 23, waiting)
    assert f"bottleneck: flood wait of {HISTORY}" in shown[0]
    assert any(HISTORY in line and "at most 2.50/s  flood wait, 12 s left" in line for line in shown)
    assert f"flood wait of {HISTORY} 12 s" in compact(BEFORE, waiting, [])


def test_what_holds_up_a_run() -> None:
    assert bottleneck(BEFORE, NOW) == "fetch"
    slow = replace(NOW, methods=(MethodNow(HISTORY, 2.5, 0.0, 120, 1),))
    assert bottleneck(BEFORE, slow) == f"the rate of {HISTORY}"
    calm = replace(NOW, stages=BEFORE.stages)
    assert bottleneck(BEFORE, calm) == ""
    assert bottleneck(NOW, NOW) == ""
    assert bottleneck(Snapshot(0), Snapshot(1)) == ""


def test_shares_are_of_all_workers_and_of_the_time_that_passed() -> None:
    before, now = StageNow("fetch", 4, 100.0, 10.0, 0.0, 100), StageNow("fetch", 4, 120.0, 14.0, 1.0, 130)
    assert shares(before, now, 10) == (0.5, 0.1, 0.025, 3.0)
    assert shares(None, now, 1000) == (0.03, 0.0035, 0.00025, 0.13)
    late = StageNow("fetch", 1, 400.0, 0.0, 0.0, 0)  # a worker tells when it is done
    assert shares(before, late, 10) == (1.0, 0.0, 0.0, 0.0)


def test_one_line_says_the_same() -> None:
    assert compact(BEFORE, NOW, ALARMS.values()) == (
        "02:05 12,345 of 20,000 messages (234/s), 48 files, 62.0 MB of 120.0 MB (3.2 MB/s), "
        "12 requests in flight on 6 connections, fetch is the bottleneck, memory 101.0 MB, disk 3.2 GB free, ! disk"
    )
    assert compact(Snapshot(0), Snapshot(0), []) == (
        "00:00 0 of 0 messages (0/s), 0 files, 0 B of 0 B (0 B/s), 0 requests in flight on 0 connections"
    )


def test_times_and_broken_lines() -> None:
    assert [clock(seconds) for seconds in (0, 59.9, 61, 3599, 3600, 90_061)] == [
        "00:00",
        "00:59",
        "01:01",
        "59:59",
        "1:00:00",
        "25:01:01",
    ]
    assert [line.plain for line in wrapped(Text("one two three"), 7)] == ["one two", "three"]
    assert [line.plain for line in wrapped(Text("longer than"), 3)] == ["longer", "than"]
