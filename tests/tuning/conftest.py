"""Each test has a state folder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `tobs` keeps what runs learn."""
    folder = tmp_path / "state"
    monkeypatch.setenv("TOBS_STATE", str(folder))
    return folder
