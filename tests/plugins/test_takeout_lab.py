"""takeout against the lab: what the server counts inside, with delays, rivals, killed runs and split ranges."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from telethon import TelegramClient, functions
from telethon.crypto import rsa
from telethon.sessions import StringSession

from tests.engine.fakes import Seen
from tests.export.checker import differences
from tests.export.labs import command, surroundings
from tobs.archive.verify import verify
from tobs.host import run, settings
from tobs.lab.child import Child, spawn
from tobs.lab.scenario import load as load_scenario
from tobs.lab.world import World, build
from tobs.telegram.account import load
from tobs.testing.exports import planned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tobs.values import Batch, Page

ALONE = "baseline +takeout"
TOGETHER = "baseline +takeout +async_pipeline +parallel_media"
SCENARIO = """
name = "takeout"
seed = 8

[dataset]
kind = "megagroup"
title = "Takeout"
username = "tobs_takeout"
messages = 330
side_messages = 1450
rich = 0.3
gaps = 0.1
photos = { count = 6, median_kb = 10, sigma = 0.3 }
videos = { count = 1, median_kb = 700, sigma = 0 }
files = { 2 = 50, 4 = 50 }

[network]
home = 2
dc = [{ id = 2 }, { id = 4 }]

[limits.takeout]
delay = DELAY
ranges = RANGES
"""
OUTSIDE = frozenset(
    {
        "account.initTakeoutSession",
        "auth.exportAuthorization",
        "auth.importAuthorization",
        "contacts.resolveUsername",
        "help.getConfig",
        "messages.getDialogs",
        "updates.getDifference",
        "updates.getState",
        "users.getUsers",
    }
)
"""What is asked before the takeout, for it, by a connection for itself, or by a rival's client."""


async def asked_for(
    server: Path, folder: Path, to: str, chats: Sequence[int | str], arm: str, probes: Sequence[Any]
) -> run.Report:
    """Export some chats with an arm to `folder/to`; what is kept of the account is in `folder/state`."""
    asked = run.Request([str(chat) for chat in chats], folder / to, state=folder / "state")
    return await run.export(load(server), settings.of_arm(arm), asked, probes, planned(arm))


@dataclass
class Lab:
    """A running lab, its world, and exports from it, which share what is kept of the account."""

    child: Child
    world: World
    folder: Path

    @property
    def main(self) -> int:
        return self.of("channel")

    def of(self, kind: str) -> int:
        """The chat of a kind."""
        return next(number for number, history in self.world.histories.items() if history.kind == kind)

    async def export(
        self, arm: str, chats: Sequence[int], probes: Sequence[Any] = (), to: str = "archive"
    ) -> run.Report:
        self.child.reset()
        return await asked_for(self.child.server_file, self.folder, to, chats, arm, probes)

    def whole(self, report: run.Report, chats: Sequence[int]) -> None:
        """Whether an archive has everything of some chats."""
        assert report.warnings == []
        assert differences(report.archive, self.world, chats) == []
        assert verify(report.archive).ok

    def kept(self) -> Any:
        """The session that is kept for the next run; empty if there is none."""
        files = [*(self.folder / "state").glob("accounts/*/plugins/takeout/session.json")]
        assert len(files) <= 1
        return json.loads(files[0].read_text()) if files else {}

    def tobs(self, *words: object) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own, which shares what is kept of the account among such."""
        environment = surroundings(TOBS_STATE=str(self.folder / "state"), PYTHONPATH=_path())
        return subprocess.run(command(*words), capture_output=True, text=True, timeout=60, env=environment, check=False)

    def rival(self) -> None:
        """Another client of the account begins a takeout, which ends the one before it; returns when it has."""
        worker = threading.Thread(target=lambda: asyncio.run(self._rival()))
        worker.start()
        worker.join()

    async def _rival(self) -> None:
        server = self.child.server
        rsa.add_key(server["public_key"], old=False)
        TelegramClient._config = None
        client = TelegramClient(StringSession(server["session"]), server["api_id"], server["api_hash"])
        await client.connect()
        try:
            await client(functions.account.InitTakeoutSessionRequest(message_users=True))
        finally:
            await client.disconnect()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int, int], tuple[Child, World]]]:
    """Labs by delay and ranges."""
    labs: dict[tuple[int, int], tuple[Child, World]] = {}

    def serve(delay: int, ranges: int) -> tuple[Child, World]:
        if (delay, ranges) not in labs:
            place = tmp_path_factory.mktemp("lab-takeout")
            scenario = place / "takeout.toml"
            scenario.write_text(SCENARIO.replace("DELAY", str(delay)).replace("RANGES", str(ranges)))
            labs[delay, ranges] = spawn(scenario, place / "state"), build(load_scenario(scenario))
        return labs[delay, ranges]

    yield serve
    for child, _ in labs.values():
        child.stop()


@pytest.fixture
def split(served: Callable[[int, int], tuple[Child, World]], tmp_path: Path) -> Lab:
    """A lab that lets a takeout begin at once and splits its messages into three."""
    return Lab(*served(0, 3), tmp_path)


@pytest.fixture
def delayed(served: Callable[[int, int], tuple[Child, World]], tmp_path: Path) -> Lab:
    """A lab that lets a takeout begin in a day."""
    return Lab(*served(86_400, 1), tmp_path)


@dataclass
class At(Seen):
    """A probe that does something at some of the pages."""

    do: Callable[[], None] = lambda: None
    pages: Sequence[int] = ()
    seen: int = field(default=0)

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:
        super().batch(page, batch, seconds)
        self.seen += 1
        if self.seen in self.pages:
            self.do()


def inside(counted: dict[str, Any]) -> dict[str, int]:
    """Requests of a run that had to be inside its takeout. Fails where one was not."""
    asked = {method: many for method, many in counted["requests"].items() if method not in OUTSIDE}
    refused = counted["errors"].get("TAKEOUT_INVALID", 0)
    assert counted["takeout_requests"] == sum(asked.values()) - refused, counted
    return asked


@pytest.mark.parametrize("arm", [ALONE, TOGETHER])
async def test_every_request_is_inside_those_for_files_elsewhere_too(split: Lab, arm: str) -> None:
    chats = sorted(split.world.histories)
    report = await split.export(arm, chats)
    split.whole(report, chats)
    counted = split.child.counters()
    asked = inside(counted)
    assert asked["account.finishTakeoutSession"] == counted["requests"]["account.initTakeoutSession"] == 1
    assert asked["messages.getSplitRanges"] == 1
    assert asked["upload.getFile"] == counted["file_parts"] + counted["migrations"] > counted["migrations"]
    assert counted["handshakes"] - counted["short_keys"] == 1, "files of another data centre were fetched from there"
    assert counted["duplicate_parts"] == 0
    assert split.kept() == {}
    assert report.digest == split.child.truth()["digest"]


async def test_the_archive_is_that_of_a_run_without(split: Lab) -> None:
    chats = sorted(split.world.histories)
    reports = [await split.export(arm, chats, to=arm) for arm in ("baseline", ALONE, TOGETHER)]
    assert len({report.digest for report in reports}) == 1
    assert [report.new for report in reports] == [report.new for report in reports][:1] * 3


@pytest.mark.parametrize("kind", ["user", "chat"])
@pytest.mark.parametrize(("arm", "measured"), [(ALONE, 0), (TOGETHER, 2)])
async def test_split_ranges_cost_a_page_each_at_most(split: Lab, kind: str, arm: str, measured: int) -> None:
    """Each message comes once; the last page of a range may be short, and the count of the whole is asked for."""
    chat = split.of(kind)
    seen = Seen()
    report = await split.export(arm, [chat], [seen])
    split.whole(report, [chat])
    ids = split.world.histories[chat].ids
    got = [row.id for _, batch in seen.batches for row in batch.messages]
    assert sorted(got) == sorted(ids), "each message comes once"
    counts = {page.count for page, _ in seen.batches}
    assert len(counts) > 1, "each range counts its own messages"
    spans = [batch.span for _, batch in seen.batches]
    assert all(one.high < other.low or other.high < one.low for one in spans for other in spans if one is not other)
    pages = split.child.counters()["requests"]["messages.getHistory"]
    straight = sum(-(-count // 100) for count in counts)
    assert straight < pages <= straight + 1 + measured


@pytest.mark.parametrize("arm", [ALONE, TOGETHER])
async def test_an_interrupted_divided_chat_goes_on(split: Lab, arm: str) -> None:
    chat = split.of("user")
    for at in (2, 5, 8):

        def stop() -> None:
            raise KeyError("stopped here")

        with pytest.raises(Exception, match="stopped here"):
            await split.export(arm, [chat], [At(do=stop, pages=[at])], to=f"stopped-{at}")
        counted = split.child.counters()
        assert "account.finishTakeoutSession" not in counted["requests"]
        assert split.kept()["id"]
        report = await split.export(arm, [chat], to=f"stopped-{at}")
        split.whole(report, [chat])
        counted = split.child.counters()
        assert "account.initTakeoutSession" not in counted["requests"], "the next run uses the session again"
        assert inside(counted)["account.finishTakeoutSession"] == 1
        assert split.kept() == {}


async def test_an_incremental_run_is_held_against_the_whole_too(split: Lab) -> None:
    chat = split.of("user")
    first = await split.export(ALONE, [chat])
    again = await split.export(ALONE, [chat])
    split.whole(again, [chat])
    assert again.new == 0
    assert again.digest == first.digest


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.plugins.test_takeout_lab import At, asked_for
server, folder, *chats = sys.argv[1:]
probe = At(do=lambda: os.kill(os.getpid(), signal.SIGKILL), pages=[5])
asyncio.run(asked_for(Path(server), Path(folder), "archive", chats, "baseline +takeout", [probe]))
"""


def test_the_session_of_a_killed_run_is_used_and_finished_by_the_next(split: Lab) -> None:
    chats = [split.main, split.of("user")]
    words = [sys.executable, "-c", KILLED, str(split.child.server_file), str(split.folder), *map(str, chats)]
    killed = subprocess.run(words, capture_output=True, timeout=60, env=surroundings(PYTHONPATH=_path()), check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert split.kept()["id"]
    report = asyncio.run(split.export(ALONE, chats))
    split.whole(report, chats)
    counted = split.child.counters()
    assert "account.initTakeoutSession" not in counted["requests"]
    assert inside(counted)["account.finishTakeoutSession"] == 1
    assert split.kept() == {}


def _path() -> str:
    """Where a process of its own finds the packages that this one does."""
    return os.pathsep.join(filter(None, sys.path))


@pytest.mark.parametrize("arm", [ALONE, TOGETHER])
async def test_a_rival_ends_the_session_and_another_is_begun(split: Lab, arm: str) -> None:
    chats = sorted(split.world.histories)
    report = await split.export(arm, chats, [At(do=split.rival, pages=[4])])
    split.whole(report, chats)
    counted = split.child.counters()
    assert counted["errors"]["TAKEOUT_INVALID"] >= 1
    assert counted["requests"]["account.initTakeoutSession"] == 3, "ours, the rival's, and ours again"
    assert inside(counted)["account.finishTakeoutSession"] == 1


@pytest.mark.parametrize("arm", [ALONE, TOGETHER])
async def test_a_second_rival_has_it_and_the_export_goes_on_without(
    split: Lab, arm: str, caplog: pytest.LogCaptureFixture
) -> None:
    chats = sorted(split.world.histories)
    report = await split.export(arm, chats, [At(do=split.rival, pages=[4, 12])])
    split.whole(report, chats)
    counted = split.child.counters()
    assert counted["requests"]["account.initTakeoutSession"] == 4
    assert "account.finishTakeoutSession" not in counted["requests"], "the rival's session is not ours to end"
    assert sum("second time" in record.getMessage() for record in caplog.records) == 1
    assert split.kept() == {}
    assert report.digest == split.child.truth()["digest"]


def test_a_delay_is_told_and_the_export_goes_on_without(delayed: Lab) -> None:
    words = ["export", delayed.main, "-o", delayed.folder / "archive", "--server", delayed.child.server_file]
    delayed.child.reset()
    done = delayed.tobs(*words, "--arm", ALONE, "--json")
    assert done.returncode == 0, "the archive is whole"
    assert json.loads(done.stdout)["digest"] == delayed.child.truth(delayed.main)["digest"]
    counted = delayed.child.counters()
    assert counted["takeout_requests"] == 0
    assert counted["requests"]["account.initTakeoutSession"] == 1
    said = " ".join(done.stderr.split())
    assert said.count("24 hours") == 1
    assert "on another of your devices" in said


def test_a_required_takeout_fails_at_once_and_begins_when_it_is_allowed(delayed: Lab) -> None:
    words = ["export", delayed.main, "-o", delayed.folder / "archive", "--server", delayed.child.server_file]
    words += ["--arm", f"{ALONE} takeout.required=true", "--json"]
    delayed.child.reset()
    done = delayed.tobs(*words)
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert "24 hours" in answer["error"]
    assert "allow it" in answer["hint"]
    assert "messages.getHistory" not in delayed.child.counters()["requests"]
    delayed.child.allow_takeout()
    delayed.child.reset()
    done = delayed.tobs(*words)
    assert done.returncode == 0, done.stderr
    assert inside(delayed.child.counters())["account.finishTakeoutSession"] == 1
