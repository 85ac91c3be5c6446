"""adaptive_connections' part sizes and deadlines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tobs_adaptive_connections.deadline import ENOUGH, Deadlines
from tobs_adaptive_connections.sizes import LARGEST, SMALLEST, STEP, UNKNOWN, VAST, part_size

MB = 1_000_000


@given(size=st.integers(1, 4_000_000_000), rate=st.floats(0, 1e9), dear=st.booleans())
def test_every_request_is_one_that_the_server_takes(size: int, rate: float, dear: bool) -> None:
    part = part_size(size, rate, dear=dear)
    assert part % STEP == 0
    assert STEP <= part <= LARGEST
    assert part >= size or (LARGEST % part == 0 and part >= SMALLEST), "no part leaves its block of 1 MB"


@pytest.mark.parametrize("size", [1, 4096, 80_000, 600_000, LARGEST])
@pytest.mark.parametrize(("rate", "dear"), [(0.0, False), (0.6, False), (1.5, False), (100.0, False), (0.3, True)])
def test_a_file_of_up_to_one_megabyte_is_one_request(size: int, rate: float, dear: bool) -> None:
    assert size <= part_size(size, rate * MB, dear=dear) < size + STEP


@pytest.mark.parametrize(
    ("rate", "part", "dear"),
    [(0.0, 512, 1024), (0.1, 128, 256), (0.2, 128, 512), (0.4, 256, 1024), (0.6, 512, 1024), (50.0, 1024, 1024)],
)
def test_a_large_file_s_parts_follow_the_rate_and_what_requests_cost(rate: float, part: int, dear: int) -> None:
    assert part_size(20 * MB, rate * MB, dear=False) == part * 1024
    assert part_size(50 * MB, rate * MB, dear=True) == dear * 1024


def test_a_slow_connection_gets_a_small_file_in_parts() -> None:
    assert part_size(LARGEST, 0.05 * MB, dear=False) == SMALLEST
    assert part_size(100_000, 0.05 * MB, dear=False) == 102_400
    assert part_size(600_000, 0.3 * MB, dear=False) == 256 * 1024


def answered(seconds: list[float]) -> Deadlines:
    deadlines = Deadlines(3.0)
    for one in seconds:
        deadlines.came("upload.getFile", one)
    return deadlines


def test_while_little_is_known_a_deadline_is_the_longest() -> None:
    deadlines = answered([0.5] * (ENOUGH - 1))
    assert deadlines.of("upload.getFile", 0.5, 94.0) == 94.0
    deadlines.came("upload.getFile", 0.5)
    assert deadlines.of("upload.getFile", 0.5, 94.0) == 3.0
    assert deadlines.of("messages.getHistory", 0.5, 30.0) == 30.0, "each method for itself"


def test_it_follows_what_is_usual_and_what_this_request_should_take() -> None:
    deadlines = answered([2.0] * 200)
    assert deadlines.of("upload.getFile", 0.5, 94.0) == 6.0
    assert deadlines.of("upload.getFile", 5.0, 94.0) == 15.0
    assert deadlines.of("upload.getFile", 50.0, 94.0) == 94.0


def test_few_that_stall_do_not_count_as_usual() -> None:
    assert answered([0.5] * 60 + [8.0] + [0.5] * 67).of("upload.getFile", 0.5, 94.0) == 3.0


def test_what_is_usual_is_forgotten() -> None:
    deadlines = answered([9.0] * 300)
    assert deadlines.of("upload.getFile", 0.5, 94.0) == 27.0
    for _ in range(200):
        deadlines.came("upload.getFile", 0.5)
    assert deadlines.of("upload.getFile", 0.5, 94.0) == 3.0


def test_one_that_fires_stretches_the_next_until_answers_come() -> None:
    deadlines = answered([0.5] * 100)
    found = []
    for _ in range(6):
        deadlines.fired()
        found.append(deadlines.of("upload.getFile", 0.5, 94.0))
    assert found == [6.0, 12.0, 24.0, 48.0, 94.0, 94.0]
    for _ in range(150):
        deadlines.came("upload.getFile", 0.5)
    assert deadlines.of("upload.getFile", 0.5, 94.0) == 3.0


def test_a_vast_file_begins_in_the_largest_parts_and_follows_a_rate_that_is_known() -> None:
    assert part_size(VAST, 0.0, dear=False) == LARGEST
    assert part_size(VAST - 1, 0.0, dear=False) == UNKNOWN
    assert part_size(VAST, 0.1 * MB, dear=False) == part_size(20 * MB, 0.1 * MB, dear=False) == 128 * 1024
