"""`tobs lab run`: any program on a lab of its own, judged by what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.export.labs import ROOT, SCENARIOS, command, main_chat, side_chat, surroundings, tobs, tobs_child, world_of

if TYPE_CHECKING:
    from pathlib import Path

SMALL = SCENARIOS / "small.toml"
CONFORMANCE = ROOT / "tests" / "lab" / "scenarios" / "conformance.toml"
EXPORT = (
    "import os, subprocess, sys\n"
    "chat, folder = os.environ['TOBS_LAB_CHAT'], os.environ['TOBS_LAB_FOLDER']\n"
    "sys.exit(subprocess.run([sys.executable, '-m', 'tobs', 'export', chat, '-o', folder + '/a']).returncode)\n"
)


def run(*words: object) -> tuple[object, ...]:
    return ("lab", "run", "--scenario", SMALL, *words)


def python(code: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", code)


def test_an_exporter_that_leaves_everything(tmp_path: Path) -> None:
    done = tobs_child(*run("--json", "--folder", tmp_path / "f", *python(EXPORT)))
    told = done.value
    assert (done.code, told["ok"]) == (0, True)
    world = world_of("small")
    chat = main_chat(world)
    assert told["chats"] == [chat]
    assert (told["missing"], told["corrupt"], told["exit_code"], told["timed_out"]) == (0, 0, 0, False)
    assert told["found"] == len({world.shelf.specs[f].sha256() for f in world.histories[chat].file_ids})
    assert told["bytes_found"] == told["bytes_expected"] <= told["file_bytes"]
    assert told["requests"]["messages.getHistory"] >= told["history_pages"] >= 5
    assert told["requests_served"] == sum(told["requests"].values())
    assert 0 < told["lab_seconds"] <= told["seconds"]
    assert told["cpu_seconds"] > 0
    assert told["connections_opened"] >= 2
    assert "messages/s" in done.err, "what the program says goes to standard error"
    assert any((tmp_path / "f" / "a").iterdir())


@pytest.mark.parametrize("client", ["plain_telethon", "plain_kurigram"])
def test_the_shown_clients_leave_everything(client: str) -> None:
    program = ROOT / "experiments" / "clients" / f"{client}.py"
    told = tobs("lab", "run", "--scenario", CONFORMANCE, "--json", "--", sys.executable, program).value
    assert (told["ok"], told["missing"], told["corrupt"], told["extra"]) == (True, 0, 0, 0)
    assert told["found"] == 8


def test_a_program_that_leaves_nothing() -> None:
    done = tobs(*run(*python("pass")))
    assert done.code == 3
    assert "Missing: file" in done.out
    assert "Requests: none" in done.out
    told = tobs(*run("--json", *python("pass"))).value
    assert (told["ok"], told["found"], told["lab_seconds"], told["efficiency"]) == (False, 0, None, None)
    assert told["missing"] == len(told["missing_files"])


def test_a_program_that_fails_or_takes_too_long() -> None:
    done = tobs(*run(*python("raise SystemExit(9)")))
    assert done.code == 1
    assert "failed with exit code 9" in done.err
    done = tobs(*run("--timeout", 0.2, *python("import time; time.sleep(60)")))
    assert done.code == 1
    assert "was stopped after" in done.err


SHOW = """
import json, os, pathlib
names = [name for name in os.environ if name.startswith("TOBS_LAB_")]
seen = {name.removeprefix("TOBS_LAB_").lower(): os.environ[name] for name in names}
seen["server"] = json.loads(pathlib.Path(os.environ["TOBS_SERVER"]).read_text())
pathlib.Path(os.environ["TOBS_LAB_FOLDER"], "seen.json").write_text(json.dumps(seen))
"""


def test_the_lab_is_in_the_programs_environment(tmp_path: Path) -> None:
    world = world_of("small")
    side = side_chat(world, "chat")
    done = tobs(*run("--keep", tmp_path, "--chat", side, "--chat", main_chat(world), *python(SHOW)))
    assert done.code == 3
    assert f"Kept: {tmp_path}" in done.out
    assert (tmp_path / "lab" / "lab.log").exists()
    seen = json.loads((tmp_path / "files" / "seen.json").read_text())
    server = json.loads((tmp_path / "lab" / "server.json").read_text())
    assert seen.pop("server") == server
    assert seen.pop("folder") == str(tmp_path / "files")
    assert seen.pop("chats") == f"{main_chat(world)},{side}"
    kept = {"dc", "host", "port", "public_key", "session", "pyrogram_session", "api_id", "api_hash", "phone", "code"}
    assert set(seen) == kept | {"password", "chat", "chat_id"}
    assert seen == {name: str(server[name]) for name in seen}
    assert (seen["chat"], seen["chat_id"]) == ("tobs_small", str(main_chat(world)))


def test_what_cannot_be_run_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("left")
    for words, complaint in (
        (("--", "no-such-program"), "no program 'no-such-program'"),
        (("--folder", tmp_path, "--", sys.executable), "not an empty folder"),
        (("--chat", 5, "--", sys.executable), "no chat 5"),
        (("--scenario", "no_such", "--", sys.executable), "no scenario"),
    ):
        done = tobs(*run(*words))
        assert (done.code, done.out) == (2, "")
        assert complaint in done.err


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_program_and_lab(tmp_path: Path, number: signal.Signals) -> None:
    say = "import os, sys, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
    running = subprocess.Popen(
        command(*run("--keep", tmp_path, *python(say))), stderr=subprocess.PIPE, text=True, env=surroundings()
    )
    with running:
        assert running.stderr is not None
        pid = int(running.stderr.readline().split()[1])
        running.send_signal(number)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "tobs: interrupted" in err
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not (tmp_path / "lab" / "control.json").exists()
