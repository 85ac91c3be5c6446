"""resilience on the lab: whatever goes wrong, the archive is the truth's, and little is asked for twice."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.labs import command, surroundings
from tobs.archive.verify import verify
from tobs.lab.child import Child, spawn
from tobs.lab.scenario import load
from tobs.lab.world import build
from tobs.testing.exports import Ended, conduct
from tobs.testing.served import ServedChat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOOK = 0.004
KB, MB = 1024, 1_000_000
PART = 512 * KB
CHAT = """
name = "resilient"
seed = 31

[dataset]
title = "Resilient"
username = "tobs_resilient"
messages = 420
side_messages = 0
files = { 2 = 50, 4 = 50 }
"""
SMALL = """
photos = { count = 40, median_kb = 40, sigma = 0.4 }
documents = { count = 6, median_kb = 300, sigma = 0.4 }
videos = { count = 2, median_kb = 2500, sigma = 0.2 }
"""
NETWORK = """
[network]
home = 2
dc = [{ id = 2 }, { id = 4 }]
"""
LARGE = """
[dataset]
title = "Large"
username = "tobs_large"
messages = 3
side_messages = 0
videos = { count = 1, median_kb = 12000, sigma = 0 }

[network]
home = 2
connection_mb_per_s = 4
dc = [{ id = 2 }]
"""
KNOBS = "deadline=1.0 part_kb=64 resilience.base=0.05 resilience.cap=0.5"
"""A part of 64 KB that does not come is lost after 5 s."""
RESILIENT = f"baseline +resilience {KNOBS}"
ALL = f"all -takeout {KNOBS}"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], ServedChat]]:
    """Labs of a scenario's text."""
    children: list[Child] = []

    def served(text: str) -> ServedChat:
        file = tmp_path / f"scenario-{len(children)}.toml"
        file.write_text(text)
        (history,) = build(load(file)).histories.values()
        child = spawn(file, tmp_path / f"lab-{len(children)}")
        children.append(child)
        return ServedChat(child, history.peer_id, child.truth()["digest"], tuple(history.ids))

    yield served
    for child in children:
        child.stop()


def right(lab: ServedChat, ended: Ended, folder: Path) -> None:
    report = ended.result()
    assert report.warnings == []
    assert report.digest == lab.digest
    found = verify(folder / "archive")
    assert (found.ok, found.foreign, found.pending) == (True, (), 0)
    assert ended.counters["requests_during_flood"] == 0
    assert (ended.tasks, ended.unhandled) == ((), ())
    state = folder / "archive" / ".tobs-state" / "resilience"
    assert [path.name for path in state.glob("*")] == [], "nothing is kept of files that are whole"


@pytest.mark.parametrize("arm", [RESILIENT, ALL])
@pytest.mark.parametrize(
    ("faults", "kinds"),
    [
        ("errors = 0.1", {"errors"}),
        ("short = 0.15", {"short"}),
        ("corrupt = 0.15", {"corrupt"}),
        ("lost = 0.01\nerrors = 0.05\nshort = 0.05\ncorrupt = 0.05", {"errors", "short", "corrupt"}),
        ("disconnect_every = 0.2", set()),
    ],
)
def test_whatever_goes_wrong_the_archive_is_the_truth_s(
    serve: Callable[[str], ServedChat], tmp_path: Path, faults: str, kinds: set[str], arm: str
) -> None:
    lab = serve(f"{CHAT}{SMALL}{NETWORK}\n[faults]\n{faults}\n")
    ended = conduct(lab, arm, tmp_path)
    right(lab, ended, tmp_path)
    given = ended.counters["faults"]
    assert kinds <= {kind for kind, count in given.items() if count}, given
    if kinds == {"short"}:  # a short part alone is asked for again, whatever moves beside it
        assert ended.counters["duplicate_parts"] <= given["short"]


def test_the_baseline_does_not_bear_that(serve: Callable[[str], ServedChat], tmp_path: Path) -> None:
    """The faults of the test above are ones that the plugin is needed for."""
    for faults in ("short = 0.15", "corrupt = 0.15"):
        lab = serve(f"{CHAT}{SMALL}{NETWORK}\n[faults]\n{faults}\n")
        report = conduct(lab, "baseline", tmp_path / faults[:5]).result()
        assert report.digest != lab.digest


@pytest.mark.parametrize("arm", [RESILIENT, ALL])
def test_an_outage_is_waited_for(serve: Callable[[str], ServedChat], tmp_path: Path, arm: str) -> None:
    outages = (
        "[[faults.outage]]\ndc = 4\nat = 0.15\nseconds = 2.0\n[[faults.outage]]\ndc = 2\nat = 0.3\nseconds = 1.5\n"
    )
    lab = serve(f"{CHAT}{SMALL}{NETWORK}\n{outages}")
    ended = conduct(lab, arm, tmp_path)
    right(lab, ended, tmp_path)
    assert ended.result().seconds >= 1.8, "it was met by the outage"


def running(lab: ServedChat, folder: Path, arm: str) -> subprocess.Popen[str]:
    words = command("export", lab.id, "-o", folder / "archive", "--server", lab.server, "--arm", arm, "--json")
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(TOBS_STATE=str(folder / "state")),
    )


def served(lab: ServedChat) -> int:
    """Bytes of files that the lab has served since it counts."""
    counted: dict[str, Any] = lab.child.counters()
    return int(counted["file_bytes"])


@pytest.mark.parametrize(("arm", "in_flight"), [("baseline +resilience", 1), ("default +resilience", 32)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_stopped_inside_a_file_goes_on_there(
    serve: Callable[[str], ServedChat], tmp_path: Path, number: signal.Signals, arm: str, in_flight: int
) -> None:
    lab = serve(f'name = "large"\nseed = 5\n{LARGE}')
    stops = [3 * MB, 6 * MB, 9 * MB]
    for at in stops:
        with running(lab, tmp_path, arm) as child:
            while served(lab) < at and child.poll() is None:
                try:
                    child.wait(LOOK)
                except subprocess.TimeoutExpired:
                    continue
            assert child.poll() is None, "it was still at work"
            child.send_signal(number)
            child.communicate(timeout=30)
        found = verify(tmp_path / "archive")
        assert (found.ok, found.corrupt, found.foreign) == (True, (), ())
    with running(lab, tmp_path, arm) as child:
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert lab.digest in out
    size = 12_000 * 1000
    again = served(lab) - size
    # At a stop are lost: requests in flight (at least 128 KB each, as large as a cell), and at a kill what was not
    # yet synced, a batch of 1 MB, and what came while one was being synced.
    lost = in_flight * (PART if in_flight == 1 else 256 * KB) + (2 * MB if number is signal.SIGKILL else 0)
    assert again <= len(stops) * lost + size * 0.02, again
