"""Several metrics as one: a weighted geometric mean, so that ratios multiply as the weights say."""

from __future__ import annotations

import math

import pytest

from tests.experiment.test_metrics import RUN
from tobs.errors import UsageError
from tobs.experiment.metrics import METRICS, measure, metric_of
from tobs.experiment.weighted import joined, mean, terms

LATENCY = "tobs.rpc.duration{rpc.method=a,tobs.dc=2}:p50:down"


def test_a_set_is_read_with_its_weights() -> None:
    assert terms("wall") == (("wall", 1.0),)
    assert terms("wall=2, peak_rss") == (("wall", 2.0), ("peak_rss", 1.0))
    assert terms(f"wall,{LATENCY}=0.5") == (("wall", 1.0), (LATENCY, 0.5))


@pytest.mark.parametrize(
    "text", ["", "wall=", "wall=0", "wall=-1", "wall=inf", "wall=x", "wall,,cpu", "wall=1=2", "cpu,"]
)
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        terms(text)


def test_a_metric_counts_once() -> None:
    with pytest.raises(UsageError, match="names a metric twice"):
        terms("wall=2,cpu,wall=1")


def test_equal_sets_have_one_name() -> None:
    assert joined(["wall=4", "peak_rss=2"]) == joined(["wall=2,peak_rss=1"]) == "wall=2,peak_rss=1"
    assert joined(["wall=3"]) == "wall"
    assert metric_of("wall=4,peak_rss=2").name == "wall=2,peak_rss=1"
    assert metric_of("wall=3") is METRICS["wall"]


def test_the_ratio_is_the_weighted_geometric_mean_of_ratios() -> None:
    one, other = mean([(10.0, 2, False), (4.0, 1, False)]), mean([(5.0, 2, False), (8.0, 1, False)])
    assert one is not None
    assert other is not None
    assert one / other == pytest.approx((2.0**2 * 0.5) ** (1 / 3))


def test_what_should_go_up_takes_part_as_its_inverse() -> None:
    assert mean([(4.0, 1, False), (100.0, 1, True)]) == pytest.approx(math.sqrt(4 / 100))
    assert mean([(4.0, 1, False), (None, 1, True)]) is None
    assert mean([(4.0, 1, False), (0.0, 1, True)]) is None, "nothing can be a ratio to none"


def test_a_run_is_measured_in_it() -> None:
    name = "wall=2,messages_per_second=1"
    found = metric_of(name)
    assert (found.name, found.direction) == (name, "down")
    assert measure(RUN, [name])[name] == pytest.approx((10.0**2 / 100) ** (1 / 3))
    with pytest.raises(UsageError, match="no metric 'speed'"):
        metric_of("wall=2,speed=1")
    with pytest.raises(UsageError, match="cannot be part"):
        metric_of("wall,complete")
