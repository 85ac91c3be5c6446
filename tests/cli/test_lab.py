"""`tobs lab`: for any client, from the command line."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.export.labs import SCENARIOS, command, main_chat, side_chat, surroundings, tobs, world_of
from tobs.lab.limit import limit
from tobs.lab.truth import truth

if TYPE_CHECKING:
    from pathlib import Path

SMALL = SCENARIOS / "small.toml"


def test_truth() -> None:
    world = world_of("small")
    told = tobs("lab", "truth", "--scenario", SMALL, "--json").value
    assert told["digest"] == truth(world).digest
    assert set(map(int, told["chats"])) == set(world.histories)
    chats = (main_chat(world), side_chat(world, "chat"))
    some = tobs("lab", "truth", "--scenario", SMALL, "--chat", chats[0], "--chat", chats[1], "--json").value
    assert some["digest"] == truth(world, chats).digest
    people = tobs("lab", "truth", "--scenario", SMALL)
    assert told["digest"] in people.out
    assert "420 messages" in people.out
    other = tobs("lab", "truth", "--scenario", SMALL, "--seed", 77, "--json").value
    assert other["digest"] != told["digest"]


def test_limit() -> None:
    world = world_of("floods")
    told = tobs("lab", "limit", "--scenario", SCENARIOS / "floods.toml", "--json").value
    found = limit(world.scenario, world)
    assert (told["seconds"], told["resource"], told["detail"]) == (found.seconds, found.resource, found.detail)
    assert found.resource in tobs("lab", "limit", "--scenario", SCENARIOS / "floods.toml").out


def test_what_is_wrong_is_named() -> None:
    for words in (("truth",), ("limit",), ("serve", "--state", "none")):
        done = tobs("lab", *words, "--scenario", "no_such")
        assert (done.code, done.out) == (2, "")
        assert "no scenario 'no_such'" in done.err
        assert "demo" in done.err
    assert tobs("lab", "truth", "--scenario", SMALL, "--chat", 5).code == 2
    assert tobs("lab", "truth", "--scenario", SMALL, "--scale", -1).code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve(tmp_path: Path, number: signal.Signals) -> None:
    state = tmp_path / "lab"
    lab = subprocess.Popen(
        command("lab", "serve", "--scenario", SMALL, "--state", state),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(),
    )
    with lab:
        assert lab.stdout is not None
        ready = json.loads(lab.stdout.readline())
        server = state / "server.json"
        assert ready["server_file"] == str(server)
        assert stat.S_IMODE(server.stat().st_mode) == 0o600
        assert len(tobs("chats", "--json", TOBS_SERVER=str(server)).value) == 3
        second = tobs("lab", "serve", "--scenario", SMALL, "--state", state)
        assert second.code == 1
        assert "not free" in second.err
        assert "another" in second.err
        lab.send_signal(number)
        _, err = lab.communicate(timeout=20)
    assert lab.returncode in {0, 130}
    assert "Traceback" not in err
