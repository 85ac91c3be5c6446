"""Profiles and faults as they are read: what a scenario takes from its profile, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tobs.errors import UsageError
from tobs.lab.faults import FAULTLESS, Faults, Outage
from tobs.lab.scenario import Bucket, Change, Premium, Takeout, load

if TYPE_CHECKING:
    from pathlib import Path

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
