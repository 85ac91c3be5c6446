"""`tobs plan`, `tobs plugins`, and the flags of `tobs export`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from tests.host.kit import breaking, by_name, plugin, witness
from tobs.cli.main import app
from tobs.cli.outcome import fail_softly
from tobs.errors import TobsError
from tobs.host.plugins import Found
from tobs.knobs import Knob
from tobs.manifest import Expectation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.labs import Served

PROMISE = Expectation("tobs.messages", "up", 0.5, 2, "text_home", ("baseline", "baseline +tea"))
TEA = plugin("tea", provides=("source",), knobs=(Knob("cups", 2, "How many.", low=1, high=9),), expects=(PROMISE,))
SALT = plugin("salt", default=False)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Found:
    """What is installed in these tests."""
    found = Found(by_name(SALT, TEA, witness("witness", "cli"), breaking("batch")), {"lemon": "it is peeled"})
    monkeypatch.setattr("tobs.host.plugins.discover", lambda: found)
    return found


def tobs(*words: object, **environment: str) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], env=environment)


def test_the_plan_shows_plugins_values_and_where_they_come_from() -> None:
    ended = tobs("plan", "--arm", "baseline +tea", "--set", "connections=8", TOBS_TEA__CUPS="3")
    assert ended.exit_code == 0
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["tea.cups", "3", "TOBS_TEA__CUPS"] in lines
    assert ["core.connections", "8", "--set", "connections=8"] in lines
    assert ["core.in_flight", "2", "default"] in lines
    assert any(line[:2] == ["Plan", "hash:"] for line in lines)
    assert "salt" not in ended.stdout


def test_the_plan_for_machines_leads_to_the_same_plan_again() -> None:
    plan = json.loads(tobs("plan", "--json", "--with", "salt", "--without", "witness").stdout)
    again = json.loads(tobs("plan", "--json", "--arm", plan["frozen"], TOBS_TEA__CUPS="7").stdout)
    assert [one["name"] for one in plan["plugins"]] == ["breaking", "salt", "tea"]
    assert again["hash"] == plan["hash"]
    assert plan["problems"] == []


def test_a_plan_with_problems_says_all_of_them_and_exits_with_2() -> None:
    ended = tobs("plan", "--json", "--with", "tee", "--set", "tea.cups=99", "--with", "lemon")
    assert ended.exit_code == 2
    assert len(json.loads(ended.stdout)["problems"]) == 3
    ended = tobs("plan", "--with", "tee")
    assert (ended.exit_code, "Did you mean tea?" in ended.stderr) == (2, True)


def test_plugins_are_listed_with_what_is_on_and_what_is_broken() -> None:
    rows = {row["name"]: row for row in json.loads(tobs("plugins", "list", "--json", TOBS_ARM="baseline +tea").stdout)}
    assert {name: row["on"] for name, row in rows.items()} == {
        "tea": True,
        "salt": False,
        "witness": False,
        "breaking": False,
        "lemon": False,
    }
    assert rows["tea"]["summary"] == "What tea is for."
    assert [(knob["name"], knob["default"]) for knob in rows["tea"]["knobs"]] == [("cups", 2)]
    assert rows["lemon"]["broken"] == "it is peeled"
    for words in (("plugins",), ("plugins", "list")):
        shown = tobs(*words).stdout
        assert "on   tea" in shown
        assert "off  salt" in shown
        assert "it is peeled" in shown


def test_one_plugin_is_shown_with_its_promise_and_knobs() -> None:
    shown = tobs("plugins", "info", "tea").stdout
    assert "tobs.messages up by 0.5 to 2 on text_home" in shown
    assert "tea.cups = 2: How many. Takes a whole number from 1 to 9." in shown
    told = json.loads(tobs("plugins", "info", "tea", "--json").stdout)
    assert (told["provides"], told["on"], told["expects"][0]["low"]) == (["source"], True, 0.5)


@pytest.mark.parametrize(("name", "said"), [("tee", "Did you mean tea?"), ("lemon", "it is peeled")])
def test_a_plugin_that_is_not_there_is_wrong_usage(name: str, said: str) -> None:
    ended = tobs("plugins", "info", name)
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_the_schema_is_one_json_value() -> None:
    assert "tea" in json.loads(tobs("plugins", "schema").stdout)["properties"]["plugins"]["properties"]


def test_export_takes_an_arm_and_singles(small: Served, tmp_path: Path) -> None:
    words = ("export", small.chat, "-o", tmp_path / "a", "--server", small.server, "--json", "--no-media")
    ended = tobs(*words, "--arm", "baseline", "--with", "witness", "--set", "witness.tag=cli")
    assert ended.exit_code == 0
    told = json.loads(ended.stdout)
    assert (told["plugins"], told["arm"]) == (["witness"], "baseline +witness witness.tag=cli")


def test_export_with_a_wrong_plan_exits_with_2_and_makes_nothing(small: Served, tmp_path: Path) -> None:
    ended = tobs("export", small.chat, "-o", tmp_path / "a", "--server", small.server, "--with", "tee", "--json")
    assert ended.exit_code == 2
    assert "no plugin is called 'tee'" in json.loads(ended.stdout)["error"]
    assert not (tmp_path / "a").exists()


def test_a_plugin_that_fails_is_named_with_the_way_out(small: Served, tmp_path: Path) -> None:
    words = ("export", small.chat, "-o", tmp_path / "a", "--server", small.server, "--json", "--no-media")
    ended = tobs(*words, "--arm", "baseline +breaking")
    assert ended.exit_code == 1
    told = json.loads(ended.stdout)
    assert told["error"] == "plugin breaking failed: ValueError: no sugar in batch"
    assert told["hint"] == "Run without it: --without breaking."
    assert tobs(*words, "--arm", "baseline +breaking", "--without", "breaking").exit_code == 0


def test_what_nobody_expected_is_called_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    def kettle(*, as_json: bool) -> None:
        raise KeyError(f"kettle {as_json}")

    def leave() -> None:
        raise typer.Exit(3)

    with pytest.raises(typer.Exit) as ended:
        fail_softly(kettle)(as_json=True)
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert ended.value.exit_code == TobsError.exit_code
    assert (told["ok"], told["error"]) == (False, "KeyError: 'kettle True'")
    assert "bug in TOBS" in told["hint"]
    assert "Traceback" in shown.err
    with pytest.raises(typer.Exit) as ended:
        fail_softly(leave)()
    assert ended.value.exit_code == 3
