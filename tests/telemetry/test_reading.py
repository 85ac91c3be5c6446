"""Reading a file back: whole, torn, and something else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs.errors import TobsError
from tobs.meters import Meters
from tobs.telemetry import Histogram, Telemetry, names, read
from tobs.telemetry.histogram import merge
from tobs.values import Attempt, Traffic

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of a complete run, of two lines."""
    telemetry = Telemetry.start(meters=Meters(), resource={}, file=tmp_path / "metrics.jsonl", interval=3600)
    assert telemetry.probe is not None
    for dc in (2, 4):
        telemetry.probe.attempt(Attempt("upload.getFile", Traffic.MEDIA, dc, 0.1, 10, "ok", 1))
    telemetry.close(complete=True)
    return tmp_path / "metrics.jsonl"


def test_a_torn_last_line_is_left_out(file: Path) -> None:
    whole = file.read_bytes()
    assert whole.count(b"\n") == 2
    file.write_bytes(whole[:-20])
    metrics = read(file)
    assert metrics.torn
    assert metrics.exports == 1
    assert metrics.total(names.REQUESTS) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no whole export"),
        (b'{"resourceMetrics":[', "no whole export"),
        (b"not json\n", "line 1, is not OTLP JSON"),
        (b"[]\n", "line 1, is not OTLP JSON"),
        (b'{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"metrics":[]}]}]}\n', "line 1, is not OTLP JSON"),
    ],
)
def test_what_is_no_run_s_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "some").write_bytes(content)
    with pytest.raises(TobsError, match=says):
        read(tmp_path / "some")


def test_a_file_that_is_not_there_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(TobsError, match="no metrics") as caught:
        read(tmp_path / "absent")
    assert caught.value.hint


def test_a_value_is_asked_of_one_series(file: Path) -> None:
    metrics = read(file)
    with pytest.raises(TobsError, match="2 series"):
        metrics.value(names.REQUESTS)
    assert metrics.value(names.REQUESTS, {names.DC: 4}) == 1
    assert metrics.value("tobs.no.such.metric") is None
    assert metrics.total("tobs.no.such.metric") == 0
    assert metrics.histogram("tobs.no.such.metric") == Histogram()


def bucketed(values: list[float], scale: int) -> Histogram:
    """The values as an exponential histogram of this scale, by the definition of OpenTelemetry."""
    buckets: dict[int, int] = {}
    for value in values:
        index = math.ceil(math.log2(value) * 2.0**scale) - 1
        buckets[index] = buckets.get(index, 0) + 1
    return Histogram(len(values), math.fsum(values), min(values), max(values), scale, 0, buckets)


SECONDS = st.lists(st.floats(1e-4, 1e3), min_size=1, max_size=200)


@given(SECONDS, st.integers(0, 6), st.floats(0, 1))
def test_a_quantile_is_right_to_the_width_of_a_bucket(values: list[float], scale: int, share: float) -> None:
    found = bucketed(values, scale).quantile(share)
    exact = sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
    width = 2.0 ** (2.0**-scale)
    assert exact / width * (1 - 1e-9) <= found <= exact * width * (1 + 1e-9)


@given(SECONDS, SECONDS, st.integers(0, 5), st.integers(0, 5))
def test_merged_is_as_if_counted_together(one: list[float], other: list[float], first: int, second: int) -> None:
    merged = merge([bucketed(one, first), Histogram(), bucketed(other, second)])
    together = bucketed([*one, *other], min(first, second))
    assert sum(merged.buckets.values()) == merged.count == together.count
    assert merged.scale == together.scale
    assert merged.sum == pytest.approx(together.sum)
    assert (merged.low, merged.high) == (together.low, together.high)
    for share in (0.25, 0.5, 0.75):
        assert merged.quantile(share) == pytest.approx(together.quantile(share), rel=2.0 ** (2.0**-merged.scale) - 0.99)


def test_an_empty_histogram_has_no_mean_and_no_quantile() -> None:
    assert Histogram().mean == Histogram().quantile(0.5) == 0.0
    with pytest.raises(ValueError, match="between 0 and 1"):
        Histogram().quantile(2)
