"""The soak's verdict, and a short soak."""

from __future__ import annotations

import pytest

from soak import CLIENTS, is_flat, soak

MB = 1_000_000


@pytest.mark.parametrize(
    ("rss", "flat"),
    [
        ([60 * MB] * 9, True),
        ([60 * MB, 80 * MB, 90 * MB] + [100 * MB] * 6, True),
        ([100 * MB] * 6 + [104 * MB] * 3, True),
        ([100 * MB] * 6 + [106 * MB] * 3, False),
        ([200 * MB] * 6 + [209 * MB] * 3, True),
        ([200 * MB] * 6 + [212 * MB] * 3, False),
        ([60 * MB + 3 * MB * number for number in range(9)], False),
        ([60 * MB] * 2, False),
    ],
)
def test_flat_is_what_stopped_growing(rss: list[int], flat: bool) -> None:
    assert is_flat(rss) is flat


@pytest.mark.campaign
def test_a_short_soak_leaves_no_connection_behind() -> None:
    result = soak(1.0)
    assert set(result["runs"]) == set(CLIENTS)
    assert all(runs["failed"] == 0 for runs in result["runs"].values())
    assert result["after"]["connections"] == 0
    assert result["after"]["sockets"] <= result["before"]["sockets"]
    assert result["counters"]["floods"] > 0
    assert result["counters"]["bad_packets"] > 0
