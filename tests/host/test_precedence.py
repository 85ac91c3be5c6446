"""Defaults < settings file < environment < --profile < --arm < --with, --without and --set."""

# ruff: noqa: FBT003 - a knob may be a switch

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.host.kit import by_name, plugin
from tobs.errors import UsageError
from tobs.host.resolve import Plan, resolve
from tobs.host.settings import load
from tobs.knobs import Knob

if TYPE_CHECKING:
    from pathlib import Path

CUPS = Knob("cups", 1, "How many.", low=1, high=9)
PLUGINS = by_name(
    plugin("tea", knobs=(CUPS,)),
    plugin("milk", knobs=(Knob("warm", False, "Warmed."),)),
    plugin("salt", knobs=(CUPS,), default=False),
)


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles of these tests lie in their own folder."""
    monkeypatch.setenv("TOBS_CONFIG_DIR", str(tmp_path / "config"))


def planned(
    tmp_path: Path, toml: str = "", environment: dict[str, str] | None = None, held: str = "", **command: Any
) -> Plan:
    """The plan of a settings file, an environment, the text of the profile `home`, and a command line."""
    file = tmp_path / "config.toml"
    file.write_text(toml, encoding="utf-8")
    if held:
        (tmp_path / "config" / "profiles").mkdir(parents=True, exist_ok=True)
        (tmp_path / "config" / "profiles" / "home.toml").write_text(held, encoding="utf-8")
        command["profile"] = "home"
    return resolve(PLUGINS, load(file, environment=environment or {}, check=False, **command).wanted)


LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("config.toml", {"toml": "[plugins.tea]\ncups = 2\n[core]\nconnections = 2\n"}),
    (
        "config.toml: arm",
        {"toml": 'arm = "default tea.cups=3 connections=3"\n[plugins.tea]\ncups = 2\n[core]\nconnections = 2\n'},
    ),
    ("TOBS_", {"environment": {"TOBS_TEA__CUPS": "4", "TOBS_CORE__CONNECTIONS": "4"}}),
    (
        "TOBS_ARM",
        {
            "environment": {
                "TOBS_ARM": "default tea.cups=5 connections=5",
                "TOBS_TEA__CUPS": "4",
                "TOBS_CORE__CONNECTIONS": "4",
            }
        },
    ),
    ("profile home", {"held": 'arm = "default"\n[plugins.tea]\ncups = 6\n[core]\nconnections = 6\n'}),
    ("--arm", {"arm": "default tea.cups=7 connections=7"}),
    ("--set", {"sets": ["tea.cups=8", "connections=8"]}),
]


@pytest.mark.parametrize("last", range(len(LAYERS) + 1))
def test_of_all_layers_the_last_wins_and_is_named(tmp_path: Path, last: int) -> None:
    given: dict[str, Any] = {}
    for _, layer in LAYERS[:last]:
        given |= layer
    plan = planned(tmp_path, **given)

    assert plan.problems == ()
    for chosen, value in ((plan.knobs["tea"]["cups"], last + 1), (plan.knobs["core"]["connections"], last + 1)):
        if last:
            assert (chosen.value, LAYERS[last - 1][0] in chosen.origin) == (value, True)
        else:
            assert chosen.origin == "default"
    assert plan.knobs["core"]["in_flight"].origin == "default"


def test_without_any_setting_the_default_set_is_on(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert (plan.arm, plan.plugins) == ("default", ("milk", "tea"))


def test_the_file_may_choose_an_arm_and_change_it(tmp_path: Path) -> None:
    plan = planned(tmp_path, 'arm = "baseline +tea"\n[plugins]\non = ["salt"]\noff = ["tea"]\n')
    assert plan.plugins == ("salt",)
    assert "plugins.on" in plan.origins["salt"]


def test_a_later_arm_replaces_the_whole_choice_and_the_earlier_arm_s_settings(tmp_path: Path) -> None:
    file = 'arm = "all tea.cups=3"\n[plugins]\non = ["salt"]\n'
    plan = planned(tmp_path, file, {"TOBS_ARM": "all -tea milk.warm=true"}, arm="baseline +tea")
    assert plan.plugins == ("tea",)
    assert plan.knobs["tea"]["cups"].value == 1


def test_a_profile_replaces_the_choice_of_plugins_of_file_and_environment(tmp_path: Path) -> None:
    held = 'arm = "baseline +tea"\n[plugins.tea]\ncups = 4\n'
    plan = planned(tmp_path, '[plugins]\non = ["salt"]\n', {"TOBS_ARM": "all tea.cups=9"}, held=held)
    assert plan.plugins == ("tea",)
    assert (plan.knobs["tea"]["cups"].value, plan.knobs["tea"]["cups"].origin) == (4, "profile home")
    assert plan.origins["tea"] == "profile home: arm +tea"
    assert planned(tmp_path, held=held, off=["tea"]).plugins == ()
    assert planned(tmp_path, held=held, arm="baseline").problems == (), "its values wait while their plugin is off"


def test_what_a_profile_does_not_say_is_left_to_the_places_before_it(tmp_path: Path) -> None:
    held = 'arm = "baseline +tea"\n[core]\nin_flight = 3\n'
    core = planned(tmp_path, "[core]\ndeadline = 7\nin_flight = 9\n", {"TOBS_CORE__RETRIES": "2"}, held=held).knobs[
        "core"
    ]
    assert (core["deadline"].value, core["retries"].value, core["in_flight"].value) == (7, 2, 3)


def test_with_and_without_change_whatever_arm_there_is(tmp_path: Path) -> None:
    plan = planned(tmp_path, "", {"TOBS_ARM": "all"}, on=["salt"], off=["milk"])
    assert plan.plugins == ("salt", "tea")
    assert plan.origins == {"salt": "--with salt", "tea": "TOBS_ARM all"}


def test_a_plugin_both_with_and_without_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tea: both --with and --without"):
        planned(tmp_path, on=["tea"], off=["tea"])


def test_standing_settings_of_a_plugin_that_is_off_wait_but_are_checked(tmp_path: Path) -> None:
    assert planned(tmp_path, "[plugins.salt]\ncups = 2\n").problems == ()
    assert planned(tmp_path, "", {"TOBS_SALT__CUPS": "3"}).problems == ()
    (problem,) = planned(tmp_path, "[plugins.salt]\ncups = 99\n").problems
    assert "config.toml: cups = 99" in problem.text


def test_a_setting_of_this_run_for_a_plugin_that_is_off_is_a_problem(tmp_path: Path) -> None:
    (problem,) = planned(tmp_path, sets=["salt.cups=2"]).problems
    assert "salt is off" in problem.text
    assert "--with salt" in problem.remedy


@pytest.mark.parametrize(
    "toml",
    [
        "arm = 3",
        'arm = "tea"',
        "plugins = 3",
        "[plugins]\non = 'tea'",
        "[plugins]\noff = [1]",
        "[plugins]\ntea = 3",
        "core = 3",
        "cups = 3",
    ],
)
def test_a_file_of_the_wrong_shape_is_refused_by_its_name(tmp_path: Path, toml: str) -> None:
    with pytest.raises(UsageError, match=r"config\.toml"):
        planned(tmp_path, toml)


def test_wrong_core_values_are_refused_together_unless_the_plan_is_to_tell() -> None:
    sets = ["connections=99", "part_kb=300", "conections=1"]
    with pytest.raises(UsageError) as refused:
        load(sets=sets, environment={})
    assert all(word in str(refused.value) for word in ("3 things", "'99'", "300", "Did you mean connections?"))
    assert load(sets=sets, environment={}, check=False).core["connections"].value == 4
