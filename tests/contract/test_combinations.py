"""Bundled plugins in every combination give the truth's archive, and two by two where everything goes wrong."""

from __future__ import annotations

import tomllib
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tobs.archive.verify import verify
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
SPARING = (
    "log_rate_limit",
    "result_cache",
    "hash_dedup",
    "bloom_filter",
    "bounded_memory",
    "disk_io",
    "resilience",
)
"""Plugins that save CPU, memory, disk, bandwidth and lost runs: every combination of these is tried, too."""
BESIDE = (*SPARING, "advisor")
"""Each of these is on in half of the combinations of the others."""
MASKS = (0b000011, 0b000101, 0b001001, 0b010001, 0b100001, 0b000110, 0b001010, 0b010010)
"""A plugin beside is on where a combination has an odd number of these bits. No two columns of bits and parities are
alike, so any two plugins are seen both on, both off, and each alone: 64 runs cover all pairs of all plugins."""
SUBSETS = [tuple(name for place, name in enumerate(ACTING) if number >> place & 1) for number in range(64)]
SPARINGS = [chosen for size in range(len(SPARING) + 1) for chosen in combinations(SPARING, size)]
PAIRS = [*combinations(ACTING, 2)]
SAMPLED = 5
"""Of so many pairs one is tried on faults in every run of the tests, the others by the campaign."""


def arm(chosen: tuple[str, ...]) -> str:
    return " ".join(["baseline", *(f"+{name}" for name in chosen)])


def is_on(beside: int, number: int) -> bool:
    """Whether the plugin at this place of `BESIDE` is on in the combination of this number."""
    return (MASKS[beside] & number).bit_count() % 2 == 1


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


@pytest.mark.parametrize("chosen", SPARINGS, ids=lambda chosen: "+".join(chosen) or "baseline")
def test_a_combination_of_those_that_spare_gives_the_same_archive(
    three: ServedChat, tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    report = whole(three, arm(chosen), tmp_path)
    assert {*report.plan.plugins} == {*chosen}


def test_any_two_plugins_are_seen_in_every_state() -> None:
    seen: dict[tuple[str, str], set[tuple[bool, bool]]] = {}
    for number, chosen in enumerate(SUBSETS):
        on = {*chosen, *(name for place, name in enumerate(BESIDE) if is_on(place, number))}
        for one, other in combinations((*ACTING, *BESIDE), 2):
            seen.setdefault((one, other), set()).add((one in on, other in on))
    assert all(len(states) == 4 for states in seen.values())


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
    assert {*settings["project"]["entry-points"]["tobs"]} == {*ACTING, *BESIDE}
