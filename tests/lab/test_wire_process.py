"""A lab in its own process: it says where it is, counts, and ends when it should."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest
from telethon import TelegramClient, errors
from telethon.crypto import rsa
from telethon.sessions import StringSession
from telethon.tl import functions

from tobs.errors import TobsError
from tobs.lab.child import Child, ask, spawn, spawned
from tobs.lab.control import CONTROL_FILE
from tobs.lab.scenario import load
from tobs.lab.truth import truth
from tobs.lab.world import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCENARIO = """
name = "process"
seed = 3

[dataset]
title = "Process"
username = "tobs_process"
messages = 120
documents = { count = 2, median_kb = 20 }

[network]
dc = [{ id = 2 }]
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "process.toml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="module")
def lab(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with spawn(scenario, tmp_path_factory.mktemp("state")) as child:
        yield child


async def test_a_client_in_another_process_reads_the_chat(lab: Child) -> None:
    lab.reset()
    server = lab.server
    rsa.add_key(server["public_key"], old=False)
    TelegramClient._config = None
    client = TelegramClient(StringSession(server["session"]), server["api_id"], server["api_hash"])
    await client.connect()
    try:
        chat = (await client.get_dialogs())[0]
        count = len([m async for m in client.iter_messages(chat.entity, wait_time=0)])
    finally:
        await client.disconnect()
    counters = await asyncio.to_thread(lab.counters)
    assert count == counters["history_messages"]
    assert counters["connections_opened"] == counters["connections_closed"] == 1


def test_the_truth_it_tells_is_that_of_the_scenario(lab: Child, scenario: Path) -> None:
    world = build(load(scenario))
    assert lab.truth()["digest"] == truth(world).digest
    chat = world.dialogs()[0]
    assert list(lab.truth(chat)["chats"]) == [str(chat)]


def test_the_side_door_is_not_in_the_server_file_and_refuses_nonsense(lab: Child) -> None:
    port = json.loads((lab.server_file.parent / CONTROL_FILE).read_text())["port"]
    assert str(port) not in lab.server_file.read_text()
    with pytest.raises(TobsError, match="unknown command"):
        ask("127.0.0.1", port, "dance")
    with pytest.raises(TobsError):
        lab.truth(chat=1)
    assert lab.counters()["cpu_seconds"] > 0
    assert lab.parts() == []


@pytest.fixture
def delayed(tmp_path: Path) -> Path:
    path = tmp_path / "delayed.toml"
    path.write_text(SCENARIO + "[limits.takeout]\ndelay = 1000\n")
    return path


async def test_the_account_acts_on_another_device_through_the_side_door(delayed: Path, tmp_path: Path) -> None:
    begin = functions.account.InitTakeoutSessionRequest()
    async with spawned(delayed, tmp_path / "state") as lab:
        server = lab.server
        rsa.add_key(server["public_key"], old=False)
        TelegramClient._config = None
        client = TelegramClient(
            StringSession(server["session"]), server["api_id"], server["api_hash"], flood_sleep_threshold=0
        )
        await client.connect()
        try:
            with pytest.raises(errors.TakeoutInitDelayError):
                await client(begin)
            await asyncio.to_thread(lab.allow_takeout)
            assert (await client(begin)).id
            await asyncio.to_thread(lab.revoke_sessions)
            with pytest.raises(errors.SessionRevokedError):
                await client(begin)
        finally:
            await client.disconnect()


def test_it_ends_when_it_is_told_or_its_parent_lets_go(scenario: Path, tmp_path: Path) -> None:
    told = spawn(scenario, tmp_path / "told")
    port = told._control
    assert ask("127.0.0.1", port, "quit") is None
    assert told._process.wait(10) == 0
    told.stop()
    with pytest.raises(TobsError, match="does not answer"):
        ask("127.0.0.1", port, "counters")
    orphan = spawn(scenario, tmp_path / "orphan")
    assert orphan._process.stdin is not None
    orphan._process.stdin.close()
    assert orphan._process.wait(10) == 0
    orphan.stop()
    stopped = spawn(scenario, tmp_path / "stopped")
    stopped._process.send_signal(signal.SIGINT)  # as Ctrl+C in a terminal does to both
    assert stopped.counters()["connections_opened"] == 0
    stopped._process.terminate()
    assert stopped._process.wait(10) == 0
    stopped.stop()
    assert not (tmp_path / "stopped" / CONTROL_FILE).exists()


async def test_coroutines_start_and_stop_it_too(scenario: Path, tmp_path: Path) -> None:
    async with spawned(scenario, tmp_path, scale=0.5, seed=9) as child:
        assert child.ports == {2: child.server["port"]}
    assert child._process.returncode == 0


def test_what_is_wrong_is_said_in_the_labs_own_words(tmp_path: Path) -> None:
    with pytest.raises(TobsError, match="no_such_scenario"):
        spawn("no_such_scenario", tmp_path)
