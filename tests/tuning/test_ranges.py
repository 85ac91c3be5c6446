"""A search begins near its start and widens where the best lies at an edge; never beyond what a knob declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tuning.synthetic import DIMENSIONS, START
from tobs.errors import UsageError
from tobs.host.space import Dimension
from tobs.tuning.ranges import Range, begin, fingerprint, only, widen

if TYPE_CHECKING:
    from tobs.knobs import Value


def around(start: Value, **more: object) -> Range:
    """The range of one knob that is declared from 1 to 10,000, unless said otherwise."""
    facts = {"name": "a.knob", "kind": "int", "default": 100, "low": 1, "high": 10_000, "log": True, **more}
    (found,) = begin([Dimension(**facts)], {"a.knob": start})  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("start", "more", "bounds"),
    [
        (100, {}, (6, 1600)),
        (1, {}, (1, 16)),
        (9_000, {}, (562, 10_000)),
        (0, {"low": 0, "high": 64, "log": False}, (0, 64)),
        (4, {"low": 0, "high": 1_000_000, "log": False}, (0, 64)),
        (30.0, {"kind": "float", "low": 1, "high": 600, "log": False}, (1.875, 480.0)),
    ],
)
def test_numbers_are_searched_around_their_start(
    start: Value, more: dict[str, object], bounds: tuple[float, float]
) -> None:
    found = around(start, **more)
    assert (found.low, found.high) == bounds
    assert found.holds(start)


def test_a_start_that_is_no_choice_becomes_one() -> None:
    found = around(32, kind="choice", low=None, high=None, log=False, choices=(64, 128))
    assert found.choices == (64, 128, 32)
    assert found.holds(32)
    assert not found.holds(33)


def test_a_range_widens_where_the_best_lies_at_its_edge() -> None:
    ranges = [around(100)]
    assert widen(ranges, [{"a.knob": 100}]) == (ranges[0],)
    (higher,) = widen(ranges, [{"a.knob": 1500}])
    assert (higher.low, higher.high) == (6, 6400)
    (lower,) = widen(ranges, [{"a.knob": 7}])
    assert (lower.low, lower.high) == (1, 1600)


def test_a_range_never_narrows_and_never_leaves_what_is_declared() -> None:
    (found,) = widen([around(100)], [{"a.knob": value} for value in (1600, 6400, 10_000, 100, 7)])
    assert (found.low, found.high) == (1, 10_000)
    (choice,) = widen([around(64, kind="choice", choices=(64, 128))], [{"a.knob": 128}])
    assert choice.choices == (64, 128)


def test_numbers_are_tried_with_few_digits_and_stay_inside() -> None:
    found = around(30.0, kind="float", low=1.23456, high=600, log=False)
    assert found.rounded(137.238412) == 137.2
    assert found.rounded(found.low) == found.low
    assert around(100).rounded(137) == 137


def test_knobs_are_named_as_in_an_arm() -> None:
    core = Dimension("core.connections", "int", 4, 1, 16)
    assert [one.name for one in only([*DIMENSIONS, core], ["connections", "b.depth"])] == [
        "b.depth",
        "core.connections",
    ]
    assert only(DIMENSIONS, []) == DIMENSIONS
    with pytest.raises(UsageError, match=r"core\.nothing is no knob that can be tuned here"):
        only(DIMENSIONS, ["nothing"])
    with pytest.raises(UsageError, match="no knob that could be tuned"):
        only([], [])


def test_the_fingerprint_tells_spaces_apart() -> None:
    whole = begin(DIMENSIONS, START)
    assert fingerprint(whole) == fingerprint(begin(DIMENSIONS, START))
    others = [begin(DIMENSIONS[:-1], START), begin(DIMENSIONS, {**START, "c.gain": 0.06})]
    assert len({fingerprint(whole), *map(fingerprint, others)}) == 3
