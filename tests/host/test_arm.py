"""An arm is a word and its changes."""

# ruff: noqa: FBT003 - a knob may be a switch

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs.errors import UsageError
from tobs.host.arm import NAME, WORDS, Arm, Setting, Toggle, parse_arm, parse_setting

names = st.from_regex(NAME, fullmatch=True)
values = st.one_of(st.booleans(), st.integers(), st.text(st.characters(codec="ascii", exclude_categories=["C"])))


def test_a_word_alone() -> None:
    assert [(parse_arm(word).word, parse_arm(word).toggles) for word in WORDS] == [(word, ()) for word in WORDS]


def test_changes_are_read_in_their_order() -> None:
    arm = parse_arm("default +tea -milk tea.cups=2 connections=8 core.deadline=5", origin="--arm")
    assert arm.toggles == (Toggle("tea", True, "--arm +tea"), Toggle("milk", False, "--arm -milk"))
    assert [(one.owner, one.knob, one.value) for one in arm.settings] == [
        ("tea", "cups", "2"),
        ("core", "connections", "8"),
        ("core", "deadline", "5"),
    ]


def test_a_value_may_be_quoted() -> None:
    (setting,) = parse_arm("all 'tea.kinds=green, black=2'").settings
    assert (setting.knob, setting.value) == ("kinds", "green, black=2")


@pytest.mark.parametrize("text", ["", "tea", "+tea", "all tea", "all ++tea", "all +Tea", "all -", "all =3", "all 'a"])
def test_what_is_no_arm_is_refused_with_the_way_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_arm(text, origin="TOBS_ARM")
    assert "TOBS_ARM" in str(refused.value)
    assert refused.value.hint


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(UsageError, match="--set tea: write KNOB=VALUE"):
        parse_setting("tea", origin="--set tea")


@given(
    st.sampled_from(list(WORDS.values())),
    st.lists(st.builds(Toggle, names, st.booleans(), st.just("here"))),
    st.lists(st.builds(Setting, names, names, values, st.just("here"))),
)
def test_its_text_leads_back_to_an_equal_arm(word: str, toggles: list[Toggle], settings: list[Setting]) -> None:
    arm = Arm(WORDS[word], "here", tuple(toggles), tuple(settings))
    read = parse_arm(arm.text)

    assert read.text == arm.text
    assert {one.plugin: one.on for one in read.toggles} == {one.plugin: one.on for one in toggles}
    assert len(read.settings) == len({(one.owner, one.knob) for one in settings})


def test_of_two_changes_the_last_counts() -> None:
    assert parse_arm("all +tea -tea tea.cups=1 tea.cups=2").text == "all -tea tea.cups=2"
