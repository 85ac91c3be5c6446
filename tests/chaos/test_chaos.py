"""The chaos campaign: that it stops what it says, that it can fail, and a small one of it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import chaos
import chaos_told
from chaos_bytes import Cost
from tobs.archive.archive import Archive
from tobs.lab.scenario import load
from tobs.testing.served import ServedChat
from tobs.values import Batch, Chat, MessageRow, Span

if TYPE_CHECKING:
    from pathlib import Path

CHAT = Chat(-1_000_000_000_005, "channel", "Chaos")


@pytest.mark.parametrize("kind", chaos_told.KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_every_scenario_of_a_campaign_can_be_served(tmp_path: Path, kind: str, seed: int) -> None:
    file = tmp_path / "chaos.toml"
    file.write_text(chaos.scenario(kind, random.Random(seed)))
    outages = load(file, seed=seed).faults.outages
    assert len(outages) == (2 if kind in {"away", "all"} else 0)
    assert len({outage.dc for outage in outages}) == len(outages)


def test_what_came_of_runs_is_told_by_kind_and_failures_each() -> None:
    good, bad = chaos_told.Run(0, "kill", 1), chaos_told.Run(1, "all", 1, lab=1, inside=1, failure="the digest is not")
    good.stops.update(["kill", "kill"])
    bad.stops.update(["full"])
    bad.files, bad.again, bad.undisturbed = 1000, 70, 10.2
    bad.cost = Cost(lost=50, flight=Counter(wire=20, small=25), kept_again=3, faults=Counter(spoilt=9, unheard=8))
    bad.alone.update(heard=4)
    told = chaos_told.summary([good, bad])
    assert (told["runs"], told["ok"], told["stops"]) == (2, 1, {"kill": 2, "full": 1})
    assert told["by_kind"]["kill"]["ok"] == told["by_kind"]["kill"]["runs"] == 1
    assert told["by_kind"]["all"] == {
        "runs": 1,
        "ok": 0,
        "stops": {"full": 1},
        "stops_inside_a_file": 1,
        "bytes_of_files": 1000,
        "bytes_again": {
            "all": 70,
            "undisturbed": 10,
            "lost_at_stops": 50,
            "in_flight": 45,
            "in_flight_by_kind": {"wire": 20, "open": 0, "journal": 0, "small": 25},
            "kept_and_fetched": 3,
            "beyond": 8,
            "excess": 15,
            "by_faults": {"spoilt": 9, "unheard": 8, "heard": 0},
            "by_faults_undisturbed": {"spoilt": 0, "unheard": 0, "heard": 4},
        },
        "excess": {"share": 0.0148, "error": None, "at_most": None},
        "largest_beyond": 0.008,
    }
    assert told["failed"] == [{"run": 1, "kind": "all", "failure": "the digest is not"}]
    assert (told["bar"], told["bars_broken"]) == (0.02, [])


async def test_an_archive_that_is_not_sound_after_a_stop_fails_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    lab = ServedChat(None, CHAT.id, "", (1, 2, 3))  # type: ignore[arg-type]  # of which nothing is asked
    chaos.valid(lab, folder)
    folder.mkdir()
    (folder / "tobs.sqlite").touch()
    chaos.valid(lab, folder)
    row = MessageRow(CHAT.id, 3, "2026-01-01T00:00:00Z", None, "", "message", None, None, None, None, None, None, "{}")
    with Archive.create(folder, [CHAT]) as archive:
        await archive.write.commit(Batch(CHAT.id, Span(3, 3), [row], [], []))
    chaos.valid(lab, folder)
    with Archive.create(folder, [CHAT]) as archive:
        await archive.write.commit(Batch(CHAT.id, Span(1, 2), [], [], []))
    with pytest.raises(chaos.ChaosError, match="not valid after a stop"):
        chaos.valid(lab, folder)


def test_a_moment_is_not_reached_by_what_ended_before(tmp_path: Path) -> None:
    course = chaos.Course("baseline", tmp_path, mounts=False)
    for working in (False, True):
        with subprocess.Popen([sys.executable, "-c", ""], text=True) as child:
            assert not chaos.Moment(60.0, working).reached(child, tmp_path / "archive", course)


def test_a_moment_at_work_counts_from_when_the_archive_is_open(tmp_path: Path) -> None:
    course = chaos.Course("baseline", tmp_path, mounts=False)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as child:
        (tmp_path / "tobs.lock").touch()
        began = time.monotonic()
        assert chaos.Moment(0.0, working=True).reached(child, tmp_path, course)
        assert time.monotonic() - began < chaos.WITHIN, "it did not wait in vain"
        child.communicate("\n")


@pytest.mark.campaign
def test_a_small_campaign_ends_well() -> None:
    told = chaos.campaign(8, 7, workers=2)
    assert told["failed"] == []
    assert told["bars_broken"] == []
    assert told["ok"] == told["runs"] == 8
    assert told["stops"]["kill"] >= 3
    assert told["bytes_again"]["lost_at_stops"] > 0, "the stops came in time to cost something"


@pytest.mark.campaign
def test_a_campaign_finds_what_the_baseline_does_not_bear() -> None:
    told = chaos.campaign(4, 7, workers=2, arm="baseline deadline=1.0 part_kb=64")
    assert told["failed"]


@pytest.mark.campaign
def test_a_campaign_finds_large_files_that_begin_anew() -> None:
    told = chaos.campaign(8, 7, workers=2, arm=chaos.ARM.replace("resume_kb=128", "resume_kb=100000"))
    assert any("fetched again beside what was in flight" in one["failure"] for one in told["failed"])
    assert told["bytes_again"]["beyond"] > chaos_told.BAR * told["bytes_of_files"]
    assert any(broken.startswith("without outages") for broken in told["bars_broken"])
