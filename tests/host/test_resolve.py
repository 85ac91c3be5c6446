"""From manifests and an arm to a plan, with all that is wrong said at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.host.kit import by_name, planned, plugin
from tobs.errors import UsageError
from tobs.host.arm import parse_arm
from tobs.host.resolve import resolve
from tobs.knobs import Knob

if TYPE_CHECKING:
    from tobs.manifest import Manifest

CUPS = Knob("cups", 1, "How many.", low=1, high=9)
SHOP = (
    plugin("tea", knobs=(CUPS, Knob("kind", "green", "Which.", choices=("green", "black")))),
    plugin("milk"),
    plugin("salt", default=False),
)


def test_words_name_sets() -> None:
    assert [planned(SHOP, word).plugins for word in ("baseline", "default", "all")] == [
        (),
        ("milk", "tea"),
        ("milk", "salt", "tea"),
    ]


def test_the_baseline_has_core_s_knobs_and_nothing_else() -> None:
    plan = planned(SHOP, "baseline connections=8")
    assert list(plan.knobs) == ["core"]
    assert plan.values("core")["connections"] == 8


def test_all_problems_are_reported_at_once_each_with_a_remedy() -> None:
    shop = [
        *SHOP,
        plugin("one", provides=("agenda",), conflicts=("two",)),
        plugin("two", provides=("agenda",), needs=("sugar",)),
        plugin("three", requires=("salt", "nowhere")),
        plugin("sweet", provides=("sugar",), default=False),
    ]
    plan = planned(shop, "default +teaa tea.cups=99 tea.cupz=1 tea.kind=mint core.nope=1 moon.x=1")
    said = {problem.text: problem.remedy for problem in plan.problems}

    for text, remedy in {
        "no plugin is called 'teaa'": "Did you mean tea?",
        "cups = '99' is not a whole number from 1 to 9": "How many.",
        "plugin tea has no knob 'cupz'": "Did you mean cups?",
        "kind = 'mint' is not one of green, black": "Which.",
        "no knob is called 'nope'": "Known: connections",
        "no plugin is called 'moon'": "Known: milk",
        "one and two each provide the slot agenda": "--without one or --without two",
        "one and two exclude each other": "--without one or --without two",
        "two needs sugar, which nothing provides": "--with sweet, or --without two",
        "three requires salt, which is off": "--with salt, or --without three",
        "three requires nowhere, which is off": "install nowhere",
    }.items():
        (found,) = (said[key] for key in said if text in key)
        assert remedy in found
    assert len(said) == 11
    with pytest.raises(UsageError, match="11 things are wrong"):
        plan.require()


def test_one_problem_is_raised_with_its_remedy_as_the_hint() -> None:
    with pytest.raises(UsageError, match="no plugin is called 'teh'") as refused:
        planned(SHOP, "baseline +teh").require()
    assert "Did you mean tea?" in refused.value.hint


def test_a_need_is_met_by_a_plugin_that_is_on_or_by_itself() -> None:
    shop = [plugin("a", needs=("sugar",)), plugin("b", provides=("sugar",)), plugin("c", needs=("x",), provides=("x",))]
    plan = planned(shop)
    assert (plan.problems, plan.plugins) == ((), ("b", "a", "c"))


def test_a_circle_is_named_and_what_is_outside_of_it_is_still_ordered() -> None:
    shop = [
        plugin("a", requires=("b",)),
        plugin("b", needs=("sugar",)),
        plugin("c", provides=("sugar",), requires=("a",)),
        plugin("d", requires=("c",)),
        plugin("y", requires=("z",)),
        plugin("z", requires=("y",)),
    ]
    plan = planned(shop)
    assert [problem.text.rpartition(": ")[2] for problem in plan.problems] == ["a → b → c → a", "y → z → y"]
    assert sorted(plan.plugins) == ["a", "b", "c", "d", "y", "z"]


def test_a_broken_plugin_says_why_when_it_is_asked_for_and_only_then() -> None:
    assert planned(SHOP, "all -lemon", broken={"lemon": "peeled"}).problems == ()
    (problem,) = planned(SHOP, "all +lemon", broken={"lemon": "peeled"}).problems
    assert "lemon is installed but broken: peeled" in problem.text


def test_switching_off_what_is_off_is_no_problem() -> None:
    assert planned(SHOP, "default -salt -tea -tea").plugins == ("milk",)


letters = st.sampled_from("abcdefgh")


@given(st.dictionaries(letters, st.frozensets(letters)), st.randoms(use_true_random=False))
def test_what_is_stood_upon_comes_first_however_the_plugins_are_listed(
    requires: dict[str, frozenset[str]], random: st.DataObject
) -> None:
    shop = [plugin(name, requires=tuple(sorted(names & requires.keys()))) for name, names in requires.items()]
    plan = planned(shop)
    random.shuffle(shop)  # type: ignore[attr-defined]
    again = planned(shop)

    assert (again.plugins, again.hash, again.problems) == (plan.plugins, plan.hash, plan.problems)
    assert sorted(plan.plugins) == sorted(requires)
    place = {name: number for number, name in enumerate(plan.plugins)}
    late = [
        (name, other)
        for name, names in requires.items()
        for other in names & requires.keys()
        if place[other] >= place[name]
    ]
    assert bool(late) == bool(plan.problems)


@given(st.sets(st.sampled_from(["tea", "milk", "salt"])), st.integers(1, 9), st.integers(1, 16))
def test_a_frozen_arm_leads_to_the_same_plan_whatever_the_settings(names: set[str], cups: int, lanes: int) -> None:
    text = " ".join(["baseline", *(f"+{name}" for name in sorted(names)), f"connections={lanes}"])
    plan = planned(SHOP, text + (f" tea.cups={cups}" if "tea" in names else ""))
    again = resolve(by_name(*SHOP), parse_arm(plan.frozen))

    assert again.problems == plan.problems == ()
    assert (again.hash, again.plugins) == (plan.hash, plan.plugins)
    assert {owner: again.values(owner) for owner in again.knobs} == {owner: plan.values(owner) for owner in plan.knobs}


def test_the_hash_tells_plugins_and_values_apart_and_nothing_else() -> None:
    plans = [
        planned(SHOP, arm) for arm in ("baseline", "default", "all", "default tea.cups=2", "default connections=1")
    ]
    assert len({plan.hash for plan in plans}) == len(plans)
    same = ["default", "all -salt", "baseline +milk +tea", "default tea.cups=1 connections=4"]
    assert len({planned(SHOP, arm).hash for arm in same}) == 1


def test_resolving_changes_nothing_it_was_given() -> None:
    shop: dict[str, Manifest] = by_name(*SHOP)
    before = dict(shop)
    resolve(shop, parse_arm("all +nope"))
    assert shop == before
