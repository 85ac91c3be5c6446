"""Student's t against printed tables."""

from __future__ import annotations

import pytest

from tobs.experiment.student import quantile, two_sided_p


@pytest.mark.parametrize(
    ("level", "freedom", "t"),
    [(0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 10, 2.228), (0.95, 20, 2.086), (0.99, 30, 2.750), (0.999, 60, 3.460)],
)
def test_quantiles_of_the_table(level: float, freedom: int, t: float) -> None:
    assert quantile(level, freedom) == pytest.approx(t, abs=5e-4)
    assert two_sided_p(t, freedom) == pytest.approx(1 - level, rel=1e-2)


@pytest.mark.parametrize("freedom", [1, 3, 29, 58, 1000])
def test_p_falls_from_one_as_t_grows_to_either_side(freedom: int) -> None:
    ps = [two_sided_p(t / 4, freedom) for t in range(40)]
    assert ps[0] == pytest.approx(1)
    assert ps == sorted(ps, reverse=True)
    assert two_sided_p(-2.5, freedom) == two_sided_p(2.5, freedom)


def test_with_many_degrees_of_freedom_it_is_the_normal_distribution() -> None:
    assert quantile(0.95, 1e6) == pytest.approx(1.95996, abs=1e-4)
