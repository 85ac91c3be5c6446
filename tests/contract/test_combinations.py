"""Bundled plugins in every combination give the truth's archive, and two by two where everything goes wrong."""

from __future__ import annotations

import tomllib
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tobs.archive.verify import verify
from tobs.host.plugins import discover
from tobs.testing.exports import clean, conduct, whole
from tobs.testing.served import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.testing.served import ServedChat

HERE = Path(__file__).parent
ACTING = (
    "adaptive_connections",
    "async_pipeline",
    "dc_routing",
    "deferred_media",
    "parallel_media",
    "takeout",
)
"""Plugins that change what is asked, when, or of whom: every combination of those that are installed is tried."""
BESIDE = ("log_rate_limit", "disk_io", "hash_dedup", "result_cache", "bloom_filter", "resilience", "advisor")
"""Each of these is on in half of the combinations, with each of the others and without it."""
INSTALLED = [name for name in ACTING if name in discover().manifests]
SUBSETS = [chosen for size in range(len(INSTALLED) + 1) for chosen in combinations(INSTALLED, size)]
PAIRS = [*combinations(INSTALLED, 2)]
SAMPLED = 5
"""Of so many pairs one is tried on faults in every run of the tests, the others by the campaign."""


def arm(chosen: tuple[str, ...]) -> str:
    return " ".join(["baseline", *(f"+{name}" for name in chosen)])


def is_on(place: int, number: int) -> bool:
    """Whether the plugin at this place is on in the combination of this number: by a bit of its own, else by parity."""
    bits = len(INSTALLED)
    return bool(number >> place & 1) if place < bits else number.bit_count() % 2 == 1


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChat]:
    """A lab of three data centres without any delay."""
    with serve(str(HERE / "scenarios" / "three"), tmp_path_factory.mktemp("lab-three")) as chat:
        yield chat


@pytest.fixture(scope="module")
def flaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChat]:
    """The same with faults."""
    with serve(str(HERE / "scenarios" / "three_flaky"), tmp_path_factory.mktemp("lab-flaky")) as chat:
        yield chat


@pytest.mark.parametrize("chosen", SUBSETS, ids=lambda chosen: "+".join(chosen) or "baseline")
def test_a_combination_gives_the_same_archive(three: ServedChat, tmp_path: Path, chosen: tuple[str, ...]) -> None:
    beside = tuple(name for place, name in enumerate(BESIDE) if is_on(place, SUBSETS.index(chosen)))
    report = whole(three, arm((*chosen, *beside)), tmp_path)
    assert {*report.plan.plugins} == {*chosen, *beside}


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, marks=[pytest.mark.campaign] if place % SAMPLED else [], id="+".join(pair))
        for place, pair in enumerate(PAIRS)
    ],
)
def test_two_plugins_give_the_same_archive_whatever_goes_wrong(
    flaky: ServedChat, tmp_path: Path, pair: tuple[str, ...]
) -> None:
    ended = conduct(flaky, arm(pair), tmp_path)
    report = ended.result()
    assert report.digest == flaky.digest
    found = verify(report.archive)
    assert found.ok, f"{found.missing or found.corrupt or found.unverified or found.problems}"
    assert found.pending == 0
    assert not found.foreign
    assert sum(ended.counters["faults"].values()) > 0, "nothing went wrong"
    clean(ended, arm(pair))


def test_no_bundled_plugin_is_left_out() -> None:
    settings = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert {*settings["project"]["entry-points"]["tobs"]} <= {*ACTING, *BESIDE}
