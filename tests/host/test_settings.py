"""Settings: default, file, environment, command line; the last one wins, and a wrong one is named with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tobs.engine.graph import CoreSettings
from tobs.errors import UsageError
from tobs.host.settings import CORE, load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def test_without_any_settings_the_defaults_hold() -> None:
    settings = load(environment={})
    assert {name: chosen.value for name, chosen in settings.core.items()} == {knob.name: knob.default for knob in CORE}
    assert {chosen.origin for chosen in settings.core.values()} == {"default"}
    assert (settings.api_id, settings.api_hash, settings.account) == (None, None, None)


def test_the_declared_defaults_are_the_engine_s_own() -> None:
    engine, bare = load(environment={}).engine(), CoreSettings()
    assert (engine.pool, engine.retries, engine.retry_pause) == (bare.pool, bare.retries, bare.retry_pause)
    assert (engine.history_budget, engine.media_budget) == (bare.history_budget, bare.media_budget)


def test_every_default_is_a_value_its_knob_takes() -> None:
    for knob in CORE:
        assert knob.parse(knob.default, where="its declaration") == knob.default
        assert knob.help.endswith(".")


def test_the_last_layer_wins_and_says_so(file: Path) -> None:
    file.write_text("[core]\nconnections = 1\nin_flight = 1\ndeadline = 10\n")
    environment = {"TOBS_CORE__IN_FLIGHT": "3", "TOBS_CORE__DEADLINE": "11"}
    core = load(file, ["deadline=12.5"], environment).core
    assert (core["connections"].value, core["connections"].origin) == (1, str(file))
    assert (core["in_flight"].value, core["in_flight"].origin) == (3, "TOBS_CORE__IN_FLIGHT")
    assert (core["deadline"].value, core["deadline"].origin) == (12.5, "--set deadline=12.5")


def test_knobs_reach_the_engine_in_its_units() -> None:
    sets = ["part_kb=128", "core.connections=7", "media_budget_mb=2", "history_budget_mb = 1", "retries=0"]
    engine = load(sets=sets, environment={}).engine()
    assert (engine.pool.part, engine.pool.connections, engine.retries) == (131_072, 7, 0)
    assert (engine.media_budget, engine.history_budget) == (2_000_000, 1_000_000)


def test_the_environment_may_name_the_file(file: Path) -> None:
    file.write_text('api_id = 7\napi_hash = "hash"\naccount = "work"\n')
    settings = load(environment={"TOBS_CONFIG": str(file)})
    assert (settings.api_id, settings.api_hash, settings.account) == (7, "hash", "work")


def test_variables_go_before_the_file(file: Path) -> None:
    file.write_text('api_id = 7\napi_hash = "hash"\naccount = "work"\n')
    settings = load(file, environment={"TOBS_API_ID": "8", "TOBS_API_HASH": "other", "TOBS_ACCOUNT": "home"})
    assert (settings.api_id, settings.api_hash, settings.account) == (8, "other", "home")


def test_a_secret_is_not_printed() -> None:
    assert "hush" not in repr(load(environment={"TOBS_API_HASH": "hush"}))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("connections = ", "not valid TOML"),
        ("\xff", "not valid TOML"),
        ("speed = 3", "'speed' is no setting"),
        ("core = 3", "core is a table"),
        ("[core]\nspeed = 3", "no knob is called 'speed'"),
        ("[core]\nconnections = 0", "connections = 0 is not a whole number from 1 to 16"),
        ("[core]\nconnections = true", "connections = True"),
        ("[core]\npart_kb = 100", "part_kb = 100 does not divide 1024"),
        ('api_id = "mine"', "api_id is a whole number"),
        ("api_id = true", "api_id is a whole number"),
        ("api_id = -1", "api_id is a whole number"),
        ('api_id = "²"', "api_id is a whole number"),
        ("api_hash = 7", "api_hash is text"),
        ("account = []", "account is text"),
    ],
)
def test_a_wrong_file_is_refused_by_name(file: Path, text: str, names: str) -> None:
    file.write_bytes(text.encode("latin-1" if text == "\xff" else "utf-8"))
    with pytest.raises(UsageError) as raised:
        load(file, environment={})
    assert names in str(raised.value)
    assert str(file) in str(raised.value)


def test_a_file_that_was_named_must_be_there(file: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load(file, environment={})
    with pytest.raises(UsageError, match="does not exist"):
        load(environment={"TOBS_CONFIG": str(file)})


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the settings file"):
        load(tmp_path, environment={})


@pytest.mark.parametrize(
    ("sets", "environment", "names"),
    [
        (["connections"], {}, "--set connections"),
        (["connections=99"], {}, "--set connections=99: connections = '99'"),
        (["core.speed=1"], {}, "--set core.speed=1: no knob is called 'speed'"),
        (["part_kb=12"], {}, "--set part_kb=12: part_kb = 12 does not divide 1024"),
        ([], {"TOBS_CORE__SPEED": "1"}, "TOBS_CORE__SPEED: no knob is called 'speed'"),
        ([], {"TOBS_CORE__RETRIES": "x"}, "TOBS_CORE__RETRIES: retries = 'x'"),
        ([], {"TOBS_API_ID": "x"}, "api_id is a whole number"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_place(sets: list[str], environment: dict[str, str], names: str) -> None:
    with pytest.raises(UsageError) as raised:
        load(sets=sets, environment=environment)
    assert names in str(raised.value)
    assert raised.value.hint
