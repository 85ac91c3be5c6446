"""Settings that all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A slow machine is no failure, and a failing example must fail again elsewhere.
settings.register_profile("tobs", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("tobs")

MOST_WORKERS = 12
"""Processes of the tests at most: each of them starts labs and exports beside."""


def pytest_xdist_auto_num_workers() -> int:
    """Three processes for two processors: a third of the time a test waits for a lab or a child."""
    return min(MOST_WORKERS, round(1.5 * (os.cpu_count() or 1)))


@pytest.fixture(scope="session", autouse=True)
def _own_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep a developer's own accounts, settings and state out of the tests, and the tests out of these.

    The cache stays: it holds media that are made once, and checked whenever they are read.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("TOBS_") and name != "TOBS_CACHE":
                patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("TOBS_CONFIG_DIR", str(home / "config"))
        patch.setenv("TOBS_STATE", str(home / "state"))
        yield
