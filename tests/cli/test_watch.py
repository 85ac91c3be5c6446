"""`tobs export --watch` over a real export: on a terminal, on none, when it is resized, flooded, stopped and warned."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.virtual import virtually
from tests.export.labs import Served, command, surroundings, tobs
from tobs.archive.space import MARGIN
from tobs.cli import watch as watch_module
from tobs.host import run, settings
from tobs.host.watching import Watching
from tobs.lab.child import spawn
from tobs.lab.scenario import load as load_scenario
from tobs.lab.world import build
from tobs.telegram.account import load
from tobs.telemetry.live import Snapshot

if sys.platform != "win32":
    from docs.picture import Terminal, pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tobs.telemetry.alarms import Alarm

needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
TITLE = "tobs export  "


def words(lab: Served, folder: Path, *more: object) -> list[str]:
    return command("export", lab.chat, "-o", folder / "archive", "--server", lab.server, "--watch", *more)


def begin(lab: Served, folder: Path, *more: object, columns: int = 80, rows: int = 24, **environment: str) -> Terminal:
    given = surroundings(TOBS_STATE=str(folder / "state"), **environment)
    return Terminal(words(lab, folder, *more), given, columns, rows)


@needs_pty
def test_on_a_terminal_the_run_is_shown_and_gone_at_the_end(serve: Callable[[str], Served], tmp_path: Path) -> None:
    terminal = begin(serve("waits"), tmp_path, "--arm", "default")
    assert terminal.end() == 0, terminal.output
    *shown, end = pictures(terminal.output.decode())
    drawn = [picture for picture in shown if TITLE in picture]
    assert len(drawn) >= 3
    for picture in drawn:
        lines = picture.rstrip("\n").splitlines()
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80
    told = "\n".join(drawn)
    for part in ("of 400", "data centres", "connections", "limits", "memory", "disk", "stages", "fetch x", "queues"):
        assert part in told
    assert TITLE not in end, "the last picture is taken away"
    assert "400 messages and 4 files" in end
    assert "Digest:" in end
    assert terminal.output.count(b"\x1b[?25l") == terminal.output.count(b"\x1b[?25h") > 0, "the cursor is back"


@needs_pty
def test_a_flood_wait_is_shown_with_the_time_that_is_left(serve: Callable[[str], Served], tmp_path: Path) -> None:
    lab = serve("waits")
    terminal = begin(lab, tmp_path, "--arm", "baseline")
    assert terminal.end() == 0, terminal.output
    told = "\n".join(pictures(terminal.output.decode()))
    assert "bottleneck: flood wait of messages.getHistory" in told
    left = [int(seconds) for seconds in re.findall(r"messages.getHistory .*flood wait, (\d+) s left", told)]
    assert left
    assert set(left) <= set(range(1, 6)), "the server asks for four seconds at most, and PACE adds a moment"
    assert lab.child.counters()["requests_during_flood"] == 0


@needs_pty
def test_another_size_of_the_terminal_is_followed(serve: Callable[[str], Served], tmp_path: Path) -> None:
    terminal = begin(serve("waits"), tmp_path, "--arm", "default", columns=120, rows=40)
    terminal.read(until=lambda text: text.count("tobs export") >= 3)
    terminal.resize(60, 12)
    assert terminal.end() == 0, terminal.output
    text = terminal.output.decode()
    smaller = [part for part in pictures(text[text.index("\x1b[2J") :]) if TITLE in part]
    assert smaller
    for picture in smaller:
        lines = picture.rstrip("\n").splitlines()
        assert len(lines) <= 12
        assert max(map(len, lines)) <= 60


@needs_pty
def test_ctrl_c_ends_the_view_and_leaves_a_sound_archive(serve: Callable[[str], Served], tmp_path: Path) -> None:
    lab = serve("waits")
    terminal = begin(lab, tmp_path, "--arm", "default")
    terminal.read(until=lambda text: re.search(r"[1-3]00 of 400", text))
    terminal.child.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    end = pictures(terminal.output.decode())[-1]
    assert "interrupted" in end
    assert TITLE not in end
    assert terminal.output.count(b"\x1b[?25l") == terminal.output.count(b"\x1b[?25h")
    again = tobs(*words(lab, tmp_path, "--json")[3:])
    assert again.code == 0
    assert again.value["digest"] == lab.child.truth(lab.chat)["digest"]


@needs_pty
def test_machines_get_one_value_while_people_watch(serve: Callable[[str], Served], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    line = " ".join([*words(serve("small"), tmp_path, "--json"), ">", str(out)])
    terminal = Terminal(["sh", "-c", line], surroundings(TOBS_STATE=str(tmp_path / "state")))
    assert terminal.end() == 0, terminal.output
    assert json.loads(out.read_text())["warnings"] == []
    assert TITLE in "".join(pictures(terminal.output.decode()))


@needs_pty
def test_no_colour_where_none_is_wanted(serve: Callable[[str], Served], tmp_path: Path) -> None:
    terminal = begin(serve("small"), tmp_path, NO_COLOR="1")
    assert terminal.end() == 0, terminal.output
    colours = re.findall(r"\x1b\[([0-9;]+)m", terminal.output.decode())
    assert not [code for code in colours if re.search(r"\b(3[0-7]|9[0-7]|38)\b", code)]


@needs_pty
def test_a_dumb_terminal_gets_lines(serve: Callable[[str], Served], tmp_path: Path) -> None:
    terminal = begin(serve("small"), tmp_path, TERM="dumb")
    assert terminal.end() == 0, terminal.output
    assert b"\x1b[" not in terminal.output
    assert b"420 of 420 messages" in terminal.output


def test_without_a_terminal_there_is_a_line_now_and_then(serve: Callable[[str], Served], tmp_path: Path) -> None:
    done = subprocess.run(
        words(serve("small"), tmp_path, "--json"),
        capture_output=True,
        text=True,
        check=False,
        env=surroundings(TOBS_STATE=str(tmp_path / "state")),
    )
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["messages_read"] == 420
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("00:00 0 of 0 messages")
    assert "420 of 420 messages" in last
    assert "\x1b" not in done.stderr


def test_lines_come_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    class Passing:
        """A run that nothing happens in."""

        def __init__(self, clock: Callable[[], float]) -> None:
            self.snapshot = lambda: Snapshot(clock())

    async def main() -> None:
        passing: Any = Passing(asyncio.get_running_loop().time)
        with watch_module.Watch() as look:
            async with Watching(passing, look):
                await asyncio.sleep(25)

    virtually(main)
    assert [line[:5] for line in capsys.readouterr().err.splitlines()] == ["00:00", "00:10", "00:20", "00:25"]


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be stopped there")
async def test_a_data_centre_that_answers_no_more_is_seen_until_it_does(
    serve: Callable[[str], Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The lab's process is stopped in the middle of the run, and goes on as soon as that was noticed."""
    lab = serve("steady")
    lab.child.reset()
    monkeypatch.setattr("tobs.telemetry.alarms.SILENT", 0.3)
    stopped: list[Snapshot] = []
    noticed: list[Snapshot] = []

    class Looks:
        every = 0.02

        def __call__(self, now: Snapshot, alarms: Mapping[str, Alarm]) -> None:
            if not stopped and now.messages >= 100:
                os.kill(lab.child.pid, signal.SIGSTOP)
                stopped.append(now)
            elif stopped and not noticed and alarms:
                noticed.append(now)
                assert [name.rpartition(" ")[0] for name in alarms] == ["silence of"]
                os.kill(lab.child.pid, signal.SIGCONT)

    asked = run.Request([str(lab.chat)], tmp_path / "archive", state=tmp_path / "state")
    try:
        with caplog.at_level(logging.WARNING):
            report = await run.export(load(lab.server), settings.load(), asked, look=Looks())
    finally:
        os.kill(lab.child.pid, signal.SIGCONT)
    assert sum(centre.in_flight for centre in noticed[0].centres) >= 1
    (told,) = [record.getMessage() for record in caplog.records if record.name == "tobs.host.watching"]
    assert "has not answered for" in told
    assert report.alarms == [], "nothing was lost"
    assert report.digest == lab.child.truth(lab.chat)["digest"]


LOGGING = """
import logging, sys
from tobs.cli.progress import Progress
from tobs.cli.watch import Watch
from tobs.telemetry.live import Snapshot
logging.basicConfig(stream=sys.stderr, format="LOG %(message)s")
with KIND() as shown:
    for second in range(3):
        if isinstance(shown, Watch):
            shown(Snapshot(float(second)), {})
        else:
            shown._bars.refresh()
        logging.warning("line %d", second)
        print("printed", second)
logging.warning("afterwards")
"""


@needs_pty
@pytest.mark.parametrize(("kind", "drawn"), [("Watch", TITLE), ("Progress", "messages ")])
def test_what_is_logged_goes_by_above_the_picture(kind: str, drawn: str) -> None:
    terminal = Terminal([sys.executable, "-c", LOGGING.replace("KIND", kind)], surroundings())
    assert terminal.end() == 0, terminal.output
    text = terminal.output.decode()
    assert "Traceback" not in text
    # Each log line is written where a picture was taken away, and the picture is drawn anew below it.
    for second in range(3):
        (part,) = [picture for picture in pictures(text) if f"LOG line {second}" in picture]
        assert part.index("LOG line") < part.index(drawn)
    assert "LOG afterwards" in pictures(text)[-1]


def test_a_healthy_run_is_warned_of_nothing(tmp_path: Path) -> None:
    """The demo's own lab, as `tobs demo` exports from it with the default plugins, in a process of its own."""
    world = build(load_scenario("demo"))
    chat = max(world.histories.values(), key=lambda history: history.count).peer_id
    with spawn("demo", tmp_path / "lab") as lab:
        done = subprocess.run(
            command("export", chat, "-o", tmp_path / "archive", "--server", lab.server_file, "--json"),
            capture_output=True,
            text=True,
            check=False,
            env=surroundings(TOBS_STATE=str(tmp_path / "state")),
        )
    assert (done.returncode, done.stderr) == (0, ""), done
    told = json.loads(done.stdout)
    assert (told["messages"], told["files"], told["warnings"]) == (2000, 100, [])


async def test_what_is_shown_is_what_the_lab_counted(serve: Callable[[str], Served], tmp_path: Path) -> None:
    lab = serve("steady")
    lab.child.reset()
    seen: list[Snapshot] = []

    class Looks:
        every = 0.05

        def __call__(self, now: Snapshot, alarms: Mapping[str, Alarm]) -> None:
            assert not alarms
            seen.append(now)

    asked = run.Request([str(lab.chat)], tmp_path / "archive", state=tmp_path / "state")
    report = await run.export(load(lab.server), settings.load(), asked, look=Looks())
    assert report.alarms == []
    history = lab.world.histories[lab.chat]
    first, last = seen[0], seen[-1]
    assert (first.messages, last.messages, last.expected) == (0, history.count, history.count)
    assert (last.files, last.size, last.waiting, last.needed) == (report.tally.files, report.tally.size, 0, 0)
    assert max(now.waiting for now in seen) > 0
    assert sum(centre.lost + centre.in_flight for centre in last.centres) == 0
    assert sum(centre.answers for centre in last.centres) == sum(report.tally.requests.values())
    counted = lab.child.counters()["requests"]
    asked_for = {method.name: method.requests for method in last.methods}
    assert asked_for["messages.getHistory"] == counted["messages.getHistory"]
    assert {"history requests", "media requests", "commit"} <= {stage.name for stage in last.stages}


async def test_a_disk_that_will_not_do_is_told_of_once(
    small: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Looks:
        every = 0.005

        def __call__(self, now: Snapshot, alarms: Mapping[str, Alarm]) -> None:
            held.append(set(alarms))
            assert now.free == MARGIN + 10

    held: list[set[str]] = []
    monkeypatch.setattr(run, "free_space", lambda _: MARGIN + 10)
    asked = run.Request([str(small.chat)], tmp_path / "archive", state=tmp_path / "state")
    with caplog.at_level(logging.WARNING):
        report = await run.export(load(small.server), settings.load(), asked, look=Looks())
    logged = [record.getMessage() for record in caplog.records if record.name == "tobs.host.watching"]
    assert len(logged) == 1
    assert "has room for 10 B" in logged[0]
    assert {"disk"} in held
    assert held[-1] == set()
    assert report.warnings == report.alarms == [], "it fitted after all"


def test_what_has_hurt_is_told_at_the_end_and_nothing_is_missing_for_it(
    serve: Callable[[str], Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tobs.telemetry.alarms.FLOODS", 1)
    lab = serve("waits")
    lab.child.reset()
    asked = words(lab, tmp_path, "--arm", "baseline", "--json")[3:]
    done = tobs(*asked, TOBS_STATE=str(tmp_path / "state"))
    assert done.code == 0, "exit code 3 is for what could not be had"
    logged = [record.getMessage() for record in caplog.records if record.name == "tobs.host.watching"]
    for alarms in (done.value["warnings"], logged):
        assert "messages.getHistory" in {alarm.partition(":")[0] for alarm in alarms}
        assert all("flood waits in the last" in alarm for alarm in alarms)
