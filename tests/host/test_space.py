"""Search space and schema come from the declarations."""

# ruff: noqa: FBT003 - a knob may be a switch

from __future__ import annotations

from tests.host.kit import by_name, planned, plugin
from tobs.host.settings import CORE
from tobs.host.space import PARTS, Dimension, schema, space
from tobs.knobs import Knob

TEA = plugin(
    "tea",
    knobs=(
        Knob("cups", 2, "How many.", low=1, high=64, log=True, unit="cups"),
        Knob("warmth", 0.5, "How warm.", low=0, high=1),
        Knob("milk", True, "With milk."),
        Knob("kind", "green", "Which.", choices=("green", "black")),
        Knob("steered", 1, "Found out within the run.", low=1, high=2, tune=False),
        Knob("shares", "", "Anything."),
        Knob("endless", 1, "Has no end.", low=1),
    ),
)


def test_the_space_has_core_s_knobs_and_those_of_plugins_that_are_on() -> None:
    found = {one.name: one for one in space(planned([TEA]))}
    assert [one for one in found.values() if one.name.startswith("tea.")] == [
        Dimension("tea.cups", "int", 2, 1, 64, log=True),
        Dimension("tea.warmth", "float", 0.5, 0, 1),
        Dimension("tea.milk", "choice", True, choices=(False, True)),
        Dimension("tea.kind", "choice", "green", choices=("green", "black")),
    ]
    assert {name.removeprefix("core.") for name in found if name.startswith("core.")} == {
        knob.name for knob in CORE if knob.tune
    }
    assert [one.name for one in space(planned([TEA], "baseline"))] == [name for name in found if "core." in name]


def test_every_point_of_the_space_that_core_is_given_is_a_plan_without_problems() -> None:
    (part,) = (one for one in space(planned([])) if one.name == "core.part_kb")
    assert part.choices == PARTS
    for dimension in space(planned([TEA])):
        ends = dimension.choices or (dimension.low, dimension.high)
        for value in (*ends, dimension.default):
            assert planned([TEA], f"all {dimension.name}={value}").problems == ()


def test_the_schema_knows_every_setting() -> None:
    made = schema(by_name(TEA))
    properties = made["properties"]
    assert set(properties) == {"api_id", "api_hash", "account", "arm", "core", "plugins", "profile"}
    assert list(properties["core"]["properties"]) == [knob.name for knob in CORE]
    tea = properties["plugins"]["properties"]["tea"]["properties"]
    assert tea["cups"] == {
        "type": "integer",
        "default": 2,
        "description": "How many. In cups.",
        "minimum": 1,
        "maximum": 64,
    }
    assert tea["kind"]["enum"] == ["green", "black"]
    assert tea["milk"]["type"] == "boolean"
    assert properties["plugins"]["properties"]["on"]["items"] == {"enum": ["tea"]}
