"""Knobs that do not matter are put back to where they started."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tobs.tuning.confirm import put_back
from tobs.tuning.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.knobs import Value

NAMES = tuple(f"a.k{number:02}" for number in range(12))
START: dict[str, Value] = dict.fromkeys(NAMES, 1)
WINNER: dict[str, Value] = dict.fromkeys(NAMES, 2)
RANGES = tuple(Range(name, "int", 1, 1, 4, least=1, most=4) for name in NAMES)


class Measured:
    """Compares settings exactly: each knob in `worth` makes them so many times as good when it is moved."""

    def __init__(self, **worth: float) -> None:
        self.worth = {f"a.{name}": ratio for name, ratio in worth.items()}
        self.compared = 0

    def __call__(self, current: Mapping[str, Value], simpler: Mapping[str, Value]) -> float:
        self.compared += 1
        back = [name for name in NAMES if current[name] != simpler[name]]
        assert simpler != START, "that is known to be worse"
        return -math.log(math.prod(self.worth.get(name, 1.0) for name in back))


def moved(settings: Mapping[str, Value]) -> set[str]:
    """Knobs that are not where they started."""
    return {name for name in NAMES if settings[name] != START[name]}


@pytest.mark.parametrize("matters", [{"k11": 1.5}, {"k00": 1.2, "k07": 1.05}, {"k03": 2.0, "k04": 1.02, "k11": 1.3}])
def test_only_what_matters_stays(matters: dict[str, float]) -> None:
    measured = Measured(**matters)
    assert moved(put_back(WINNER, RANGES, NAMES, measured)) == set(measured.worth)


def test_what_costs_at_most_a_hundredth_is_put_back() -> None:
    assert moved(put_back(WINNER, RANGES, NAMES, Measured(k00=1.5, k05=1.009))) == {"a.k00"}
    assert moved(put_back(WINNER, RANGES, NAMES, Measured(k00=1.5, k05=1.02))) == {"a.k00", "a.k05"}


def test_many_that_do_not_matter_take_few_comparisons() -> None:
    measured = Measured(k11=1.5)
    put_back(WINNER, RANGES, NAMES, measured)
    assert measured.compared <= 6


def test_a_single_knob_is_what_was_confirmed() -> None:
    measured = Measured()
    one = {**START, "a.k04": 2}
    assert put_back(one, RANGES, NAMES, measured) == one
    assert put_back(START, RANGES, NAMES, measured) == START
    assert measured.compared == 0


def test_what_cannot_be_compared_stays() -> None:
    assert put_back(WINNER, RANGES, NAMES, lambda *_: None) == WINNER
