"""`--fail-if` fails a build on what was measured, and on what was not."""

from __future__ import annotations

from typing import Any

import pytest

from tobs.errors import UsageError
from tobs.experiment.condition import parse_condition

ARM: dict[str, Any] = {
    "arm": "all",
    "scenario": "text_far",
    "invalid": 1,
    "ratio": 0.93,
    "low": 0.9,
    "high": 0.96,
    "p_corrected": 0.01,
    "metrics": {"wall": {"ratio": 0.93, "low": 0.9}, "cpu": {"ratio": 1.2, "low": None}},
}


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("ratio<0.95", True),
        ("ratio < 0.93", False),
        ("ratio<=0.93", True),
        ("high>1", False),
        ("p<0.05", True),
        ("invalid>0", True),
        ("wall:ratio<0.95", True),
        ("cpu:ratio<1", False),
        ("cpu:ratio>=1.2", True),
    ],
)
def test_a_condition_holds_or_not(text: str, fails: bool) -> None:
    found = parse_condition(text, ["wall", "cpu"]).failures([ARM])
    assert bool(found) is fails
    assert all(words.startswith("all on text_far: ") for words in found)


def test_a_figure_that_is_missing_has_not_passed() -> None:
    assert parse_condition("cpu:low<0.5", ["wall", "cpu"]).failures([ARM]) == [
        "all on text_far: there is no figure for cpu:low<0.5"
    ]


def test_a_spelled_metric_can_be_meant() -> None:
    name = "tobs.requests:down"
    condition = parse_condition(f"{name}:ratio<1", [name])
    assert (condition.metric, condition.figure, condition.number) == (name, "ratio", 1)


@pytest.mark.parametrize("text", ["", "ratio", "ratio=1", "speed<1", "ratio<x", "ratio<1 and p<2", "mode:ratio<1"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_condition(text, ["wall"])
    assert refused.value.hint
