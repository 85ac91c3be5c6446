"""Knobs: declared once, checked wherever their value comes from, refused with what they take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs.errors import UsageError
from tobs.knobs import Knob, Value, read

WHOLE = Knob("depth", 4, "How deep.", low=1, high=16, unit="pages")
REAL = Knob("pause", 1.0, "How long.", low=0, high=60)
SWITCH = Knob("fast", default=False, help="Whether to hurry.")
WORD = Knob("sync", "full", "How to sync.", choices=("full", "off"))
TEXT = Knob("label", "", "What to call it.")


@pytest.mark.parametrize(
    ("knob", "given", "value"),
    [
        (WHOLE, "8", 8),
        (WHOLE, 8, 8),
        (WHOLE, 8.0, 8),
        (WHOLE, " 8 ", 8),
        (WHOLE, 1, 1),
        (WHOLE, 16, 16),
        (REAL, "0.5", 0.5),
        (REAL, 2, 2.0),
        (REAL, 0, 0.0),
        (SWITCH, True, True),
        (SWITCH, "yes", True),
        (SWITCH, "ON", True),
        (SWITCH, "1", True),
        (SWITCH, "off", False),
        (SWITCH, 0, False),
        (WORD, "off", "off"),
        (TEXT, "anything at all", "anything at all"),
    ],
)
def test_a_value_gets_its_knob_s_type(knob: Knob, given: object, value: Value) -> None:
    parsed = knob.parse(given, where="here")
    assert parsed == value
    assert type(parsed) is type(knob.default)


WRONG: list[tuple[Knob, list[object]]] = [
    (WHOLE, [0, 17, 1.5, "1.5", "many", "", None, True, [], "inf", "nan", "1e400", 10**400]),
    (REAL, [-0.1, 60.1, "soon", "nan", "inf", float("nan"), None, False, {}]),
    (SWITCH, ["maybe", 2, "", None]),
    (WORD, ["FULL", "", 1, None, True]),
    (TEXT, [1, None, True, []]),
]


@pytest.mark.parametrize(("knob", "given"), [(knob, given) for knob, all_wrong in WRONG for given in all_wrong])
def test_what_a_knob_does_not_take_is_refused_with_what_it_takes(knob: Knob, given: object) -> None:
    with pytest.raises(UsageError) as raised:
        knob.parse(given, where="--set x")
    assert str(raised.value).startswith(f"--set x: {knob.name} = ")
    assert knob.takes() in str(raised.value)
    assert knob.help in raised.value.hint
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("knob", "words"),
    [
        (WHOLE, "a whole number from 1 to 16 (pages)"),
        (REAL, "a number from 0 to 60"),
        (SWITCH, "true or false"),
        (WORD, "one of full, off"),
        (TEXT, "text"),
        (Knob("x", 1, "", low=3), "a whole number of at least 3"),
        (Knob("x", 1.5, "", high=3, unit="s"), "a number of at most 3 (s)"),
    ],
)
def test_what_a_knob_takes_in_words(knob: Knob, words: str) -> None:
    assert knob.takes() == words


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none(), st.lists(st.integers())))
def test_whatever_is_given_is_a_value_in_bounds_or_a_usage_error(given: Any) -> None:
    for knob in (WHOLE, REAL, SWITCH, WORD, TEXT):
        try:
            value = knob.parse(given, where="here")
        except UsageError:
            continue
        assert type(value) is type(knob.default)
        if isinstance(value, int | float) and knob.low is not None and knob.high is not None:
            assert knob.low <= value <= knob.high
        assert knob.parse(value, where="here") == value


def test_a_table_is_read_with_defaults_for_the_rest() -> None:
    assert read([WHOLE, REAL, WORD], {"depth": "2"}, where="a file") == {"depth": 2, "pause": 1.0, "sync": "full"}


def test_a_name_nobody_declared_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="a file: no knob is called 'deep'") as raised:
        read([WHOLE, REAL], {"deep": 2}, where="a file")
    assert raised.value.hint == "Known: depth, pause."
