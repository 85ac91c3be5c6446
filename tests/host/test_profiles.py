"""Profiles: settings under a name, whole, without secrets, and never overwritten by mistake."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.host.kit import by_name, plugin
from tobs.cli.main import app
from tobs.errors import TobsError, UsageError
from tobs.host import profiles, settings
from tobs.host.arm import parse_arm
from tobs.host.plugins import Found
from tobs.host.profile_file import origin_lines, save
from tobs.host.resolve import Plan, resolve
from tobs.knobs import Knob

if TYPE_CHECKING:
    from pathlib import Path

TEA = plugin(
    "tea",
    knobs=(
        Knob("cups", 2, "How many.", low=1, high=9),
        Knob("kind", "green", "Which.", choices=("green", "black")),
        Knob("sugar", 1, "Not to be tuned.", low=0, high=9, tune=False),
    ),
)
PLUGINS = by_name(TEA, plugin("salt", default=False))
FACTS: dict[str, Any] = {"date": "2026-01-01", "verdict": "wall x1.2", "ratio": 1.2, "versions": {"tobs": "0.1"}}
SECRET = "0123456789abcdef"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where these profiles lie; the plugins are those of this file."""
    monkeypatch.setenv("TOBS_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr("tobs.host.plugins.discover", lambda: Found(dict(PLUGINS)))
    return tmp_path / "config" / "profiles"


def plan_of(arm: str) -> Plan:
    return resolve(PLUGINS, parse_arm(arm)).require()


def tobs(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def told(*words: object) -> Any:
    ended = tobs(*words, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


@pytest.mark.parametrize("name", ["home", "home-fibre_2", "9", "a" * 64])
def test_names_that_are_file_names_everywhere(name: str, place: Path) -> None:
    assert save(name, plan_of("baseline"), {}) == place / f"{name}.toml"
    assert profiles.names() == [name]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "A", "a.b", "a b", "-a", "con", "lpt1", "a" * 65, "ä", "a\n", "a:b"]
)
def test_other_names_are_refused(name: str, place: Path) -> None:
    with pytest.raises(UsageError, match="is no name for a profile"):
        save(name, plan_of("baseline"), {})
    assert not place.exists()


def test_a_profile_leads_to_the_plan_it_was_made_of() -> None:
    plan = plan_of("default tea.kind=black tea.sugar=3 connections=7 retries=2")
    save("home", plan, FACTS)
    assert resolve(PLUGINS, settings.of_profile("home").wanted).hash == plan.hash
    assert profiles.origin("home") == FACTS


def test_what_can_be_tuned_is_written_at_its_default_too(place: Path) -> None:
    save("home", plan_of("baseline +tea retries=2"), FACTS)
    written = tomllib.loads((place / "home.toml").read_text())
    assert written["plugins"]["tea"] == {"cups": 2, "kind": "green"}
    assert written["core"]["connections"] == 4
    assert written["core"]["retries"] == 2
    assert "deadline" not in written["core"], "what is not tuned stays the user's own"


@given(
    facts=st.dictionaries(
        st.text(min_size=1),
        st.one_of(
            st.text(),
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.lists(st.text()),
            st.dictionaries(st.text(min_size=1), st.text()),
        ),
    )
)
def test_any_origin_is_read_as_it_was_written(facts: dict[str, Any]) -> None:
    assert tomllib.loads("\n".join(origin_lines(facts)))["profile"] == facts


def test_a_name_that_is_taken_is_taken(place: Path) -> None:
    save("home", plan_of("baseline"), FACTS)
    before = (place / "home.toml").read_text()
    with pytest.raises(UsageError, match="there is a profile 'home' already"):
        save("home", plan_of("all"), {})
    assert (place / "home.toml").read_text() == before
    save("home", plan_of("all"), {}, replace=True)
    assert profiles.origin("home") == {}
    assert [file.name for file in place.iterdir()] == ["home.toml"]


def test_a_folder_that_cannot_be_written_is_said_to_be_one(place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.write_text("a file")
    with pytest.raises(TobsError, match="cannot be written"):
        save("home", plan_of("baseline"), {})


def test_the_commands_keep_list_show_and_remove(tmp_path: Path, place: Path) -> None:
    assert "No profile yet" in tobs("profiles").stdout
    file = tmp_path / "best.toml"
    file.write_text(
        'arm = "baseline +tea"\n[plugins.tea]\ncups = 5\n[profile]\nverdict = "wall x1.3"\ndate = "2026-01-02"\n'
    )
    assert told("profiles", "add", "home", file)["file"] == str(place / "home.toml")
    (row,) = told("profiles", "list")
    assert (row["name"], row["origin"]["verdict"]) == ("home", "wall x1.3")
    assert "home  2026-01-02  wall x1.3" in tobs("profiles").stdout
    shown = told("profiles", "show", "home")
    assert shown["plugins"] == ["tea"]
    assert shown["knobs"]["tea"]["cups"] == 5
    assert shown["hash"] == plan_of(shown["arm"]).hash
    assert "cups = 5" in tobs("profiles", "show", "home").stdout
    assert tobs("profiles", "add", "home", file).exit_code == 2
    assert tobs("profiles", "add", "home", file, "--replace").exit_code == 0
    assert tobs("profiles", "remove", "home").exit_code == 0
    assert told("profiles", "list") == []
    for words in (("show", "home"), ("remove", "home"), ("add", "other", tmp_path / "nowhere.toml")):
        assert tobs("profiles", *words).exit_code == 2


def test_the_plan_says_what_came_from_the_profile(tmp_path: Path) -> None:
    save("home", plan_of("baseline +tea tea.cups=5"), FACTS)
    plan = told("plan", "--profile", "home", "--set", "in_flight=3")
    assert plan["knobs"]["tea"]["cups"] == {"value": 5, "origin": "profile home"}
    assert plan["knobs"]["core"]["in_flight"] == {"value": 3, "origin": "--set in_flight=3"}
    assert plan["knobs"]["core"]["deadline"]["origin"] == "default"
    assert plan["plugins"] == [{"name": "tea", "origin": "profile home: arm +tea"}]
    for command in (("plan",), ("export", "me", "-o", tmp_path / "a")):
        ended = tobs(*command, "--profile", "hime")
        assert ended.exit_code == 2
        assert "there is no profile 'hime'" in ended.stderr
        assert "Known: home." in ended.stderr


def test_accounts_and_keys_of_a_settings_file_stay_out_of_a_profile(tmp_path: Path, place: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'api_id = 7\napi_hash = "{SECRET}"\naccount = "work"\n[core]\nconnections = 5\n')
    told("profiles", "add", "mine", file)
    text = (place / "mine.toml").read_text()
    assert "connections = 5" in text
    assert not any(word in text for word in (SECRET, "api_id", "account ="))
    assert profiles.origin("mine")["from"] == str(file)


def test_a_profile_with_an_account_in_it_is_refused(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "home.toml").write_text(f'api_hash = "{SECRET}"\n')
    ended = tobs("plan", "--profile", "home")
    assert ended.exit_code == 2
    assert "'api_hash' is no setting of a profile" in ended.stderr
    assert SECRET not in ended.output


def test_a_profile_that_names_a_plugin_which_is_not_here_says_so(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "home.toml").write_text('arm = "baseline +coffee"\n')
    ended = tobs("plan", "--profile", "home")
    assert ended.exit_code == 2
    assert "profile home: arm +coffee: no plugin is called 'coffee'" in ended.stderr


def test_a_settings_file_cannot_name_a_profile(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('profile = "home"\n')
    with pytest.raises(UsageError) as refused:
        settings.load(file, environment={})
    assert "--profile NAME" in refused.value.hint
