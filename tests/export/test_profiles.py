"""Every profile is exported completely, and what a scenario puts in the way is obeyed and survived."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.export.changing import running
from tests.export.labs import main_chat, world_of
from tobs.archive.verify import verify
from tobs.host import run, settings
from tobs.lab.faults import Faults, Outage
from tobs.lab.scenario import Change, Premium, load, shipped
from tobs.lab.truth import truth
from tobs.lab.world import World, build
from tobs.telegram import account
from tobs.testing.exports import planned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tobs.lab.server import Lab

PROFILES = shipped("profiles")
ARMS = ["baseline", "default"]


async def exported(
    world: World, folder: Path, arm: str, prepare: Callable[[Lab], None] | None = None
) -> dict[str, Any]:
    """What the lab counted in a whole export of the world's main chat, which is held against the truth."""
    chat = main_chat(world)
    async with running(world, folder / "lab") as (lab, server):
        if prepare is not None:
            prepare(lab)
        asked = run.Request([str(chat)], folder / "archive", state=folder / "state")
        report = await run.export(account.load(server), settings.of_arm(arm), asked, (), planned(arm))
        counters = lab.counters()
    assert report.warnings == []
    assert report.digest == truth(world, chat).digest
    found = verify(report.archive)
    assert found.ok
    assert found.pending == 0
    if arm == "baseline":
        # Lab and client share this thread: what several parts at once have sent may be read late.
        assert counters["requests_during_flood"] == 0
    assert report.tally.floods == counters["floods"]
    return counters


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_small_chat_is_exported_completely_under_every_profile(tmp_path: Path, profile: str) -> None:
    await exported(build(load(f"profile_{profile}", scale=0.05)), tmp_path, "default")


@pytest.mark.campaign
@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("profile", PROFILES)
async def test_every_profile_is_exported_completely(tmp_path: Path, profile: str, arm: str) -> None:
    counters = await exported(build(load(f"profile_{profile}")), tmp_path, arm)
    if profile == "loopback":
        assert not counters["faults"]
    elif profile != "home_broadband":  # whose faults are too rare for so few requests
        assert counters["faults"]


def with_network(**changes: Any) -> World:
    """The small world behind another network."""
    world = world_of("small")
    scenario = replace(world.scenario, network=replace(world.scenario.network, **changes))
    return replace(world, scenario=scenario)


def with_faults(faults: Faults) -> World:
    """The small world with faults."""
    world = world_of("small")
    return replace(world, scenario=replace(world.scenario, faults=faults))


@pytest.mark.parametrize("arm", ARMS)
async def test_a_premium_wait_is_waited_out(tmp_path: Path, arm: str) -> None:
    world = world_of("small")
    limits = replace(world.scenario.limits, premium=Premium(2_000_000, (1, 1)))
    counters = await exported(replace(world, scenario=replace(world.scenario, limits=limits)), tmp_path, arm)
    assert 1 <= counters["floods"] <= counters["file_bytes"] // 2_000_000


async def test_references_that_expire_all_the_time_are_fetched_again(tmp_path: Path) -> None:
    def time_goes_with_requests(lab: Lab) -> None:
        service = lab._service
        service.references._clock = lambda: service.counters.requests["upload.getFile"]

    counters = await exported(with_faults(Faults(reference_life=14.0)), tmp_path, "default", time_goes_with_requests)
    assert counters["faults"]["references"] > 0


async def test_a_data_centre_that_is_away_for_a_moment_costs_nothing_but_time(tmp_path: Path) -> None:
    faults = Faults(outages=(Outage(2, 0.15, 0.5), Outage(4, 0.3, 0.5)))
    counters = await exported(with_faults(faults), tmp_path, "default")
    assert counters["faults"]["outages"] > 0


async def test_errors_and_stalled_replies_leave_no_gap(tmp_path: Path) -> None:
    faults = Faults(errors=0.05, stalls=0.05, stall_seconds=(0.05, 0.1))
    counters = await exported(with_faults(faults), tmp_path, "default")
    assert counters["faults"]["errors"] > 0
    assert counters["faults"]["stalls"] > 0


async def test_capacity_that_changes_in_mid_run_and_a_narrow_line_are_lived_with(tmp_path: Path) -> None:
    slower = (Change(0.2, connection_rate=1_500_000.0), Change(0.6, down_rate=4_000_000.0))
    world = with_network(down_rate=20_000_000.0, up_rate=1_000_000.0, changes=slower)
    await exported(world, tmp_path, "default")


@pytest.mark.parametrize("arm", ARMS)
async def test_an_address_for_media_alone_is_left_alone(tmp_path: Path, arm: str) -> None:
    counters = await exported(with_network(media_only=True), tmp_path, arm)
    assert "METHOD_INVALID" not in counters["errors"]
