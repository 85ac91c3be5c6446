"""Whether an arm ends with the truth more often: exact, paired, and without leaving the failures out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.experiment.scenarios import defined
from tobs.experiment.compare import BETTER, INCONCLUSIVE, WORSE, compare, kept
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import Promise
from tobs.experiment.metrics import COMPLETE, METRICS
from tobs.experiment.report import as_json, lines
from tobs.experiment.shares import clopper_pearson, compare_shares, mcnemar_p
from tobs.experiment.statistics import fixed
from tobs.experiment.synthetic import SyntheticRuns

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.experiment.launch import Result, Trial, Truth


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (10, 1, 0.01171875), (1, 10, 0.01171875), (3, 3, 1.0)],
)
def test_p_is_that_of_the_binomial(gained: int, lost: int, p: float) -> None:
    assert mcnemar_p(gained, lost) == pytest.approx(p)


@pytest.mark.parametrize(
    ("successes", "of", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (8, 20, 0.1912, 0.6395), (0, 0, 0.0, 1.0)],
)
def test_intervals_of_the_printed_table(successes: int, of: int, low: float, high: float) -> None:
    assert clopper_pearson(successes, of, 0.05) == pytest.approx((low, high), abs=5e-4)


def test_shares_are_of_all_blocks_and_their_difference_of_those_that_differ() -> None:
    found = compare_shares([(True, True)] * 30 + [(False, True)] * 20 + [(False, False)] * 10)
    assert (found.n, found.first) == (60, 0.5)
    assert found.other == pytest.approx(5 / 6)
    assert found.difference == pytest.approx(1 / 3)
    assert found.low < found.difference <= found.high
    assert found.high == pytest.approx(1 / 3)
    assert found.low > 0.2
    assert found.p < 1e-5


def rows(*pairs: tuple[bool, bool]) -> list[dict[str, Any]]:
    return [
        {"block": block, "arm": arm, "invalid": "" if ok else "lost", "measurements": {}}
        for block, pair in enumerate(pairs)
        for arm, ok in enumerate(pair)
    ]


def test_a_promise_of_points_is_kept_or_not() -> None:
    metric, rule = METRICS[COMPLETE], fixed(60)
    promise = Promise(COMPLETE, "up", 0.15, 0.25)
    (better,) = compare(rows(*[(True, True)] * 40, *[(False, True)] * 20), 2, metric, rule)
    assert better.verdict == BETTER
    assert kept(promise, better)[0]
    (little,) = compare(rows(*[(True, True)] * 52, *[(False, True)] * 8), 2, metric, rule)
    assert little.verdict == BETTER
    assert not kept(promise, little)[0]
    (worse,) = compare(rows(*[(True, False)] * 20, *[(True, True)] * 40), 2, metric, rule)
    assert worse.verdict == WORSE
    (alike,) = compare(rows(*[(True, True)] * 60), 2, metric, rule)
    assert alike.verdict == INCONCLUSIVE
    assert not kept(promise, alike)[0]


def test_failures_of_the_first_arm_neither_end_nor_spoil_the_experiment(tmp_path: Path) -> None:
    definition = defined(blocks=24, metrics=(COMPLETE, "wall"))
    first = definition.arms[0].plan_hash

    def every_second_fails(trial: Trial, truth: Truth | None = None) -> Result:
        spoilt = frozenset({first} if trial.folder.name[:4] in {f"b{n:03}" for n in range(0, 99, 2)} else ())
        return SyntheticRuns({}, spoilt)(trial, truth)

    outcome = conduct(definition, tmp_path / "x", lambda _: None, every_second_fails)
    assert (outcome.blocks, outcome.sound) == (24, True)
    (arm,) = as_json(outcome)["arms"]
    assert arm["verdict"] == BETTER
    assert (arm["shares"]["first"], arm["shares"]["other"]) == (0.5, 1.0)
    assert any("100 % of the runs are complete, 50 % of the first arm's" in line for line in lines(outcome))
