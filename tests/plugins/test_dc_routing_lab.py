"""dc_routing against the lab: no file is asked where it is not, and no key is made that was made before."""

from __future__ import annotations

import base64
import json
import stat
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.changing import forget, requests, running
from tests.export.labs import main_chat
from tobs.engine.export import Wish
from tobs.host import run, settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.lab.scenario import load as load_scenario
from tobs.lab.truth import truth
from tobs.lab.world import World, build
from tobs.telegram.account import load

if TYPE_CHECKING:
    from tobs.lab.server import Lab

SCENARIO = Path(__file__).parent / "scenarios" / "five_centres.toml"
HOME, AWAY = 2, (1, 3, 4, 5)
ROUTED, ALL = "baseline +dc_routing", "baseline +dc_routing +parallel_media +async_pipeline"


@cache
def world() -> World:
    return build(load_scenario(SCENARIO))


async def export(server: Path, folder: Path, arm: str = ROUTED) -> run.Report:
    """Export the main chat into a new archive; the account's state is kept in `folder/state`."""
    number = len(list(folder.glob("archive-*")))  # noqa: ASYNC240 - nothing else runs yet
    plan = resolve(discover().manifests, settings.of_arm(arm).wanted)
    asked = run.Request([str(main_chat(world()))], folder / f"archive-{number}", Wish(), state=folder / "state")
    report = await run.export(load(server), settings.of_arm(arm), asked, (), plan)
    assert report.digest == truth(world(), main_chat(world())).digest
    assert report.warnings == []
    return report


def kept(folder: Path, name: str) -> Path:
    (file,) = (folder / "state").glob(f"accounts/*/plugins/dc_routing/{name}.json")
    return file


def keys(folder: Path) -> dict[int, bytes]:
    found = json.loads(kept(folder, "keys").read_text(encoding="utf-8"))
    return {int(dc): base64.b64decode(key) for dc, key in found.items()}


def handshakes(lab: Lab) -> dict[str, Any]:
    """What the connections of a run cost, and what must not happen in any; counting begins anew."""
    counted = lab.counters()
    assert counted["migrations"] == counted["duplicate_parts"] == counted["requests_during_flood"] == 0
    asked = requests(lab)
    return {
        "handshakes": counted["handshakes"] - counted["short_keys"],
        "exports": asked.get("auth.exportAuthorization", 0),
        "imports": asked.get("auth.importAuthorization", 0),
    }


ONE_EACH = {"handshakes": 4, "exports": 4, "imports": 4}
NONE = dict.fromkeys(ONE_EACH, 0)


@pytest.mark.parametrize("arm", [ROUTED, ALL, f"{ROUTED} dc_routing.strategy=sticky dc_routing.ahead_kb=64"])
async def test_no_file_is_asked_elsewhere_and_no_key_is_made_twice(tmp_path: Path, arm: str) -> None:
    async with running(world(), tmp_path / "lab") as (lab, server):
        await export(server, tmp_path, arm)
        assert handshakes(lab) == ONE_EACH
        await export(server, tmp_path, arm)
        assert handshakes(lab) == NONE


async def test_keys_are_kept_for_their_owner_alone_and_homes_is_not_among_them(tmp_path: Path) -> None:
    async with running(world(), tmp_path / "lab") as (_, server):
        await export(server, tmp_path)
        own = load(server).key
        assert set(keys(tmp_path)) == {*AWAY}
        assert own not in keys(tmp_path).values()
        file = kept(tmp_path, "keys")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("unknown", [True, False], ids=["key", "authorization"])
@pytest.mark.parametrize("arm", [ROUTED, f"{ALL} dc_routing.ahead_kb=64"], ids=["alone", "among"])
async def test_what_a_data_centre_has_forgotten_is_made_again_there_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, arm: str, *, unknown: bool
) -> None:
    async with running(world(), tmp_path / "lab") as (_, server):
        await export(server, tmp_path)
    old = keys(tmp_path)
    forget(tmp_path / "lab", 4, keys=unknown)
    async with running(world(), tmp_path / "lab") as (lab, server):
        report = await export(server, tmp_path, f"{arm} core.retry_pause=0")
        assert handshakes(lab) == {"handshakes": 1, "exports": 1, "imports": 1}
        new = keys(tmp_path)
        assert {dc: key for dc, key in new.items() if old[dc] == key}.keys() == {1, 3, 5}
        assert report.tally.failures == {}
        await export(server, tmp_path)
        assert handshakes(lab) == NONE
    shown = caplog.text + json.dumps(report.as_json())
    for key in (*old.values(), *new.values()):
        assert base64.b64encode(key).decode() not in shown
        assert key.hex() not in shown


async def test_keys_of_another_account_are_not_used(tmp_path: Path) -> None:
    async with running(world(), tmp_path / "one") as (_, server):
        await export(server, tmp_path)
    async with running(world(), tmp_path / "other") as (lab, server):
        await export(server, tmp_path)
        assert handshakes(lab) == ONE_EACH
    assert len(list((tmp_path / "state" / "accounts").iterdir())) == 2


async def test_what_a_chat_needed_is_opened_before_its_first_page(tmp_path: Path) -> None:
    async with running(world(), tmp_path / "lab") as (lab, server):
        first = await export(server, tmp_path)
        (row,) = json.loads(kept(tmp_path, "chats").read_text(encoding="utf-8"))["chats"]
        assert row[0] == main_chat(world())
        assert {int(dc) for dc in row[1]} == {HOME, *AWAY}
        assert sum(row[1].values()) == first.tally.size
        lab.reset()
        plan = resolve(discover().manifests, settings.of_arm(ROUTED).wanted)
        wish = Wish(media=False)
        asked = run.Request([str(main_chat(world()))], tmp_path / "text", wish, state=tmp_path / "state")
        await run.export(load(server), settings.of_arm(ROUTED), asked, (), plan)
        assert 1 < lab.counters()["connections_opened"] <= 5, "only the chat's past can have asked for them"
