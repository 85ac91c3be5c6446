from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tobs.errors import UsageError
from tobs.lab.scenario import Bucket, DataCentre, load, shipped

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
seed = 5
[dataset]
messages = 50
side_messages = 0
photos = { count = 4, total_mb = 1 }
files = { 2 = 25, 4 = 75 }
[network]
home = 4
connection_mb_per_s = 1.5
account_mb_per_s = 10
connections = 8
dc = [{ id = 2, rtt_ms = 40, jitter_ms = 8 }, { id = 4 }]
[limits.history]
burst = 30
per_second = 3
wait = [5, 12]
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_becomes_values_in_seconds_and_bytes(tmp_path: Path) -> None:
    scenario = load(write(tmp_path, GOOD))
    assert (scenario.name, scenario.seed) == ("mine", 5)
    assert scenario.network.dcs == (DataCentre(2, 0.04, 0.008), DataCentre(4, 0.0, 0.0))
    assert scenario.network.home == 4
    assert (scenario.network.connection_rate, scenario.network.account_rate) == (1_500_000, 10_000_000)
    assert scenario.limits.history == Bucket(30, 3.0, (5, 12))
    assert scenario.limits.file is None
    assert scenario.limits.export is None
    assert scenario.dataset.files == ((2, 25.0), (4, 75.0))
    assert scenario.dataset.photos.total == 1_000_000


@pytest.mark.parametrize(
    ("throttle", "connection", "account"),
    [("connection", 1_500_000, None), ("account", None, 10_000_000), ("both", 1_500_000, 10_000_000)],
)
def test_throttle_says_which_of_the_two_rates_holds(
    tmp_path: Path, throttle: str, connection: float | None, account: float | None
) -> None:
    network = load(write(tmp_path, GOOD.replace("home = 4", f'home = 4\nthrottle = "{throttle}"'))).network
    assert (network.connection_rate, network.account_rate) == (connection, account)


@pytest.mark.parametrize("name", ["demo", "text_loopback", "text_far", "media_home", "mixed_home"])
def test_the_shipped_scenarios_load_by_name(name: str) -> None:
    assert name in shipped()
    assert load(name).name == name


def test_a_path_goes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD, "demo")
    monkeypatch.chdir(tmp_path)
    assert load("demo").dataset.messages == 50


def test_scale_multiplies_messages_and_files_and_their_bytes_but_loses_none() -> None:
    whole, tenth, tiny = load("demo"), load("demo", scale=0.1), load("demo", scale=0.001)
    assert whole.dataset.messages == 10 * tenth.dataset.messages
    assert whole.dataset.photos.count == 10 * tenth.dataset.photos.count
    assert whole.dataset.photos.total == 10 * (tenth.dataset.photos.total or 0)
    assert [files.count for _, files in tiny.dataset.kinds] == [min(files.count, 1) for _, files in whole.dataset.kinds]
    assert tiny.dataset.messages > tiny.dataset.file_messages
    assert tenth.network == whole.network


def test_a_given_seed_replaces_the_files_own() -> None:
    assert load("demo", seed=99).seed == 99


MISTAKES = [
    ("messages = 50", "messages = 0", "dataset.messages", "from 1"),
    ("messages = 50", "", "dataset.messages", "missing"),
    ("messages = 50", "messages = true", "dataset.messages", "whole number"),
    ("messages = 50", "messages = 4", "dataset.messages", "at least 5"),
    ("messages = 50", "mesages = 50\nmessages = 50", "dataset.mesages", "allowed here is"),
    ("messages = 50", 'messages = 50\nkind = "group"', "dataset.kind", '"megagroup" or "broadcast"'),
    ("side_messages = 0", 'side_messages = 3\nkind = "private"', "dataset.side_messages", "0 where"),
    ("messages = 50", "messages = 50\nrich = 1.5", "dataset.rich", "from 0 to 1"),
    ("messages = 50", "messages = 50\nrich = nan", "dataset.rich", "from 0 to 1"),
    ("messages = 50", 'messages = 50\ntitle = " "', "dataset.title", "not empty"),
    ("count = 4, total_mb = 1", "count = 4, total_mb = 0.001", "dataset.photos.total_mb", "at least"),
    ("count = 4, total_mb = 1", "count = 4, sizes = 1", "dataset.photos.sizes", "allowed here is"),
    ("2 = 25", "3 = 25", "dataset.files.3", "2, 4"),
    ("2 = 25", "2 = 26", "dataset.files", "100"),
    ("home = 4", "home = 1", "network.home", "2, 4"),
    ("home = 4", 'home = 4\nthrottle = "dc"', "network.throttle", '"account"'),
    ("id = 4", "id = 2", "network.dc", "once"),
    ("id = 4", "id = 9", "network.dc[1].id", "from 1 to 5"),
    ("jitter_ms = 8", "jitter_ms = 80", "network.dc[0].jitter_ms", "at most rtt_ms"),
    ("dc = [", "dcs = [", "network.dc", "missing"),
    ("connections = 8", "connections = 0", "network.connections", "from 1"),
    ("connection_mb_per_s = 1.5", "connection_mb_per_s = 0", "network.connection_mb_per_s", "above 0"),
    ("wait = [5, 12]", "wait = [12, 5]", "limits.history.wait", "low"),
    ("wait = [5, 12]", "wait = 5", "limits.history.wait", "[low, high]"),
    ("per_second = 3", "per_second = 0", "limits.history.per_second", "above 0"),
    ("[limits.history]", "[limits.get_history]", "limits.get_history", "history, file, export"),
    ("seed = 5", "seed = -5", "seed", "from 0"),
    ("seed = 5", "limits = 3", "limits", ""),
]


@pytest.mark.parametrize(("old", "new", "key", "allowed"), MISTAKES, ids=[case[2] + case[1] for case in MISTAKES])
def test_a_mistake_names_the_file_the_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, key: str, allowed: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert caught.value.hint
    if allowed:  # else it is no TOML at all, since the table stands twice
        assert key in message
        assert allowed in message


def test_what_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for source in (binary, write(tmp_path, "= nothing"), tmp_path, "no_such_scenario"):
        with pytest.raises(UsageError) as caught:
            load(source)
        assert caught.value.hint


def test_an_unknown_name_tells_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        load("demmo")
    assert "demo" in caught.value.hint


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_must_be_a_positive_number(scale: float) -> None:
    with pytest.raises(UsageError):
        load("demo", scale=scale)
