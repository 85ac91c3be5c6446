"""What can be wrong, is wrong: a message, what to do next, the right exit code, and nothing lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.checker import differences
from tests.export.labs import SCENARIOS, Ended, Served, command, main_chat, surroundings, tobs, tobs_child, world_of
from tests.export.test_stops import LOOK, progress
from tobs.archive.lock import FolderLock
from tobs.lab.child import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HASTY = ("--set", "retries=1", "--set", "retry_pause=0", "--set", "resilience.patience=1")


def refused(done: Ended, code: int, *told: str) -> None:
    """A command ended with this exit code, nothing on standard output, and these words in its two lines of error."""
    assert (done.code, done.out) == (code, ""), done
    lines = done.err.strip().splitlines()
    assert lines[0].startswith("tobs: "), done.err
    assert len(lines) == 2, done.err
    for word in told:
        assert word in done.err, done.err
    assert "Traceback" not in done.err


def spoiled(lab: Served, tmp_path: Path, **changes: Any) -> Path:
    """The lab's server file with changes."""
    path = tmp_path / "changed.json"
    path.write_text(json.dumps({**lab.child.server, **changes}))
    return path


def export(server: Path, folder: Path, *words: object, chat: str = "@tobs_small") -> Ended:
    return tobs("export", chat, "-o", folder, "--server", server, *HASTY, *words)


def test_settings_that_are_no_toml(small: Served, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[core]\nconnections = = 4\n")
    refused(export(small.server, tmp_path / "a", "--config", config), 2, str(config), "line 2", "Mend that line")
    refused(tobs("chats", TOBS_CONFIG=str(config), TOBS_SERVER=str(small.server)), 2, str(config), "Mend")
    config.write_bytes(b"\xff\xfe\x00")
    refused(export(small.server, tmp_path / "a", "--config", config), 2, str(config))
    config.write_text("[core]\nconections = 4\n")
    refused(export(small.server, tmp_path / "a", "--config", config), 2, "conections", "Known: connections")
    config.write_text("[core]\nconnections = 400\n")
    refused(export(small.server, tmp_path / "a", "--config", config), 2, "400", "from 1 to 16")
    assert not (tmp_path / "a").exists()


def test_knobs_that_nobody_knows(small: Served, tmp_path: Path) -> None:
    refused(export(small.server, tmp_path / "a", "--set", "conections=4"), 2, "conections", "Known: connections")
    refused(export(small.server, tmp_path / "a", "--set", "connections"), 2, "KNOB=VALUE")
    refused(export(small.server, tmp_path / "a", "--set", "part_kb=100"), 2, "100", "divide")
    refused(export(small.server, tmp_path / "a", "--kinds", "photo,gif"), 2, "gif", "Known: photo")
    for size in ("much", "-5MB", "nan", "inf", "5 miles"):
        refused(export(small.server, tmp_path / "a", f"--max-size={size}"), 2, size, "20MB")
    refused(tobs("chats", TOBS_CORE__DEADLINE="soon", TOBS_SERVER=str(small.server)), 2, "TOBS_CORE__DEADLINE")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "one JSON object"),
        ('{"dc": 2}', "'host' is missing"),
        ('{"dc": "two", "host": "h", "port": 1, "api_id": 1, "api_hash": "x"}', "whole numbers"),
        ('{"dc": 2, "host": "h", "port": 1, "api_id": 1, "api_hash": "x", "public_key": "-----"}', "RSA public key"),
        ('{"dc": 2, "host": "h", "port": 1, "api_id": 1, "api_hash": "x", "session": "not one"}', "Log in again"),
    ],
)
def test_a_server_file_that_is_none(tmp_path: Path, content: str, told: str) -> None:
    server = tmp_path / "server.json"
    server.write_text(content)
    done = tobs("chats", "--server", server)
    assert (done.code, done.out) == (2, "")
    assert str(server) in done.err
    assert told in done.err


def test_no_server_file_and_no_account(tmp_path: Path) -> None:
    refused(tobs("chats", "--server", tmp_path / "none.json"), 2, "none.json", "tobs login")
    refused(tobs("export", "@a_chat", "-o", tmp_path / "a"), 2, "not logged in", "tobs login")
    refused(tobs("chats", "--account", "work"), 2, "'work'", "tobs login")


def test_the_wrong_key_shows_at_the_first_handshake(
    small: Served, serve: Callable[[str], Served], tmp_path: Path
) -> None:
    other = serve("long").child.server["public_key"]
    server = spoiled(small, tmp_path, public_key=other)
    words = ("export", "@tobs_small", "-o", tmp_path / "archive", "--server", server, *HASTY)
    # Telethon trusts, for the whole process, any key that it was ever told; a kept key would need no handshake.
    done = tobs_child(*words, TOBS_STATE=str(tmp_path / "state"))
    refused(done, 1, "no key could be agreed with data centre 4", "RSA key")
    kept = progress(tmp_path / "archive")
    assert kept > 0
    done = export(small.server, tmp_path / "archive")
    assert done.code == 0, done
    assert differences(tmp_path / "archive", small.world, [small.chat]) == []

    done = tobs_child("login", "--server", server, "--phone", small.world.phone, given="")
    refused(done, 1, "no key could be agreed with data centre 2", "RSA key")


def test_a_session_that_the_server_does_not_know(small: Served, serve: Callable[[str], Served], tmp_path: Path) -> None:
    other = serve("long").child.server["session"]
    refused(export(spoiled(small, tmp_path, session=other), tmp_path / "a"), 1, "session", "tobs login")
    refused(export(spoiled(small, tmp_path, session=None), tmp_path / "a"), 1, "not logged in", "tobs login")
    assert not (tmp_path / "a").exists()


def test_a_server_that_is_not_there(small: Served, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        server = spoiled(small, tmp_path, port=taken.getsockname()[1])
        refused(export(server, tmp_path / "a"), 1, "cannot be reached", "run the same command again")
    refused(export(spoiled(small, tmp_path, host="no.such.host.invalid"), tmp_path / "a"), 1, "cannot be reached")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("at", [100, 330])
def test_a_server_that_dies_in_mid_run(tmp_path: Path, at: int) -> None:
    world = world_of("steady")
    folder, state = tmp_path / "archive", tmp_path / "lab"
    words = ("export", "@tobs_steady", "-o", folder, "--server", state / "server.json", *HASTY, "--json")
    with spawn(SCENARIOS / "steady.toml", state) as lab:
        environment = surroundings(TOBS_STATE=str(tmp_path / "state"))
        child = subprocess.Popen(
            command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        with child:
            while progress(folder) < at and child.poll() is None:
                try:
                    child.wait(LOOK)
                except subprocess.TimeoutExpired:
                    continue
            os.kill(lab.pid, signal.SIGKILL)
            out, _ = child.communicate(timeout=60)
    told = json.loads(out)
    assert child.returncode == 1
    assert told["ok"] is False
    assert "data centre" in told["error"]
    assert "run the same command again" in told["hint"]
    assert progress(folder) >= at
    with spawn(SCENARIOS / "steady.toml", state) as lab:
        done = tobs(*words)
        assert done.code == 0, done
        assert done.value["digest"] == lab.truth(main_chat(world))["digest"]
    assert differences(folder, world, [main_chat(world)]) == []


@pytest.fixture
def archive(small: Served, tmp_path: Path) -> Path:
    """A finished archive, which must be none the worse at the end of a test."""
    folder = tmp_path / "archive"
    assert export(small.server, folder).code == 0
    return folder


def test_an_archive_of_another_chat(small: Served, archive: Path) -> None:
    refused(export(small.server, archive, chat="Kitchen table"), 1, "“Small”", "“Kitchen table”", "-o", "--add")
    assert differences(archive, small.world, [small.chat]) == []


def test_a_second_writer(small: Served, archive: Path) -> None:
    lock = FolderLock(archive)
    try:
        refused(export(small.server, archive), 1, f"process {os.getpid()}", "Wait until")
        done = export(small.server, archive, "--json")
        assert done.code == 1
        assert done.value["ok"] is False
        assert f"process {os.getpid()}" in done.value["error"]
        assert done.value["hint"]
    finally:
        lock.release()
    assert export(small.server, archive).code == 0


def test_a_damaged_database(small: Served, archive: Path) -> None:
    whole = (archive / "tobs.sqlite").read_bytes()
    (archive / "tobs.sqlite").write_bytes(b"This is no database. " * 400)
    refused(export(small.server, archive), 1, "damaged", "backup")
    for words in (("verify", archive), ("digest", archive), ("search", archive, "x"), ("render", archive)):
        refused(tobs(*words), 1, "damaged", "backup")
    (archive / "tobs.sqlite").write_bytes(whole)
    assert export(small.server, archive).code == 0


def test_a_folder_of_something_else(small: Served, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"mine")
    refused(export(small.server, folder), 1, "holiday.jpg", "-o")
    assert [path.name for path in folder.iterdir()] == ["holiday.jpg"]
    refused(export(small.server, folder / "holiday.jpg"), 1, "holiday.jpg", "-o")
    for words in (("verify", folder), ("digest", folder), ("search", folder, "x"), ("render", folder)):
        refused(tobs(*words), 1, "holds no archive", "tobs export")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small disk of its own, where the system lets us have one."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tobs-test", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no right to mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_no_space(small: Served, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=20m"):
        refused(export(small.server, disk / "archive"), 1, "are free", "Free ", "another disk with -o")
        assert progress(disk / "archive") > 0, "what was committed stays"
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        assert export(small.server, disk / "archive").code == 0
        assert differences(disk / "archive", small.world, [small.chat]) == []


def test_a_disk_that_fills_up_under_way(small: Served, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=300k"):
        done = export(small.server, disk / "archive", "--no-media")
        refused(done, 1, "no space is left", "run the same command again")
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        assert export(small.server, disk / "archive").code == 0
        assert differences(disk / "archive", small.world, [small.chat]) == []


def test_a_disk_that_cannot_be_written(small: Served, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=200m"):
        assert export(small.server, disk / "archive").code == 0
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        refused(export(small.server, disk / "archive"), 1, "Read-only", "-o")
        refused(export(small.server, disk / "other"), 1, "Read-only", "-o")
        done = tobs("verify", disk / "archive", "--json")
        assert (done.code, done.value["ok"]) == (0, True), done
        digest = tobs("digest", disk / "archive", "--json").value["digest"]
        assert digest == small.child.truth(small.chat)["digest"]


@pytest.mark.parametrize(
    "words",
    [
        ("export", "@nobody_has_this", "-o", "{folder}", "--server", "{server}"),
        ("export", "@tobs_small", "-o", "{folder}", "--server", "nowhere.json"),
        ("export", "@tobs_small", "-o", "{folder}", "--server", "{server}", "--set", "x=1"),
        ("chats", "--server", "nowhere.json"),
        ("verify", "{folder}"),
        ("digest", "{folder}"),
        ("search", "{folder}", "x"),
        ("render", "{folder}"),
        ("logout",),
        ("lab", "limit", "--scenario", "no_such"),
        ("lab", "truth", "--scenario", "no_such"),
        ("export",),
        ("verify", "--no-such-option"),
    ],
)
def test_an_error_for_machines_is_one_json_value(small: Served, tmp_path: Path, words: tuple[str, ...]) -> None:
    given = [word.format(folder=tmp_path / "none", server=small.server) for word in words]
    done = tobs(*given, "--json")
    assert done.code in {1, 2}
    assert done.value["ok"] is False
    assert done.value["error"]
    assert done.value["hint"]
