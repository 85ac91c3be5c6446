"""The page on the lab names every key that a scenario may have, and shows one that can be loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docs.generate import ROOT, scenario_keys
from tobs.lab import scenario
from tobs.lab.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
EVERY_TABLE = """
[dataset]
messages = 10

[network]
dc = [{ id = 2 }]
change = [{ at = 1 }]

[limits]
history = { burst = 1, per_second = 1, wait = [1, 1] }
premium = { after_mb = 1, wait = [1, 1] }

[faults]
outage = [{ dc = 2, at = 1, seconds = 1 }]
"""


def test_every_key_that_the_reader_knows_is_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[str] = {"profile"}
    finish = Table.finish

    def note(table: Table) -> None:
        known.update(table._read)
        finish(table)

    monkeypatch.setattr(Table, "finish", note)
    (tmp_path / "every.toml").write_text(EVERY_TABLE)
    scenario.load(tmp_path / "every.toml")
    told = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", scenario_keys()))))
    assert known - told == set()
    assert len(known) > 40


def test_the_scenario_that_is_shown_is_complete(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.toml").write_text(shown)
    found = scenario.load(tmp_path / "mine.toml")
    assert found.limits.history is not None
    assert found.limits.history.refill == 2
