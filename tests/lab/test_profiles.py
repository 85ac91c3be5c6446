"""Profiles and faults as they are read: what a scenario takes from its profile, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tobs.errors import UsageError
from tobs.lab.faults import FAULTLESS, Faults, Outage
from tobs.lab.scenario import Bucket, Change, Limits, Premium, Takeout, load, shipped

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.lab.scenario import Scenario

PROFILE = """
[network]
home = 2
down_mbit = 80
up_mbit = 8
connection_mb_per_s = 1.5
account_mb_per_s = 10
dc = [{ id = 2, rtt_ms = 40 }, { id = 4, rtt_ms = 60 }]

[limits.history]
burst = 30
per_second = 3
wait = [5, 12]

[limits.premium]
after_mb = 100
wait = [3, 15]

[limits.takeout]
factor = 3

[faults]
errors = 0.01
disconnect_every = 600
reference_life = 7200
outage = [{ dc = 4, at = 3, seconds = 2 }]
"""
DATASET = "[dataset]\nmessages = 10\n"


def write(folder: Path, top: str = "", rest: str = "") -> Path:
    (folder / "line.toml").write_text(PROFILE)
    path = folder / "scenario.toml"
    path.write_text(f'profile = "line.toml"\n{top}\n{DATASET}\n{rest}')
    return path


def test_a_scenario_takes_from_its_profile_what_it_does_not_say_itself(tmp_path: Path) -> None:
    scenario = load(write(tmp_path, rest='[network]\nthrottle = "account"\n[limits.history]\nper_second = 9'))
    assert scenario.limits.history == Bucket(30, 9.0, (5, 12))
    assert scenario.limits.premium == Premium(100_000_000, (3, 15))
    assert scenario.limits.takeout == Takeout(3.0, 0)
    network = scenario.network
    assert (network.connection_rate, network.account_rate) == (None, 10_000_000)
    assert (network.down_rate, network.up_rate) == (10_000_000, 1_000_000)
    assert scenario.faults == Faults(errors=0.01, disconnect_every=600, reference_life=7200, outages=(Outage(4, 3, 2),))


def test_faults_can_be_switched_off_as_a_whole(tmp_path: Path) -> None:
    assert load(write(tmp_path, "faults = false")).faults == FAULTLESS


def test_a_time_scale_shortens_lifetimes_and_intervals_alone(tmp_path: Path) -> None:
    faults = load(write(tmp_path, "time_scale = 60", "[faults]\nsalt_life = 120")).faults
    assert (faults.disconnect_every, faults.reference_life, faults.salt_life) == (10, 120, 2)
    assert (faults.errors, faults.stall_seconds, faults.outages) == (0.01, (5, 10), (Outage(4, 3, 2),))


def test_capacity_changes_in_the_order_of_their_times_and_by_the_throttle_that_holds(tmp_path: Path) -> None:
    rest = (
        '[network]\nthrottle = "connection"\nchange = [{ at = 9, down_mbit = 8 },'
        " { at = 4, connection_mb_per_s = 0.5, account_mb_per_s = 2 }]"
    )
    changes = load(write(tmp_path, rest=rest)).network.changes
    assert changes == (Change(4, 500_000, None, None), Change(9, None, None, 1_000_000))


@pytest.mark.parametrize(
    ("top", "rest", "words"),
    [
        ('faults = "off"', "", "faults is 'off'"),
        ("faults = true", "", "faults is True"),
        ("time_scale = 0", "", "time_scale"),
        ("", "[faults]\nlost = 2", "faults.lost is 2"),
        ("", "[faults]\nstall_seconds = [9, 3]", "faults.stall_seconds"),
        ("", "[faults]\nlose = 0.1", "faults.lose is no key"),
        ("", "[[faults.outage]]\ndc = 5\nat = 1\nseconds = 1", r"faults.outage\[0\].dc is 5"),
        ("", "[network]\nnearest = 3", "network.nearest is 3"),
        ("", "[network]\nmedia_only = 1", "network.media_only is 1"),
        ("", "[limits]\nfile_hashes = 1.5", "limits.file_hashes is 1.5"),
        ("", "[limits.premium]\nwait = [9, 3]", "limits.premium.wait"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, top: str, rest: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load(write(tmp_path, top, rest))


def test_a_profile_that_is_missing_or_says_too_much_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(f'profile = "nowhere"\n{DATASET}')
    with pytest.raises(UsageError, match="there is no profile 'nowhere'"):
        load(path)
    path.write_text(f"profile = 3\n{DATASET}")
    with pytest.raises(UsageError, match="profile is 3"):
        load(path)
    (tmp_path / "wide.toml").write_text(f"{PROFILE}\n{DATASET}")
    path.write_text(f'profile = "wide.toml"\n{DATASET}')
    with pytest.raises(UsageError, match="dataset is no key of a profile"):
        load(path)


def test_the_shipped_profiles_are_those_that_are_documented() -> None:
    assert shipped("profiles") == ["flaky", "flood_prone", "home_broadband", "loopback", "multi_dc"]


def of_profile(name: str) -> Scenario:
    return load(f"profile_{name}")


@pytest.mark.parametrize(
    ("name", "trips", "rates", "connections"),
    [
        ("loopback", {1: (0, 0)}, (None, None, None, None), 64),
        ("home_broadband", {2: (40, 8), 4: (40, 8)}, (100, 20, 1.5, 10), 8),
        (
            "multi_dc",
            {1: (120, 12), 2: (25, 2.5), 3: (120, 12), 4: (25, 2.5), 5: (170, 17)},
            (300, 50, 1.5, 8),
            8,
        ),
        ("flood_prone", {2: (60, 10), 4: (60, 10)}, (100, 20, 1, 5), 4),
        ("flaky", {1: (150, 75), 2: (150, 75), 4: (150, 75)}, (30, 5, 1, 3), 8),
    ],
)
def test_the_networks_of_the_profiles(
    name: str,
    trips: dict[int, tuple[float, float]],
    rates: tuple[float | None, ...],
    connections: int,
) -> None:
    network = of_profile(name).network
    assert {dc.id: (round(dc.rtt * 1000, 6), round(dc.jitter * 1000, 6)) for dc in network.dcs} == trips
    assert network.home == (1 if name == "loopback" else 2)
    units = (125_000, 125_000, 1_000_000, 1_000_000)
    found = (network.down_rate, network.up_rate, network.connection_rate, network.account_rate)
    expected = [None if rate is None else rate * unit for rate, unit in zip(rates, units, strict=True)]
    assert list(found) == pytest.approx(expected)
    assert (network.connections, network.media_only, network.nearest, network.changes) == (connections, False, None, ())


@pytest.mark.parametrize(
    ("name", "history", "file", "export", "hashes"),
    [
        ("home_broadband", (30, 3, (5, 12)), (80, 40, (1, 3)), (10, 10 / 3600, (120, 120)), 0.9),
        ("multi_dc", (30, 3, (5, 12)), (80, 40, (1, 3)), (10, 10 / 3600, (120, 120)), 0.9),
        ("flood_prone", (30, 1, (12, 30)), (30, 10, (3, 5)), (5, 5 / 3600, (849, 849)), 0.9),
        ("flaky", (30, 2, (5, 15)), (40, 20, (2, 5)), (10, 10 / 3600, (120, 120)), 0.7),
    ],
)
def test_the_limits_of_the_profiles(name: str, history: Any, file: Any, export: Any, hashes: float) -> None:
    limits = of_profile(name).limits
    for bucket, (burst, refill, wait) in ((limits.history, history), (limits.file, file), (limits.export, export)):
        assert bucket is not None
        assert (bucket.burst, bucket.wait) == (burst, wait)
        assert bucket.refill == pytest.approx(refill)
    assert (limits.takeout, limits.premium, limits.file_hashes) == (Takeout(3.0, 0), None, hashes)


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("loopback", FAULTLESS),
        ("home_broadband", Faults(600, 0.001, stalls=0.001, reference_life=7200, salt_life=3600)),
        ("multi_dc", Faults(300, 0.002, stalls=0.002, reference_life=7200, salt_life=3600)),
        ("flood_prone", Faults(300, 0.01, stalls=0.005, reference_life=1800, salt_life=3600)),
        (
            "flaky",
            Faults(60, 0.02, stalls=0.01, short=0.001, corrupt=0.0001, reference_life=600, salt_life=120),
        ),
    ],
)
def test_the_faults_of_the_profiles(tmp_path: Path, name: str, faults: Faults) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(f'profile = "{name}"\n{DATASET}')
    assert load(path).faults == faults
    path.write_text(f'profile = "{name}"\nfaults = false\n{DATASET}')
    assert load(path).faults == FAULTLESS


def test_loopback_limits_nothing() -> None:
    assert of_profile("loopback").limits == Limits(None, None, None)


@pytest.mark.parametrize("name", ["media_home", "mixed_home", "media_multi_dc"])
def test_the_account_variant_of_a_scenario_differs_in_its_throttle_alone(name: str) -> None:
    one, other = load(name), load(f"{name}_account")
    assert one.network.account_rate is other.network.connection_rate is None
    assert one.network.connection_rate
    assert other.network.account_rate
    networks = [replace(s.network, connection_rate=None, account_rate=None) for s in (one, other)]
    same = (replace(s, name=name, network=network) for s, network in zip((one, other), networks, strict=True))
    assert len(set(same)) == 1


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_is_read_under_its_own_name(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    assert scenario.dataset.messages > scenario.dataset.file_messages


SPEED = (
    "media_multi_dc",
    "media_multi_dc_account",
    "media_home_account",
    "mixed_home_account",
    "media_throttled_connection",
    "media_throttled_account",
    "million_loopback",
    "incremental_million",
    "files_loopback",
    "transforms_repeat",
    "duplicates_home",
    "text_flood",
    "text_flood_x1_5",
    "text_flood_x1",
)


@pytest.mark.parametrize("name", SPEED)
def test_what_measures_speed_has_no_faults(name: str) -> None:
    assert load(name).faults == FAULTLESS


def test_the_variants_of_text_flood_differ_in_what_a_takeout_is_worth_alone() -> None:
    found = [load(name) for name in ("text_flood_x1", "text_flood_x1_5", "text_flood")]
    assert [scenario.limits.takeout.factor for scenario in found] == [1.0, 1.5, 3.0]
    same = {replace(s, name="", limits=replace(s.limits, takeout=Takeout())) for s in found}
    assert len(same) == 1
