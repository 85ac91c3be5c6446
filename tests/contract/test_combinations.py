"""Bundled plugins in every combination give the truth's archive."""

from __future__ import annotations

from itertools import chain, combinations
from typing import TYPE_CHECKING

import pytest

from tobs.testing.exports import whole

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.testing.served import ServedChat

BUNDLED = ("async_pipeline", "dc_routing", "deferred_media", "disk_io", "log_rate_limit", "parallel_media")
SUBSETS = list(chain.from_iterable(combinations(BUNDLED, size) for size in range(len(BUNDLED) + 1)))


@pytest.mark.parametrize("chosen", SUBSETS, ids=lambda chosen: "+".join(chosen) or "baseline")
def test_a_combination_gives_the_same_archive(tobs_lab: ServedChat, tmp_path: Path, chosen: tuple[str, ...]) -> None:
    report = whole(tobs_lab, " ".join(["baseline", *(f"+{name}" for name in chosen)]), tmp_path)
    assert report.plan.plugins == chosen
