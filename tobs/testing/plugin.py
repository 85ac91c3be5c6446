"""The pytest plugin: fixtures by which a plugin's author exports from a small lab.

pytest imports this module at every start, so it imports nothing of TOBS before a fixture is used.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tobs.host.run import Report
    from tobs.testing.served import ServedChat

pytest.register_assert_rewrite("tobs.testing.contract", "tobs.testing.exports", "tobs.testing.stops")


@pytest.fixture(scope="session")
def tobs_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChat]:
    """A lab in a process of its own without any delay: five pages of messages, eleven files on two data centres."""
    from tobs.testing.served import serve  # noqa: PLC0415 - see above

    with serve("contract", tmp_path_factory.mktemp("tobs-lab")) as chat:
        yield chat


@pytest.fixture(scope="session")
def tobs_small_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChat]:
    """The same in few commits and with one data centre, for tests that export again and again."""
    from tobs.testing.served import serve  # noqa: PLC0415 - see above

    with serve("small", tmp_path_factory.mktemp("tobs-small-lab")) as chat:
        yield chat


@pytest.fixture
def tobs_flooding_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChat]:
    """A lab that makes an export wait for history and for files.

    Each test has one of its own: a lab, as Telegram does, doubles the wait of who overflows a bucket again.
    """
    from tobs.testing.served import serve  # noqa: PLC0415 - see above

    with serve("flooding", tmp_path_factory.mktemp("tobs-flooding-lab")) as chat:
        yield chat


@pytest.fixture
def tobs_export(tobs_lab: ServedChat, tmp_path: Path) -> Callable[[str], Report]:
    """A function that exports the lab's chat with an arm, into a new archive each time, and returns the report.

    The arm stands over the shipped defaults, whatever this machine's settings say. Raises what the export raises.
    Call it from a plain test: it runs an event loop of its own.
    """
    from tobs.testing.exports import conduct  # noqa: PLC0415 - see above

    numbers = count(1)

    def export(arm: str = "default") -> Report:
        return conduct(tobs_lab, arm, tmp_path / f"export-{next(numbers)}").result()

    return export
